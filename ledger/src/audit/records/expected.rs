//! What the tables that people read must hold, by the audit log.

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    State,
    activities::{CloseGate, RecordCommand, RecordDecision, TransitionRecord},
    command::CommandRecord,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Difference, Row, Table, name, object, text, time};
use crate::{
    approvals,
    audit::entry::{Entry, GateOpened, Kind},
    commands::{self, CommandRow},
    convert::{storable, storable_option},
    decisions::{self, DecisionRow},
    transitions,
};

/// What the rows must be.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) workflow: Option<Row>,
    pub(super) transitions: Table,
    pub(super) approvals: Table,
    pub(super) decisions: Table,
    pub(super) commands: Table,
    pub(super) specs: Table,
}

impl Expected {
    pub(super) fn of(entries: &[Entry]) -> Result<Self, Difference> {
        let mut expected = Self::default();
        let mut last: Option<TransitionRecord> = None;
        let mut lasting = Lasting::default();
        for entry in entries {
            match entry.kind {
                Kind::Transition => {
                    let record: TransitionRecord = content(entry)?;
                    let row = transition(entry, &record);
                    expected.transitions.insert(name(&row, &["sequence"]), row);
                    expected.plan(&record);
                    lasting.note(&record);
                    if last
                        .as_ref()
                        .is_none_or(|last| last.sequence < record.sequence)
                    {
                        last = Some(record);
                    }
                }
                Kind::GateOpened => {
                    let row = opened(&content(entry)?);
                    expected.approvals.insert(name(&row, &["id"]), row);
                }
                Kind::GateClosed => {
                    let closing: CloseGate = content(entry)?;
                    expected.close(&closing);
                }
                Kind::Decision => {
                    let record: RecordDecision = content(entry)?;
                    expected.decide(entry, &(&record).into());
                }
                Kind::DecisionRefused => {
                    let refused: decisions::RefusedByApi = content(entry)?;
                    expected.decide(entry, &(&refused).into());
                }
                Kind::Command => {
                    let record: RecordCommand = content(entry)?;
                    expected.extend(&record);
                    expected.command(entry, &(&record).into());
                }
                Kind::CommandRefused => {
                    let refused: commands::RefusedByApi = content(entry)?;
                    expected.command(entry, &(&refused).into());
                }
            }
        }
        expected.workflow = last.map(|last| workflow(&last, &lasting));
        Ok(expected)
    }

    /// A SPEC stands in every transition from the one on with which it came.
    fn plan(&mut self, record: &TransitionRecord) {
        if let Some(row) = spec_revision(record) {
            self.specs.entry(name(&row, &["revision"])).or_insert(row);
        }
    }

    fn decide(&mut self, entry: &Entry, decision: &DecisionRow) {
        let row = decided(entry, decision);
        self.decisions.insert(name(&row, &["id", "origin"]), row);
    }

    fn command(&mut self, entry: &Entry, command: &CommandRow) {
        let row = commanded(entry, command);
        self.commands.insert(name(&row, &["id", "origin"]), row);
    }

    /// An accepted extension moves the deadline of a gate that is open.
    fn extend(&mut self, command: &RecordCommand) {
        let CommandRecord { refused: None, .. } = &command.record else {
            return;
        };
        let Some(gate) = &command.extended else {
            return;
        };
        if let Some(row) = self.approvals.get_mut(&gate.approval_id.to_string())
            && row["status"] == "PENDING"
        {
            row.insert("expires_at".into(), time(gate.deadline));
        }
    }

    fn close(&mut self, closing: &CloseGate) {
        let decision = approvals::verdict_of(closing.closing);
        let decision = decision.map(|verdict| verdict.as_str());
        let id = closing.approval_id.to_string();
        let comments = self
            .decisions
            .values()
            .filter(|row| {
                row["approval_id"] == id.as_str()
                    && row["refused"].is_null()
                    && row["decision"] == json!(decision)
            })
            .max_by_key(|row| text(row, "decided_at"))
            .map(|row| row["comments"].clone());
        if let Some(row) = self.approvals.get_mut(&id) {
            row.insert("status".into(), closing.closing.as_str().into());
            row.insert("decision".into(), json!(decision));
            row.insert("decided_at".into(), time(closing.at));
            row.insert(
                "decided_by".into(),
                json!(storable_option(closing.by.as_deref())),
            );
            row.insert("comments".into(), comments.unwrap_or_default());
        }
    }
}

/// What a workflow's row keeps of earlier transitions.
#[derive(Debug, Default)]
struct Lasting {
    title: Option<String>,
    ticket_url: Option<String>,
    reporter: Option<String>,
    branch: Option<String>,
    spec_approved_at: Option<DateTime<Utc>>,
    merged_at: Option<DateTime<Utc>>,
}

impl Lasting {
    fn note(&mut self, record: &TransitionRecord) {
        if let Some(summary) = &record.facts.summary {
            self.title = Some(storable(&summary.title));
            self.ticket_url = Some(storable(&summary.url));
            self.reporter = Some(storable(&summary.reporter));
        }
        if let Some(pull_request) = &record.facts.pull_request {
            self.branch = Some(pull_request.branch.clone());
        }
        match record.to {
            State::SpecApproved => self.spec_approved_at = Some(record.at),
            State::Merged => self.merged_at = Some(record.at),
            _ => {}
        }
    }
}

fn workflow(last: &TransitionRecord, lasting: &Lasting) -> Row {
    let facts = &last.facts;
    let (spec, pr, failure) = (&facts.spec, &facts.pull_request, &facts.failure);
    let usage = &facts.usage;
    let mut row = object(json!({
        "workflow_id": last.ticket.workflow_id(),
        "source": last.ticket.source,
        "ticket_id": last.ticket.ticket_id,
        "attempt": last.ticket.attempt,
        "repository_url": facts.repository_url,
        "state": last.to.as_str(),
        "sequence": last.sequence,
        "since": time(last.at),
        "completed_at": last.to.is_end().then(|| time(last.at)),
        "spec_path": spec.as_ref().map(|spec| &spec.text.key),
        "spec_bytes": spec.as_ref().map(|spec| spec.text.bytes),
        "spec_revision": spec.as_ref().map(|spec| &spec.revision),
        "spec_approved_at": lasting.spec_approved_at.map(time),
        "spec_approved_by": facts.spec_approved_by,
        "branch_name": lasting.branch,
        "head_commit": facts.head_commit,
        "diff_path": facts.diff.as_ref().map(|diff| &diff.key),
        "diff_bytes": facts.diff.as_ref().map(|diff| diff.bytes),
        "qa_report_url": facts.qa_report.as_ref().map(|report| &report.key),
        "qa_report_bytes": facts.qa_report.as_ref().map(|report| report.bytes),
        "qa_passed": facts.qa_passed,
        "pr_url": pr.as_ref().map(|pr| &pr.url),
        "pr_number": pr.as_ref().map(|pr| pr.number),
        "pr_base_branch": pr.as_ref().map(|pr| &pr.base_branch),
        "pr_head_commit": pr.as_ref().map(|pr| &pr.head_commit),
        "pr_merged_at": lasting.merged_at.map(time),
        "failure_kind": failure.as_ref().map(|failure| &failure.kind),
        "failure_step": failure.as_ref().map(|failure| &failure.step),
        "error_message": storable_option(failure.as_ref().map(|failure| failure.message.as_str())),
        "retry_count": facts.retries,
        "unapproved": facts.unapproved,
        "planner": facts.planner,
        "model_requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cost_micro_usd": usage.cost_micro_usd,
    }));
    // Until the workflow has read the ticket, what the event said stands here.
    if lasting.title.is_some() {
        row.insert("title".into(), json!(lasting.title));
        row.insert("ticket_url".into(), json!(lasting.ticket_url));
        row.insert("reporter".into(), json!(lasting.reporter));
    }
    row
}

fn transition(entry: &Entry, record: &TransitionRecord) -> Row {
    object(json!({
        "workflow_id": entry.workflow,
        "sequence": record.sequence,
        "from_state": record.from.map(State::as_str),
        "to_state": record.to.as_str(),
        "triggered_by": storable(&record.triggered_by),
        "reason": storable_option(record.reason.as_deref()),
        "metadata": transitions::metadata(record),
        "created_at": time(record.at),
        "recorded_at": time(entry.recorded_at),
    }))
}

fn spec_revision(record: &TransitionRecord) -> Option<Row> {
    let spec = record.facts.spec.as_ref()?;
    Some(object(json!({
        "workflow_id": record.ticket.ledger_id(),
        "sequence": record.sequence,
        "revision": spec.revision,
        "base_commit": spec.base_commit,
        "spec_url": spec.text.key,
        "spec_bytes": spec.text.bytes,
        "document_url": spec.document.key,
        "document_bytes": spec.document.bytes,
        "context_url": spec.context.as_ref().map(|context| &context.key),
        "context_bytes": spec.context.as_ref().map(|context| context.bytes),
        "files": spec.files,
        "confidence_percent": spec.confidence_percent.min(100),
        "planned_at": time(record.at),
    })))
}

fn opened(gate: &GateOpened) -> Row {
    let request = &gate.request;
    let change = request.base_change.as_ref();
    let approvers = &request.policy.approvers;
    let times = |times: &[DateTime<Utc>]| times.iter().map(|at| time(*at)).collect::<Vec<_>>();
    object(json!({
        "id": request.approval_id,
        "workflow_id": request.ticket.ledger_id(),
        "approval_type": request.gate.as_str(),
        "assignee": (!approvers.is_empty()).then(|| approvers.join(", ")),
        "revision": request.revision,
        "content_url": request.content.key,
        "content_bytes": request.content.bytes,
        "approvals_needed": request.policy.approvals.max(1),
        "approvers": approvers,
        "may_not_approve": approvals::may_not_approve(request),
        "requested_at": time(request.opened_at),
        "expires_at": time(gate.deadline),
        "reminders": times(&gate.reminders),
        "base_from": change.map(|change| &change.from),
        "base_to": change.map(|change| &change.to),
        "base_files": change.map(|change| change.files),
        "base_first": change.map(|change| storable(&change.first)),
        "base_diff_url": change.map(|change| &change.diff.key),
        "base_diff_bytes": change.map(|change| change.diff.bytes),
        "status": "PENDING",
        "decision": null,
        "decided_at": null,
        "decided_by": null,
        "comments": null,
    }))
}

fn decided(entry: &Entry, decision: &DecisionRow) -> Row {
    object(json!({
        "workflow_id": entry.workflow,
        "id": decision.id,
        "approval_id": decision.approval_id,
        "gate": decision.gate.as_str(),
        "revision": storable(&decision.revision),
        "decision": decision.decision.as_str(),
        "decided_by": storable(&decision.by),
        "comments": decision.comments.as_ref().map(|comments| &comments.key),
        "comments_bytes": decision.comments.as_ref().map(|comments| comments.bytes),
        "proven": decision.proven,
        "refused": storable_option(decision.refused.as_deref()),
        "origin": decision.origin.as_str(),
        "decided_at": time(decision.at),
        "recorded_at": time(entry.recorded_at),
    }))
}

fn commanded(entry: &Entry, command: &CommandRow) -> Row {
    object(json!({
        "workflow_id": entry.workflow,
        "id": command.id,
        "action": command.action.as_str(),
        "retry_from": command.from.map(State::as_str),
        "raise": commands::raise(&command.raise),
        "extend_seconds": command.seconds,
        "approval_id": command.approval_id,
        "extended_until": command.extended_until.map(time),
        "commanded_by": storable(&command.by),
        "reason": storable_option(command.reason.as_deref()),
        "state": command.state.map(State::as_str),
        "proven": command.proven,
        "refused": storable_option(command.refused.as_deref()),
        "origin": command.origin.as_str(),
        "commanded_at": time(command.at),
        "recorded_at": time(entry.recorded_at),
    }))
}

fn content<T: DeserializeOwned>(entry: &Entry) -> Result<T, Difference> {
    serde_json::from_str(&entry.content).map_err(|error| Difference::Unreadable {
        position: entry.position,
        problem: error.to_string(),
    })
}
