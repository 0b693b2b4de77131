//! Between Postgres's types and ours.

use std::str::FromStr;

use sallyport_workflows::{
    ObjectRef, State, command::Action, decision::Verdict, gate::Gate, ticket::Priority,
    usage::Usage,
};

use crate::{decisions::Origin, error::LedgerError};

/// `text` as Postgres takes it: NUL, which it cannot hold, becomes U+FFFD. What agents and tickets write may hold it.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// [`storable`] for what may be missing.
pub(crate) fn storable_option(text: Option<&str>) -> Option<String> {
    text.map(storable)
}

/// A count as Postgres holds it. One beyond 2^63 is stored as the largest.
pub(crate) fn to_bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A stored count; the schema keeps them from being negative.
pub(crate) fn from_bigint(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A small stored count.
pub(crate) fn from_integer(count: i32) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

/// A small count as Postgres holds it.
pub(crate) fn to_integer(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What models cost, from its columns: requests; tokens in, out, read from a cache and written to it; millionths of a dollar.
pub(crate) fn usage(columns: [i64; 6]) -> Usage {
    let [requests, input, output, cache_read, cache_write, cost] = columns.map(from_bigint);
    Usage {
        requests,
        input_tokens: input,
        output_tokens: output,
        cache_read_tokens: cache_read,
        cache_write_tokens: cache_write,
        cost_micro_usd: cost,
    }
}

/// A reference from its two columns.
pub(crate) fn object_ref(key: Option<String>, bytes: Option<i64>) -> Option<ObjectRef> {
    Some(ObjectRef {
        key: key?,
        bytes: from_bigint(bytes?),
    })
}

/// A stored state.
pub(crate) fn state(name: &str) -> Result<State, LedgerError> {
    State::from_str(name).map_err(|_| unknown("the state", name))
}

/// A stored gate.
pub(crate) fn gate(name: &str) -> Result<Gate, LedgerError> {
    [Gate::Spec, Gate::Scope, Gate::Pr]
        .into_iter()
        .find(|gate| gate.as_str() == name)
        .ok_or_else(|| unknown("the gate", name))
}

/// A stored answer.
pub(crate) fn verdict(name: &str) -> Result<Verdict, LedgerError> {
    [Verdict::Approve, Verdict::Revise, Verdict::Reject]
        .into_iter()
        .find(|verdict| verdict.as_str() == name)
        .ok_or_else(|| unknown("the decision", name))
}

/// A stored command's action.
pub(crate) fn action(name: &str) -> Result<Action, LedgerError> {
    [
        Action::Retry,
        Action::Abandon,
        Action::Cancel,
        Action::Extend,
        Action::Reopen,
    ]
    .into_iter()
    .find(|action| action.as_str() == name)
    .ok_or_else(|| unknown("the command", name))
}

/// Who put something on record, as stored.
pub(crate) fn origin(name: &str) -> Origin {
    match name {
        "api" => Origin::Api,
        _ => Origin::Workflow,
    }
}

/// A priority's name in the ledger.
pub(crate) const fn priority_name(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

/// A priority as Temporal counts, for columns that order by it.
pub(crate) fn priority_key(priority: Priority) -> i16 {
    i16::try_from(priority.key()).unwrap_or(i16::MAX)
}

/// A stored priority.
pub(crate) fn priority(name: &str) -> Result<Priority, LedgerError> {
    [Priority::High, Priority::Normal, Priority::Low]
        .into_iter()
        .find(|priority| priority_name(*priority) == name)
        .ok_or_else(|| unknown("the priority", name))
}

fn unknown(what: &'static str, value: &str) -> LedgerError {
    LedgerError::Unknown {
        what,
        value: value.to_owned(),
    }
}
