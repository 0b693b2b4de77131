//! What goes wrong between us and the database.

/// Why the ledger did not do what it was asked for. All of them leave the database as it was.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database could not be reached, or broke off. Trying again later is right.
    #[error(
        "the database could not be reached to {action}: {source}; check that Postgres runs and that `database.url` is right"
    )]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// What sqlx says.
        source: sqlx::Error,
    },
    /// The database refused. Trying again will not help by itself.
    #[error("the database refused to {action}: {source}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// What sqlx says.
        source: sqlx::Error,
    },
    /// Nothing is stored under that name.
    #[error("there is no {what} `{name}` in the ledger")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Several tickets have that id.
    #[error("`{name}` names several workflows; say which: {}", choices.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The workflow ids that it may mean.
        choices: Vec<String>,
    },
    /// A stored value is none that this version knows, such as a state of a newer one.
    #[error(
        "the ledger holds {what} `{value}`, which this version does not know; is a newer one in use beside it?"
    )]
    Unknown {
        /// What kind of value.
        what: &'static str,
        /// The value.
        value: String,
    },
}

impl LedgerError {
    /// Whether the database was out of reach, so that the same may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Turns sqlx's errors into ours, with what was tried.
pub(crate) trait Trying<T> {
    /// Names what was tried, as in "to list the workflows".
    fn trying_to(self, action: &'static str) -> Result<T, LedgerError>;
}

impl<T> Trying<T> for Result<T, sqlx::Error> {
    fn trying_to(self, action: &'static str) -> Result<T, LedgerError> {
        self.map_err(|source| {
            if out_of_reach(&source) {
                LedgerError::Unavailable { action, source }
            } else {
                LedgerError::Refused { action, source }
            }
        })
    }
}

/// Whether an error says that the database was out of reach or overloaded, as against a wrong request.
fn out_of_reach(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // 08: connection; 53: out of resources; 57: shut down, starting up or cancelled by a time-out; 40: serialization
        // failure or deadlock; 55P03: a lock was not had in time.
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            ["08", "53", "57", "40"]
                .iter()
                .any(|class| code.starts_with(class))
                || code == "55P03"
        }),
        _ => false,
    }
}
