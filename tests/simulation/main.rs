//! `TicketWorkflow` without a Temporal server: the real workflow code, driven activation by activation in virtual
//! time. Whole lives of tickets take milliseconds, so that thousands of random ones fit into a test run, and each can
//! be replayed as a worker would replay it.
//!
//! | file | what is there |
//! | --- | --- |
//! | `driver.rs` | [`driver::Driver`]: starts a workflow, delivers events, lets time pass, replays, restarts the worker |
//! | `events.rs` | what can happen to a workflow; JSON payloads and activity failures |
//! | `server.rs` | what server and SDK core keep of it: timers, activities, updates, search attributes, memo, the outcome |
//! | `recording.rs` | what each run did, and its replay |
//! | `instance.rs` | one instance of workflow code, polled as `temporalio-sdk` polls it |
//! | `error.rs` | what can go wrong, and where |
//! | `toy.rs`, `toy_tests.rs` | the simulator tried on a toy |
//! | `ticket.rs`, `ticket_tests.rs` | a ticket under a test's hands, and one test for each kind of life |
//! | `world.rs` | what a ticket's activities do: all goes well unless a test scripts it otherwise |
//! | `model/` | a small model of a ticket's life, written from the product's rules |
//! | `watched.rs` | a ticket whose every workflow task is held against the model |
//! | `chance.rs`, `message.rs`, `player.rs` | what can happen in a life of chance, and how it is played |
//! | `random.rs` | the property test: lives of chance, and how often each row of the table was taken |
//! | `directed.rs` | lives that take the rows which chance takes too seldom |
//! | `findings.rs` | what the property test has found, as short lives |
//!
//! From `ticket.rs` on all is about tickets. When the workflow gets another activity, its answer is added to
//! `World::answer`, and its place in a ticket's life to `model/life.rs`.
//!
//! # How time and order work
//!
//! Nothing happens by itself. [`driver::Driver::deliver`] hands a list of events to the workflow as one workflow task
//! and returns when the workflow rests. To try an order, end pending activities in that order; to try what comes
//! together while a worker is away, put it into one list. The list is sorted as the SDK's core sorts it: signals and
//! updates first. Time moves only by [`driver::Driver::elapse`] (timers fire on the way, each at its own time) and
//! [`driver::Driver::stall`] (no worker: what falls due fires with the next delivery). Activities take no time.
//!
//! ```ignore
//! let mut ticket = Ticket::start(input(), [])?;          // the first activity waits
//! ticket.settle()?;                                      // activities end well until none is left: gate 1
//! let approval = ticket.decision(Verdict::Approve, ANN)?;
//! ticket.decide(&approval)?.given();                     // update, activities, answer
//! ticket.pass(Duration::from_secs(48 * 3600))?;          // silence at gate 2
//! ticket.driver.restart()?;                              // a new worker takes over
//! ticket.driver.replay()?;                               // the whole life again, command by command
//!
//! // Step by step, below that: one activity fails while a signal arrives.
//! let seq = *ticket.driver.server().activities.keys().next().unwrap();
//! let failed = ActivityOutcome::failed("Kind", "why", true);
//! ticket.deliver([Event::ended(seq, failed), by_signal(&decision)])?;
//! ```
//!
//! # What counts as an error
//!
//! Whatever would leave a real workflow standing: a panic, a workflow task that fails, a wake-up by something else than
//! the SDK, a workflow that waits for a person and for no timer, a replay that differs. So does a test that asks for
//! what no server would do, such as a retryable failure of an activity that is tried for ever. The driver takes nothing
//! more after an error.
//!
//! # What it leaves out
//!
//! Child workflows, signals to other workflows, local activities and Nexus ([`error::SimulationError::Unsupported`]);
//! tries of an activity and heartbeats (an activity has one outcome, after all its tries); the server's limits; the
//! count of history events, which a test sets in [`driver::Driver::history`]; signals that the server drops because it
//! knows their request id.

mod chance;
mod directed;
mod driver;
mod error;
mod events;
mod findings;
mod instance;
mod message;
mod model;
mod player;
mod random;
mod recording;
mod server;
mod ticket;
mod ticket_tests;
mod toy;
mod toy_tests;
mod watched;
mod world;
