//! The evil agent: tickets whose model, repository or text attack, on a whole installation, and what held them.
//!
//! Each [case](case::Case) is a ticket of its own with a repository of its own. It says what it tries, which layer must hold
//! it, and by which sign one sees that this layer did. After each case the [canaries](canary) are looked at: secrets that
//! must be nowhere, and a folder on the host that must be as it was.
//!
//! | to find | look in |
//! | --- | --- |
//! | what a case is made of | `case` |
//! | what can hold it, and be taken away | `layer` |
//! | the cases | `cases/`, one file for each kind |
//! | what is planted, and where it is looked for | `canary` |
//! | what must not be reached | `targets` |
//! | the network namespace that all of it happens in | `namespace` |
//! | how a case is played and judged | `trial`; what is seen of it: `seen` |

pub mod canary;
pub mod case;
pub mod cases;
mod gateway_client;
pub mod layer;
pub mod namespace;
mod repository;
mod seen;
pub mod targets;
pub mod trial;
