//! Each request to a model, on record: which one was asked, how long it took and what it cost, also where nothing came of it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sallyport_workflows::usage::Usage;

use super::model::ModelError;
use crate::gateway::Vendor;

/// One request to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whose model it is.
    pub vendor: Vendor,
    /// The model.
    pub model: String,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// How long the answer took, to its end.
    pub latency: Duration,
    /// What came of it.
    pub outcome: CallOutcome,
    /// What it cost.
    pub usage: Usage,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// An answer.
    Answered,
    /// An answer that was cut because it was too long.
    Cut,
    /// The model declined.
    Declined,
    /// The vendor refused the request.
    Refused,
    /// The vendor is busy or in trouble.
    Busy,
    /// There was no answer, or it broke off.
    Unreachable,
}

impl CallOutcome {
    /// The fixed name, as the ledger stores it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cut => "cut",
            Self::Declined => "declined",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
        }
    }
}

impl From<&ModelError> for CallOutcome {
    fn from(error: &ModelError) -> Self {
        match error {
            ModelError::Declined { .. } => Self::Declined,
            ModelError::Refused { .. } | ModelError::Configuration { .. } => Self::Refused,
            ModelError::Busy { .. } => Self::Busy,
            ModelError::Unreachable { .. } => Self::Unreachable,
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Asked {
    at: DateTime<Utc>,
    since: Instant,
}

impl Asked {
    /// It is sent now.
    pub fn now() -> Self {
        Self {
            at: Utc::now(),
            since: Instant::now(),
        }
    }

    /// It has come to `outcome` now.
    pub fn ended(self, vendor: Vendor, model: &str, outcome: CallOutcome, usage: Usage) -> Call {
        Call {
            vendor,
            model: model.to_owned(),
            asked_at: self.at,
            latency: self.since.elapsed(),
            outcome,
            usage,
        }
    }
}

/// The requests that one question came to: several where models stand in for each other.
#[derive(Debug, Default)]
pub struct Calls(Mutex<Vec<Call>>);

impl Calls {
    /// Puts one on record.
    pub fn add(&self, call: Call) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
    }

    /// What they cost, in millionths of a US dollar. The vendor may have charged for what broke off, which is taken for
    /// `unknown`.
    pub fn cost(&self, unknown: u64) -> u64 {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = |call: &Call| match call.outcome {
            CallOutcome::Unreachable => unknown,
            _ => call.usage.cost_micro_usd,
        };
        calls.iter().map(cost).sum()
    }

    /// All of them, in order.
    pub fn into_list(self) -> Vec<Call> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `calls` cost together.
pub fn usage(calls: &[Call]) -> Usage {
    calls.iter().fold(Usage::default(), |mut sum, call| {
        sum += call.usage;
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_broke_off_may_have_cost_all_that_was_set_aside() {
        let calls = Calls::default();
        for (outcome, cost_micro_usd) in [
            (CallOutcome::Declined, 7),
            (CallOutcome::Busy, 0),
            (CallOutcome::Answered, 11),
        ] {
            let paid = Usage {
                requests: 1,
                cost_micro_usd,
                ..Usage::default()
            };
            calls.add(Asked::now().ended(Vendor::OpenAi, "any", outcome, paid));
        }
        assert_eq!(calls.cost(1_000), 18);
        let (none, broken) = (Usage::default(), CallOutcome::Unreachable);
        calls.add(Asked::now().ended(Vendor::OpenAi, "any", broken, none));
        assert_eq!(calls.cost(1_000), 1_018);
        let all = calls.into_list();
        let paid = usage(&all);
        assert_eq!((all.len(), paid.requests, paid.cost_micro_usd), (4, 3, 18));
    }
}
