//! Temporal's dev server.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use sallyport_workflows::{TASK_QUEUE, search_attributes};

use super::processes::{Program, bare, bound_command};

/// Asks who takes work from the common queue. The newer form of this question is answered from a cache for 5 seconds.
const QUEUE_POLLERS: [&str; 7] = [
    "task-queue",
    "describe",
    "--task-queue",
    TASK_QUEUE,
    "--legacy-mode",
    "--partitions-legacy",
    "4",
];

/// Where the server listens, and how it is set up.
#[derive(Clone, Debug)]
pub struct Temporal {
    /// The `temporal` program.
    pub program: std::path::PathBuf,
    /// The port of the frontend.
    pub port: u16,
    /// The port of the UI.
    pub ui_port: u16,
    /// `KEY=VALUE` of Temporal's dynamic configuration.
    pub dynamic_config: Vec<String>,
}

impl Temporal {
    /// The frontend as Temporal's CLI takes it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The UI.
    pub fn ui_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ui_port)
    }

    /// The server, with its data in `data`.
    pub fn server(&self, data: &Path, log: std::path::PathBuf) -> Program {
        // Histories hold what tickets say, so the database's files are for their owner only. The server knows no option
        // for that.
        let mut command: Vec<std::ffi::OsString> = ["sh", "-c", "umask 077 && exec \"$@\"", "sh"]
            .map(Into::into)
            .to_vec();
        command.push(self.program.clone().into());
        command.extend(["server", "start-dev", "--ip", "127.0.0.1"].map(Into::into));
        command.extend(["--port".into(), self.port.to_string().into()]);
        command.extend(["--ui-port".into(), self.ui_port.to_string().into()]);
        command.push("--ui-disable-news-fetch".into());
        command.extend(["--db-filename".into(), data.join("temporal.db").into()]);
        for pragma in ["journal_mode=wal", "synchronous=normal"] {
            command.extend(["--sqlite-pragma".into(), pragma.into()]);
        }
        for (name, kind) in search_attributes::ALL {
            command.extend(["--search-attribute".into(), format!("{name}={kind}").into()]);
        }
        for value in &self.dynamic_config {
            command.extend(["--dynamic-config-value".into(), value.into()]);
        }
        command.extend(["--log-level", "warn"].map(Into::into));
        Program {
            name: "temporal",
            command,
            bare: true,
            environment: Vec::new(),
            account: None,
            log,
            stop_signal: Signal::TERM,
            grace: Duration::from_secs(10),
        }
    }

    /// Whether the server answers and knows our search attributes.
    pub async fn is_ready(&self) -> anyhow::Result<()> {
        let known = self.ask(&["operator", "search-attribute", "list"]).await?;
        let known = &known["customAttributes"];
        for (name, _) in search_attributes::ALL {
            if known.get(name).is_none() {
                bail!("Temporal does not know the search attribute {name} yet");
            }
        }
        Ok(())
    }

    /// Whether a worker takes tasks from the common queue.
    pub async fn has_worker(&self) -> anyhow::Result<()> {
        let queue = self.ask(&QUEUE_POLLERS).await?;
        match queue["pollers"].as_array() {
            Some(pollers) if !pollers.is_empty() => Ok(()),
            _ => bail!("no worker has asked the task queue `{TASK_QUEUE}` for work yet"),
        }
    }

    async fn ask(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let mut command = bound_command(None, [self.program.as_os_str()]);
        bare(&mut command);
        command
            .args(arguments)
            .args(["--address", &self.address(), "--output", "json"])
            .args(["--command-timeout", "5s"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        if !output.status.success() {
            bail!(
                "`temporal {}` says: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`temporal {}` gave no JSON", arguments.join(" ")))
    }
}
