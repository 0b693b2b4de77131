//! What can go wrong in a simulation, and where.

use std::fmt;

use temporalio_workflow::__private::sdk::WorkflowActivation;

use crate::instance::TaskError;

/// What went wrong: with the workflow, or with the test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// A worker would fail the workflow task again and again, and the workflow would stand still.
    #[error("{place}: {error}")]
    Task { place: Place, error: TaskError },
    /// The workflow waits, and no timer, activity or handler is left that could let it go on.
    #[error("{0}: the workflow is stuck: it waits for no timer, no activity and no handler")]
    Stuck(Place),
    /// A replay took another way.
    #[error("{place}: the replay differs\nrecorded: {recorded}\nreplayed: {replayed}")]
    Nondeterministic {
        place: Place,
        recorded: String,
        replayed: String,
    },
    /// The workflow did what this simulator cannot do.
    #[error("the simulator does not know the command {0}: teach it in server.rs")]
    Unsupported(String),
    /// The workflow does not come to the end that the test waits for.
    #[error("the workflow does not end: {0}")]
    Endless(String),
    /// The test asks for what cannot happen, or reads what is not there.
    #[error("the test asks for what cannot be: {0}")]
    Misuse(String),
}

impl SimulationError {
    /// The test asks for what cannot be.
    pub fn misuse(what: impl Into<String>) -> Self {
        Self::Misuse(what.into())
    }
}

/// Which activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The run, from 1.
    pub run: usize,
    /// The activation of that run, from 1; queries are not counted.
    pub activation: usize,
    /// Its jobs.
    pub jobs: String,
}

impl Place {
    /// The place of an activation.
    pub fn new(run: usize, number: usize, activation: &WorkflowActivation) -> Self {
        let jobs: Vec<_> = activation.jobs.iter().map(ToString::to_string).collect();
        Self {
            run,
            activation: number,
            jobs: jobs.join(", "),
        }
    }

    /// A workflow task that failed here.
    pub fn failed(self, error: TaskError) -> SimulationError {
        SimulationError::Task { place: self, error }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run,
            activation,
            jobs,
        } = self;
        write!(formatter, "run {run}, activation {activation} [{jobs}]")
    }
}
