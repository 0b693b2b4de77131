//! Whether the audit log says what happened: each entry that a workflow had written is in its history in Temporal, as the
//! input of the activity that wrote it.

use std::collections::BTreeMap;

use sallyport_workflows::activities::{
    CloseGate, OpenGateRequest, RecordCommand, RecordDecision, TransitionRecord,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    entry::{Entry, Fact, GateOpened, Kind},
    verify::Fault,
};

/// Whether an activity of that name puts something into the audit log.
pub fn records(activity: &str) -> bool {
    matches!(
        activity,
        "record_transition" | "open_gate" | "close_gate" | "record_decision" | "record_command"
    )
}

/// What the histories of a workflow's runs say was to be put on record, by kind and key.
#[derive(Clone, Debug, Default)]
pub struct HistoryFacts(BTreeMap<(Kind, String), HistoryFact>);

#[derive(Clone, Debug)]
struct HistoryFact {
    value: Value,
    completed: bool,
}

impl HistoryFacts {
    /// Takes an activity of the history: its name, its input as JSON, and whether it completed. Those that record nothing
    /// are passed over, and so is an input that nothing can be made of: then its entry will be told as invented.
    pub fn take(&mut self, activity: &str, input: &[u8], completed: bool) {
        let read = match activity {
            "record_transition" => {
                read::<TransitionRecord>(input, |record| Fact::Transition(record).key())
                    .map(|(key, value)| (Kind::Transition, key, value))
            }
            "open_gate" => {
                read::<OpenGateRequest>(input, |request| request.approval_id.to_string())
                    .map(|(key, value)| (Kind::GateOpened, key, value))
            }
            "close_gate" => read::<CloseGate>(input, |closing| Fact::GateClosed(closing).key())
                .map(|(key, value)| (Kind::GateClosed, key, value)),
            "record_decision" => {
                read::<RecordDecision>(input, |decision| Fact::Decision(decision).key())
                    .map(|(key, value)| (Kind::Decision, key, value))
            }
            "record_command" => {
                read::<RecordCommand>(input, |command| Fact::Command(command).key())
                    .map(|(key, value)| (Kind::Command, key, value))
            }
            _ => None,
        };
        if let Some((kind, key, value)) = read {
            let fact = HistoryFact { value, completed };
            // The same may be asked for twice; completed once is completed.
            self.0
                .entry((kind, key))
                .and_modify(|known| known.completed |= completed)
                .or_insert(fact);
        }
    }

    /// Compares with a workflow's entries. What was asked for and has not completed may or may not be on record.
    pub fn compare(&self, entries: &[Entry]) -> Vec<Fault> {
        let mut found = Vec::new();
        let mut on_record = std::collections::BTreeSet::new();
        for entry in entries
            .iter()
            .filter(|entry| entry.kind.is_in_the_history())
        {
            let name = (entry.kind, entry.key.clone());
            match (self.0.get(&name), value_of(entry)) {
                (None, _) => found.push(Fault::NotInTheHistory(entry.kind, entry.key.clone())),
                (Some(fact), Some(value)) if fact.value == value => {}
                (Some(_), _) => {
                    found.push(Fault::OtherThanTheHistory(entry.kind, entry.key.clone()));
                }
            }
            on_record.insert(name);
        }
        for ((kind, key), _) in self
            .0
            .iter()
            .filter(|(name, fact)| fact.completed && !on_record.contains(*name))
        {
            found.push(Fault::NotOnRecord(*kind, key.clone()));
        }
        found
    }
}

/// An entry's content as the activity's input has it; read and written anew, so that a version that knows more fields makes
/// the same of both.
fn value_of(entry: &Entry) -> Option<Value> {
    let content = entry.content.as_bytes();
    match entry.kind {
        Kind::Transition => same::<TransitionRecord>(content),
        Kind::GateOpened => serde_json::from_slice::<GateOpened>(content)
            .ok()
            .and_then(|opened| serde_json::to_value(opened.request).ok()),
        Kind::GateClosed => same::<CloseGate>(content),
        Kind::Decision => same::<RecordDecision>(content),
        Kind::Command => same::<RecordCommand>(content),
        Kind::DecisionRefused | Kind::CommandRefused => None,
    }
}

fn same<T: DeserializeOwned + Serialize>(content: &[u8]) -> Option<Value> {
    read::<T>(content, |_| String::new()).map(|(_, value)| value)
}

fn read<T: DeserializeOwned + Serialize>(
    content: &[u8],
    key: impl FnOnce(&T) -> String,
) -> Option<(String, Value)> {
    let read: T = serde_json::from_slice(content).ok()?;
    Some((key(&read), serde_json::to_value(read).ok()?))
}
