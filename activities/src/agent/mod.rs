//! The coding agent: the real Pi, in its RPC mode, in a sealed room.
//!
//! [`run_pi`] starts Pi in an agent's room with its session, the workspace and the run's model gateway, gives it the
//! prompt, follows its events until it has settled, and takes the room down. What Pi says about its end is only its
//! word: whether the work is good is judged from outside, by the diff and by the quality gates.
//!
//! | to find | look in |
//! | --- | --- |
//! | what Pi is configured with | `setup` |
//! | Pi's events | `rpc` |
//! | what Pi is told | `conversation` |
//! | what becomes of an event: progress, log lines, a request for more scope | `follow` |
//! | the policy inside the room, and the tool that asks for more scope | `extension/` |

mod conversation;
mod follow;
mod log;
mod rpc;
mod run;
mod setup;
#[cfg(test)]
mod tests;

pub use log::{AgentLogLine, LONGEST_MESSAGE, LogLevel, redact};
pub use run::{AgentError, AgentLimits, AgentProgress, AgentReport, AgentRunRequest, Stop, run_pi};
#[cfg(test)]
pub(crate) use setup::in_policy;
