//! How a command ends when it does not succeed.

use std::{fmt, process::ExitCode};

/// The exit codes, documented in `sallyport --help`. 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was tried and failed.
    Failed = 1,
    /// The command or the configuration is wrong.
    Usage = 2,
    /// There is no such ticket, or nothing of the kind yet.
    NotFound = 3,
    /// It is decided already, the gate is not open, or the decision was refused.
    Conflict = 4,
    /// Sallyport does not answer.
    Unreachable = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not succeed: what was tried, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How the program ends.
    pub exit: Exit,
    /// What was tried, on what, and why it failed.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, format!("{error:#}"))
    }
}

impl From<crate::config::ConfigError> for Problem {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}
