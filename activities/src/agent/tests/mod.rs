//! The real Pi in real rooms, with a scripted model that asks for what it must not get.

mod attacks;
mod runs;
mod scope;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use sallyport_test_support::scripted_model::{AgentStep, Scenario, ScriptedModel};
use sallyport_workflows::scope::RepositoryPath;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    gateway::{Gateway, ModelConfig, Price, RetryPolicy, RunLimits, Vendor},
    sandbox::Sandbox,
};

const VENDORS: [Vendor; 3] = [Vendor::Anthropic, Vendor::OpenAi, Vendor::Google];

const KEY: &str = "sk-ant-the-real-key-of-this-installation";

/// A workspace, a model, and everything that an agent's run needs.
struct World {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    model: ScriptedModel,
    gateway: Gateway,
    limits: AgentLimits,
    spending: RunLimits,
    scope: Vec<&'static str>,
    read_only: Vec<&'static str>,
}

/// A run under way.
struct Running {
    task: JoinHandle<AgentReport>,
    log: mpsc::Receiver<AgentLogLine>,
    progress: watch::Receiver<AgentProgress>,
    cancel: CancellationToken,
}

/// A run that has ended.
struct Ended {
    report: AgentReport,
    log: Vec<AgentLogLine>,
}

impl World {
    fn new(vendor: Vendor, scenario: Scenario) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["workspace/src", "session", "run"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(
            folder.path().join("workspace/src/greet.js"),
            "export const greet = () => 'hello';\n",
        )
        .unwrap();
        let sandbox =
            Sandbox::open(&crate::tools::for_tests(), &folder.path().join("kit")).unwrap();
        let model = ScriptedModel::start(scenario, KEY).unwrap();
        let mut config = ModelConfig::new(vendor, "scripted-1", KEY.into());
        config.base_url = model.base_url().to_owned();
        config.price = Some(Price {
            input: 3_000_000,
            output: 15_000_000,
            cache_read: 300_000,
            cache_write: 3_750_000,
        });
        config.retry = RetryPolicy {
            attempts: 2,
            first_delay: Duration::from_millis(1),
            longest_delay: Duration::from_secs(1),
        };
        Self {
            sandbox,
            gateway: Gateway::new(config).unwrap(),
            model,
            limits: AgentLimits {
                wall: Duration::from_secs(120),
                scope_requests: 1,
                ..AgentLimits::default()
            },
            spending: RunLimits {
                requests: 100,
                tokens: 5_000_000,
                cost_micro_usd: 20_000_000,
                wall: Duration::from_secs(120),
            },
            scope: vec!["src/greet.js", "test/greet.test.js"],
            read_only: Vec::new(),
            folder,
        }
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    fn start(&self, prompt: &str) -> Running {
        let (log_sender, log) = mpsc::channel(10_000);
        let (progress_sender, progress) = watch::channel(AgentProgress::default());
        let cancel = CancellationToken::new();
        let run_dir = self.folder.path().join("run");
        let request = AgentRunRequest {
            home: None,
            workspace: self.workspace(),
            session_dir: self.folder.path().join("session"),
            session_id: "ticket-1".to_owned(),
            gateway: self.gateway.open(&run_dir, self.spending.clone()).unwrap(),
            run_dir,
            prompt: prompt.to_owned(),
            scope: self
                .scope
                .iter()
                .map(|path| RepositoryPath::try_from((*path).to_owned()).unwrap())
                .collect(),
            read_only: self
                .read_only
                .iter()
                .map(|path| path.as_bytes().to_vec())
                .collect(),
            limits: self.limits.clone(),
            progress: progress_sender,
            log: log_sender,
            cancel: cancel.clone(),
        };
        let sandbox = self.sandbox.clone();
        let task = tokio::spawn(async move { run_pi(&sandbox, request).await.unwrap() });
        Running {
            task,
            log,
            progress,
            cancel,
        }
    }

    async fn run(&self) -> Ended {
        self.start("Make the greeting better.").end().await
    }

    /// Everything that the model was told, as text: the last request repeats the whole conversation.
    fn told(&self) -> String {
        let requests = self.model.requests();
        let body = &requests.last().expect("the model was asked").body;
        let mut text = String::new();
        // Google's protocol calls the messages so.
        collect_text(&body["messages"], &mut text);
        collect_text(&body["contents"], &mut text);
        text
    }

    /// What a tool of the agent answered to the only command that it ran.
    async fn answer_to(vendor: Vendor, command: &str) -> (Self, Ended, String) {
        let world = Self::new(
            vendor,
            Scenario::new().run([
                AgentStep::say("Try.").bash(command),
                AgentStep::say("Done."),
            ]),
        );
        let ended = world.run().await;
        assert_eq!(ended.report.stop, Stop::Completed, "{:?}", ended.log);
        let told = world.told();
        (world, ended, told)
    }
}

impl Running {
    async fn end(mut self) -> Ended {
        let report = self.task.await.unwrap();
        let mut log = Vec::new();
        while let Some(line) = self.log.recv().await {
            log.push(line);
        }
        Ended { report, log }
    }

    async fn wait_for_log(&mut self, text: &str) {
        while let Some(line) = self.log.recv().await {
            if line.message.contains(text) {
                return;
            }
        }
        panic!("the run ended without a line with {text:?}");
    }
}

fn collect_text(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => {
            into.push_str(text);
            into.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| collect_text(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect_text(field, into)),
        _ => {}
    }
}

/// Whether a process on this machine has `marker` in its command line.
fn runs(marker: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(marker.len())
            .any(|part| part == marker.as_bytes())
    })
}

fn marker() -> String {
    format!("8{:09}", uuid::Uuid::new_v4().as_u128() % 1_000_000_000)
}

fn work() -> Scenario {
    Scenario::new().run([
        AgentStep::say("Let me look.").read("src/greet.js"),
        AgentStep::say("I change it.").edit("src/greet.js", "hello", "good morning"),
        AgentStep::say("").write(
            "test/greet.test.js",
            "import test from 'node:test'; import assert from 'node:assert'; import { greet } from '../src/greet.js';\n\
             test('greets', () => assert.equal(greet(), 'good morning'));\n",
        ),
        AgentStep::say("I test it.").bash("echo '{\"type\":\"module\"}' >/tmp/package.json; node --test 2>&1 | tail -20; id -u"),
        AgentStep::say("The greeting is better now."),
    ])
}
