//! Runs the real Pi CLI, pointed at the scripted model.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sallyport_test_support::scripted_model::ScriptedModel;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::tools::Tools;

/// The longest time in which Pi must say the next thing; a hang is a failure, not a wait for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// A running `pi --mode rpc`. It is killed when dropped.
pub struct Pi {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    stderr: PathBuf,
}

impl Pi {
    /// Starts Pi in `work`, with its settings and sessions below `home`. `api` is Pi's name for a protocol.
    pub fn start(home: &Path, work: &Path, model: &ScriptedModel, api: &str, key: &str) -> Self {
        let tools = Tools::load();
        write_settings(home, model, api, key);
        let stderr = home.join("stderr.txt");
        let mut process = Command::new(tools.node())
            .arg(tools.pi())
            .args([
                "--mode",
                "rpc",
                "--provider",
                "scripted",
                "--model",
                "model-1",
            ])
            .args([
                "--tools",
                "read,write,edit,bash",
                "--no-extensions",
                "--no-skills",
                "--no-prompt-templates",
            ])
            .args([
                "--no-themes",
                "--no-context-files",
                "--no-approve",
                "--session-id",
                "run-1",
                "--session-dir",
            ])
            .arg(home.join("sessions"))
            .current_dir(work)
            .env_clear()
            .env("PATH", tools.search_path())
            .env("HOME", home)
            .env("PI_CODING_AGENT_DIR", home)
            .env("PI_OFFLINE", "1")
            .env("PI_TELEMETRY", "0")
            .env("PI_SKIP_VERSION_CHECK", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&stderr).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            input: process.stdin.take(),
            process,
            output,
            stderr,
        }
    }

    /// Sends a prompt.
    pub async fn prompt(&mut self, words: &str) {
        let line = json!({ "id": "p", "type": "prompt", "message": words }).to_string() + "\n";
        self.input
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .await
            .unwrap();
    }

    /// Reads events until Pi has settled, and returns them.
    pub async fn until_settled(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let line = tokio::time::timeout(LIMIT, self.output.next_line()).await;
            let Ok(Ok(Some(line))) = line else {
                let stderr = std::fs::read_to_string(&self.stderr).unwrap_or_default();
                panic!("Pi said no more after {:#?}\n{stderr}", events.last());
            };
            let event: Value = serde_json::from_str(&line).unwrap();
            let settled = event["type"] == "agent_settled";
            events.push(event);
            if settled {
                return events;
            }
        }
    }

    /// Closes Pi's input, which is how it ends in order.
    pub async fn end(mut self) {
        drop(self.input.take());
        let status = tokio::time::timeout(LIMIT, self.process.wait())
            .await
            .unwrap()
            .unwrap();
        assert!(status.success(), "{status}");
    }

    /// Kills Pi as `kill -9` does.
    pub async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }
}

fn write_settings(home: &Path, model: &ScriptedModel, api: &str, key: &str) {
    let base_url = match api {
        "openai-completions" => format!("{}/v1", model.base_url()),
        "google-generative-ai" => format!("{}/v1beta", model.base_url()),
        _ => model.base_url().to_owned(),
    };
    let models = json!({ "providers": { "scripted": {
        "baseUrl": base_url, "api": api, "apiKey": key,
        "models": [{
            "id": "model-1", "contextWindow": 128_000, "maxTokens": 8_192,
            "cost": { "input": 3, "output": 15, "cacheRead": 0.3, "cacheWrite": 3.75 },
        }],
    } } });
    std::fs::write(home.join("models.json"), models.to_string()).unwrap();
    let settings = json!({ "retry": { "enabled": true, "maxRetries": 2, "baseDelayMs": 1 } });
    std::fs::write(home.join("settings.json"), settings.to_string()).unwrap();
}
