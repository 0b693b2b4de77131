//! One ticket's evidence, for somebody who has nothing else: its entries, the seals that cover them, the texts that they
//! name, and the histories of its runs.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_workflows::ObjectRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    entry::Entry,
    history::HistoryFacts,
    key::PublicKey,
    seal::Seal,
    verify::{self, Fault, SealedHeads},
};

/// The version of the format that this program writes and reads.
pub const VERSION: u32 = 1;

/// The bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// [`VERSION`].
    pub version: u32,
    /// The ledger's UUID of the workflow.
    pub workflow: Uuid,
    /// Its id in Temporal. The UUID follows from it.
    pub workflow_id: String,
    /// All entries, in order.
    pub entries: Vec<Entry>,
    /// The seals that cover one of them, in order.
    pub seals: Vec<Seal>,
    /// What the activities of the workflow's runs were asked to put on record.
    pub history: Vec<Recorded>,
    /// The objects that the entries name, by key.
    pub objects: BTreeMap<String, Content>,
    /// The objects that they name and that are not here, by key, with the reason.
    #[serde(default)]
    pub left_out: BTreeMap<String, String>,
}

/// An activity in a workflow's history that put something on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The activity's name.
    pub activity: String,
    /// Its input, JSON, byte for byte.
    pub input: String,
    /// Whether it completed.
    pub completed: bool,
}

/// The content of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// As it is.
    Text(String),
    /// What is no text, in hexadecimal.
    Hex(String),
}

impl Content {
    /// The content of an object.
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(hex::encode(bytes)),
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Hex(digits) => hex::decode(digits).ok(),
        }
    }
}

/// What the check of a bundle came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleChecked {
    /// Whose signatures the seals carry.
    pub keys: Vec<PublicKey>,
    /// How many entries, from the first on, a seal covers.
    pub sealed: u64,
    /// What is wrong.
    pub found: Vec<String>,
}

impl Bundle {
    /// Checks the bundle by itself, with the public key if one is known by another way.
    pub fn check(&self, key: Option<PublicKey>) -> BundleChecked {
        let mut found = Vec::new();
        let mut faults = Vec::new();
        if self.version != VERSION {
            found.push(format!(
                "the bundle has version {}, and this program knows version {VERSION}",
                self.version
            ));
        }
        if sallyport_workflows::ticket::ledger_id(&self.workflow_id) != self.workflow {
            found.push(format!(
                "the workflow's UUID {} does not belong to {}",
                self.workflow, self.workflow_id
            ));
        }
        if self
            .entries
            .iter()
            .any(|entry| entry.workflow != self.workflow)
        {
            found.push("an entry belongs to another workflow".to_owned());
        }
        faults.extend(verify::chain(&self.entries));
        let mut heads = SealedHeads::new();
        let mut keys = BTreeSet::new();
        for seal in &self.seals {
            keys.insert(PublicKey(seal.public_key));
            match verify::seal(seal, key, &mut faults) {
                Some(document) => verify::collect(&mut heads, &document),
                None => faults.push(Fault::SealChanged(seal.number)),
            }
        }
        let sealed = heads.remove(&self.workflow).unwrap_or_default();
        faults.extend(verify::heads(&self.entries, &sealed));
        let mut history = HistoryFacts::default();
        for recorded in &self.history {
            history.take(
                &recorded.activity,
                recorded.input.as_bytes(),
                recorded.completed,
            );
        }
        faults.extend(history.compare(&self.entries));
        found.extend(faults.iter().map(Fault::to_string));
        found.extend(self.check_objects());
        BundleChecked {
            keys: keys.into_iter().collect(),
            sealed: sealed
                .iter()
                .map(|(position, ..)| *position)
                .max()
                .unwrap_or(0),
            found,
        }
    }

    fn check_objects(&self) -> Vec<String> {
        references(&self.entries)
            .into_iter()
            .filter(|reference| !self.left_out.contains_key(&reference.key))
            .filter_map(|reference| match self.objects.get(&reference.key) {
                None => Some(format!("the object {} is missing", reference.key)),
                Some(content) => (!content.bytes().is_some_and(|bytes| reference.names(&bytes)))
                    .then(|| format!("the object {} is not what its name says", reference.key)),
            })
            .collect()
    }
}

/// The objects that entries name, each once.
pub fn references(entries: &[Entry]) -> Vec<ObjectRef> {
    let mut found = BTreeMap::new();
    for entry in entries {
        if let Ok(content) = serde_json::from_str(&entry.content) {
            collect(&content, &mut found);
        }
    }
    found.into_values().collect()
}

/// Finds whatever looks like a reference: an object of JSON with a key and a length, and nothing else.
fn collect(value: &Value, found: &mut BTreeMap<String, ObjectRef>) {
    match value {
        Value::Object(fields) => {
            if fields.len() == 2
                && let Ok(reference) = serde_json::from_value::<ObjectRef>(value.clone())
                && reference.key.starts_with("sha256/")
            {
                found.insert(reference.key.clone(), reference);
            }
            for value in fields.values() {
                collect(value, found);
            }
        }
        Value::Array(values) => {
            for value in values {
                collect(value, found);
            }
        }
        _ => {}
    }
}
