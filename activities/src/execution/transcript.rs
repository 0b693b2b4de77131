//! The conversation between agent and model, on its way into object storage.
//!
//! It is read from Pi's session (JSON Lines; Pi's `docs/session-format.md` says what is in them), which is the agent's word, and
//! kept without anything that looks like a secret.

use std::path::Path;

use sallyport_ledger::transcripts;
use serde_json::{Map, Value};

use super::Run;
use crate::{
    checkpoint,
    failure::StepError,
    leaks::LeakCheck,
    workspace::read::{Folder, Read},
};

/// The most that is kept of a conversation, in bytes.
const LONGEST: u64 = 32 << 20;

impl Run<'_> {
    /// The name of the agent's conversation.
    pub(super) fn session_id(&self) -> String {
        format!("{}-{}", self.workspace.name(), self.input.session)
    }

    /// Keeps the conversation as it is now. Nothing if there is none yet.
    pub(super) async fn keep_transcript(&self) -> Result<(), StepError> {
        let (folder, session) = (self.workspace.session(), self.session_id());
        let leaks = self.context.leaks.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let said = read(&folder, &session)?;
            std::io::Result::Ok(redacted(&leaks, &said))
        });
        let read = reading.await.map_err(std::io::Error::other).flatten();
        let transcript = read.map_err(|problem| {
            StepError::step(format!("the agent's session cannot be read: {problem}"))
        })?;
        if transcript.is_empty() {
            return Ok(());
        }
        let key = &self.input.key;
        // One that was silent for long must not replace what was said on another host since.
        checkpoint::held(self.context, &key.ticket).await?;
        let stored = self.context.store(&key.ticket, transcript).await?;
        let database = &self.context.database;
        Ok(transcripts::record(database, key, self.input.session, &stored).await?)
    }
}

/// What is in the files of a session, the oldest first: their names begin with a time.
fn read(folder: &Path, session: &str) -> std::io::Result<Vec<u8>> {
    let end = format!("{session}.jsonl");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().into_encoded_bytes();
        if name.ends_with(end.as_bytes()) {
            names.push(name);
        }
    }
    names.sort();
    let open = Folder::open(folder)?;
    let mut said = Vec::new();
    for name in names {
        let left = LONGEST.saturating_sub(said.len() as u64);
        if let Read::Found(mut file) = open.read(&name, left) {
            file.keep_whole_lines();
            said.extend_from_slice(file.content());
        }
    }
    Ok(said)
}

/// The lines of `said` that are JSON, with dots for each secret in any of their texts. Looked at is each text by itself, since a
/// secret has other characters before and after it where it stands in JSON.
fn redacted(leaks: &LeakCheck, said: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    for line in said.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        kept.extend(without_secrets(leaks, line).to_string().bytes());
        kept.push(b'\n');
    }
    kept
}

fn without_secrets(leaks: &LeakCheck, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(leaks.hide_in_text(&text)),
        Value::Array(items) => items
            .into_iter()
            .map(|item| without_secrets(leaks, item))
            .collect(),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (leaks.hide_in_text(&name), without_secrets(leaks, value)))
                .collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::{leaks::LARGEST_FILE, testing::OWN_SECRET};

    #[test]
    fn secrets_are_taken_out_of_every_text_and_what_is_no_json_is_left_out() {
        let leaks = LeakCheck::new([OWN_SECRET.into()], LARGEST_FILE);
        let token = format!("ghp_{}", "q7Rw2mKx9ZtB4vLc8NpJ3sDf6GhY5aXe1UoQ");
        let said = format!(
            "{{\"a\":[\"x {OWN_SECRET} y\",7],\"{OWN_SECRET}\":\"t = \\\"{token}\\\"\"}}\nno json {OWN_SECRET}\n{{\"half"
        );
        let kept = String::from_utf8(redacted(&leaks, said.as_bytes())).unwrap();
        assert!(
            !kept.contains(OWN_SECRET) && !kept.contains(&token),
            "{kept}"
        );
        let kept: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(kept["a"], serde_json::json!(["x ... y", 7]));
        assert!(kept["..."].as_str().unwrap().starts_with("t = "), "{kept}");
    }

    #[test]
    fn only_files_of_the_session_are_read_and_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("2_ticket-4.jsonl"), "{\"n\":2}\n{\"half").unwrap();
        fs::write(at("1_ticket-4.jsonl"), "{\"n\":1}\n").unwrap();
        fs::write(at("1_ticket-5.jsonl"), "{\"n\":5}\n").unwrap();
        symlink("/etc/passwd", at("3_ticket-4.jsonl")).unwrap();
        let said = read(folder.path(), "ticket-4").unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("{\"n\":1}\n{\"n\":2}\n"), "{said}");
        assert!(!said.contains("root") && !said.contains("5"), "{said}");
    }
}
