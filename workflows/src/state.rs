//! The states of a ticket and which may follow which: one table, from which the workflow, the ledger and the tests
//! work.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a ticket is in its life. The names are fixed: they are in the ledger, the search attributes and the API.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Taken in; nothing has been done yet.
    Pending,
    /// The planner reads ticket and code and writes the SPEC.
    Planning,
    /// Gate 1 is open: a person decides about the SPEC.
    AwaitingSpecApproval,
    /// The SPEC was approved.
    SpecApproved,
    /// The SPEC was rejected, or nobody answered in time. An end.
    SpecRejected,
    /// The agent works in the sealed room.
    Executing,
    /// The agent asked for a file outside the SPEC; a person decides.
    AwaitingScopeApproval,
    /// The repository's gates run on the agent's commit.
    QaRunning,
    /// QA failed and no repair is left. Parked.
    QaFailed,
    /// The branch is pushed and the pull request opened.
    PrCreated,
    /// Gate 2 is open: a person decides about the pull request.
    AwaitingPrApproval,
    /// The pull request was closed; reopening it within the time set resumes the ticket.
    PrClosed,
    /// The pull request is merged; ticket and workspace are being settled.
    Merged,
    /// All is done. An end.
    Completed,
    /// A step failed for good. Parked.
    Error,
    /// Given up, by a person or after a parked ticket's time ran out. An end.
    Cancelled,
}

use State::*;

/// The legal transitions, apart from those to [`State::Error`] and [`State::Cancelled`], which every state that is not
/// an end may take.
pub const TRANSITIONS: &[(State, &[State])] = &[
    (Pending, &[Planning]),
    (Planning, &[AwaitingSpecApproval]),
    (
        AwaitingSpecApproval,
        &[SpecApproved, Planning, SpecRejected],
    ),
    (SpecApproved, &[Executing, AwaitingSpecApproval]),
    (Executing, &[QaRunning, AwaitingScopeApproval]),
    (AwaitingScopeApproval, &[Executing]),
    (QaRunning, &[PrCreated, Executing, QaFailed]),
    (PrCreated, &[AwaitingPrApproval]),
    (AwaitingPrApproval, &[Merged, Executing, PrClosed]),
    (Merged, &[Completed]),
    (PrClosed, &[AwaitingPrApproval]),
    (
        Error,
        &[
            Pending,
            Planning,
            SpecApproved,
            Executing,
            QaRunning,
            PrCreated,
            Merged,
        ],
    ),
    (QaFailed, &[Planning, Executing, QaRunning]),
    (SpecRejected, &[]),
    (Cancelled, &[]),
    (Completed, &[]),
];

impl State {
    /// Every state, in the order of a ticket's life.
    pub const ALL: [State; 16] = [
        Pending,
        Planning,
        AwaitingSpecApproval,
        SpecApproved,
        SpecRejected,
        Executing,
        AwaitingScopeApproval,
        QaRunning,
        QaFailed,
        PrCreated,
        AwaitingPrApproval,
        PrClosed,
        Merged,
        Completed,
        Error,
        Cancelled,
    ];

    /// The fixed name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Pending => "PENDING",
            Planning => "PLANNING",
            AwaitingSpecApproval => "AWAITING_SPEC_APPROVAL",
            SpecApproved => "SPEC_APPROVED",
            SpecRejected => "SPEC_REJECTED",
            Executing => "EXECUTING",
            AwaitingScopeApproval => "AWAITING_SCOPE_APPROVAL",
            QaRunning => "QA_RUNNING",
            QaFailed => "QA_FAILED",
            PrCreated => "PR_CREATED",
            AwaitingPrApproval => "AWAITING_PR_APPROVAL",
            PrClosed => "PR_CLOSED",
            Merged => "MERGED",
            Completed => "COMPLETED",
            Error => "ERROR",
            Cancelled => "CANCELLED",
        }
    }

    /// Whether the ticket's life is over here.
    pub const fn is_end(self) -> bool {
        matches!(self, SpecRejected | Completed | Cancelled)
    }

    /// Whether the ticket waits here for somebody to retry or abandon it.
    pub const fn is_parked(self) -> bool {
        matches!(self, Error | QaFailed)
    }

    /// Whether the ticket waits here for people.
    pub const fn waits_for_people(self) -> bool {
        matches!(
            self,
            AwaitingSpecApproval
                | AwaitingScopeApproval
                | AwaitingPrApproval
                | PrClosed
                | Error
                | QaFailed
        )
    }

    /// From where a ticket that failed here is retried, if nobody says otherwise: the state itself, or, since no retry leads
    /// into an open gate, the step whose result the gate asks about.
    pub const fn retried_from(self) -> State {
        match self {
            AwaitingSpecApproval => Planning,
            AwaitingScopeApproval => Executing,
            AwaitingPrApproval | PrClosed => PrCreated,
            other => other,
        }
    }

    /// Whether a ticket in `other` has been here, or is here: by the order of its life.
    pub fn is_at_or_before(self, other: State) -> bool {
        self as u8 <= other as u8
    }

    /// Whether nothing was carried out yet.
    pub const fn is_before_execution(self) -> bool {
        matches!(
            self,
            Pending | Planning | AwaitingSpecApproval | SpecApproved
        )
    }

    /// Whether `next` may follow this state.
    pub fn may_go_to(self, next: State) -> bool {
        if matches!(next, Error | Cancelled) {
            return !self.is_end() && self != next;
        }
        TRANSITIONS
            .iter()
            .any(|(from, to)| *from == self && to.contains(&next))
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A name that is no state's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no state; the states are {names}", names = State::ALL.map(State::as_str).join(", "))]
pub struct UnknownState(pub String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| UnknownState(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_state_has_one_row_and_one_name() {
        for state in State::ALL {
            assert_eq!(
                TRANSITIONS
                    .iter()
                    .filter(|(from, _)| *from == state)
                    .count(),
                1,
                "{state}"
            );
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn every_state_is_reached_from_pending_and_can_reach_an_end() {
        let reach = |start: State| {
            let mut seen = vec![start];
            let mut next = 0;
            while let Some(&from) = seen.get(next) {
                seen.extend(
                    State::ALL
                        .into_iter()
                        .filter(|to| from.may_go_to(*to) && !seen.contains(to))
                        .collect::<Vec<_>>(),
                );
                next += 1;
            }
            seen
        };
        for state in State::ALL {
            assert!(reach(Pending).contains(&state), "{state} cannot be reached");
            assert!(
                reach(state).into_iter().any(State::is_end),
                "{state} cannot end"
            );
        }
    }

    #[test]
    fn the_gates_cannot_be_walked_around() {
        for state in State::ALL {
            assert_eq!(
                state.may_go_to(SpecApproved),
                matches!(state, AwaitingSpecApproval | Error),
                "{state}"
            );
            assert_eq!(
                state.may_go_to(Merged),
                matches!(state, AwaitingPrApproval | Error),
                "{state}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_walk_leaves_an_end(choices in prop::collection::vec(0usize..16, 0..40)) {
            let mut state = Pending;
            for choice in choices {
                let next = State::ALL[choice];
                if state.may_go_to(next) {
                    prop_assert!(!state.is_end());
                    state = next;
                }
            }
        }
    }
}
