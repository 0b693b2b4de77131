//! What can be seen of a case, once its ticket rests.

use anyhow::Context;
use serde_json::Value;
use sqlx::Connection as _;
use uuid::Uuid;

use super::case::{Case, End, Sign};
use crate::installation::Installation;

/// All that can be seen of a case.
pub(super) struct Seen {
    /// What tools told the agent.
    pub(super) told: String,
    sent: String,
    gates: String,
    diff: String,
    report: String,
    view: Value,
    /// What the gateway answered to a request past Pi.
    pub(super) answered: Option<u16>,
}

/// Words of a program that did not get what it wanted.
const COMPLAINTS: [&str; 6] = [
    "failed: ",
    "denied",
    "not permitted",
    "No such file",
    "refused",
    "Read-only",
];

impl Seen {
    /// Looks at everything.
    ///
    /// # Errors
    /// If something cannot be looked at.
    pub(super) async fn of(
        installation: &Installation,
        case: &Case,
        id: &str,
        view: Value,
        answered: Option<u16>,
    ) -> anyhow::Result<Self> {
        let api = &installation.api;
        let workflow = view["workflow"]["id"].as_str().unwrap_or_default();
        let workflow =
            Uuid::parse_str(workflow).context("a ticket's view has its workflow's id")?;
        let mut ledger = installation.ledger().await?;
        let gates = sqlx::query_scalar(
            "SELECT coalesce(string_agg(output, E'\\n'), '') FROM qa_results WHERE workflow_id = $1",
        )
        .bind(workflow)
        .fetch_one(&mut ledger)
        .await?;
        ledger.close().await?;
        let optional = async |kind: &str| {
            let path = format!("/workflows/{id}/{kind}");
            api.text(&path).await.unwrap_or_default()
        };
        let mark = case.mark();
        let (told, sent) = match &installation.model {
            Some(model) => model.look(|requests| {
                let ours: Vec<&Value> = requests
                    .iter()
                    .map(|request| &request.body)
                    .filter(|body| body["tools"].is_array() && body.to_string().contains(&mark))
                    .collect();
                let sent: String = ours.iter().map(|body| body.to_string()).collect();
                let told = ours.last().map(|body| tool_results(body));
                (told.unwrap_or_default(), sent)
            }),
            None => Default::default(),
        };
        Ok(Self {
            told,
            sent,
            gates,
            diff: optional("diff").await,
            report: optional("qa-report").await,
            view,
            answered,
        })
    }

    /// Where the ticket ended, and the first complaint.
    pub(super) fn in_short(&self) -> String {
        let complaint = self
            .told
            .lines()
            .find(|line| COMPLAINTS.iter().any(|word| line.contains(word)));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let state = text(&self.view["workflow"]["state"]);
        let kind = text(&self.view["status"]["failure"]["kind"]);
        let complaint = complaint.unwrap_or_default().trim();
        format!("{complaint} {state} {kind}").trim().to_owned()
    }

    /// Whether a sign is there.
    pub(super) fn has(&self, sign: &Sign) -> bool {
        match sign {
            Sign::Told(text) => self.told.contains(text),
            Sign::GateSaid(text) => self.gates.contains(text),
            Sign::Failure(text) => self.view["status"]["failure"]["message"]
                .as_str()
                .is_some_and(|message| message.contains(text)),
            Sign::Reported(text) => self.report.contains(text),
            Sign::DiffLacks(text) => !self.diff.is_empty() && !self.diff.contains(text),
            Sign::ModelNeverSaw(text) => !self.sent.is_empty() && !self.sent.contains(text),
            Sign::GateStillAsks(gate) => {
                self.view["status"]["open_gate"]["gate"] == *gate
                    && self.view["decisions"]
                        .as_array()
                        .is_none_or(|all| all.iter().all(|decision| decision["gate"] != *gate))
            }
            Sign::Answered(status) => self.answered == Some(*status),
        }
    }
}

/// Where the ticket is instead of where it must be.
pub(super) fn other_end(end: End, view: &Value) -> Option<String> {
    let (state, kind) = match end {
        End::PlanRefused => ("ERROR", Some("PlanInvalid")),
        End::SpecGate => ("AWAITING_SPEC_APPROVAL", None),
        End::PrGate => ("AWAITING_PR_APPROVAL", None),
        End::ScopeGate => ("AWAITING_SCOPE_APPROVAL", None),
        End::Parked(kind) => ("ERROR", Some(kind)),
        End::QaFailed => ("QA_FAILED", None),
    };
    let failure = &view["status"]["failure"];
    let is_there =
        view["workflow"]["state"] == state && kind.is_none_or(|kind| failure["kind"] == kind);
    (!is_there).then(|| {
        format!(
            "it ended in {} ({} {}), and must end in {state} {}",
            view["workflow"]["state"],
            failure["kind"],
            failure["message"],
            kind.unwrap_or_default()
        )
    })
}

/// What tools told the model, in a request of Anthropic's form.
fn tool_results(body: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut told = String::new();
    for block in list(&body["messages"])
        .iter()
        .flat_map(|message| list(&message["content"]))
        .filter(|block| block["type"] == "tool_result")
    {
        match &block["content"] {
            Value::String(text) => told.push_str(text),
            parts => {
                for part in list(parts) {
                    told.push_str(part["text"].as_str().unwrap_or_default());
                }
            }
        }
        told.push('\n');
    }
    told
}
