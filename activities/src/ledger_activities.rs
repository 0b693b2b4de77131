//! The activities that keep the ledger; declared in `sallyport_workflows::activities::LedgerActivities`.

#![expect(
    missing_docs,
    reason = "the constants that the macro makes carry no documentation"
)]

use std::sync::Arc;

use sallyport_ledger::{
    LedgerError,
    approvals::{self, Opening},
    commands, decisions, notifications,
    proof::Proof,
    transitions, workflows,
};
use sallyport_workflows::{
    activities::{
        Admission, AdmitCommand, AdmitDecision, CloseGate, OpenGateRequest, RecordCommand,
        RecordDecision, Remind, TransitionRecord, definitions,
    },
    failure::kind,
    gate::OpenGate,
    ticket::TicketKey,
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    calendar,
    context::Context,
    failure::StepError,
    notices::{self, Question},
    policy_check,
};

/// Implements the activities that keep the ledger.
#[derive(Debug)]
pub struct LedgerSteps {
    context: Arc<Context>,
}

impl LedgerSteps {
    /// With what all activities share.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    async fn admit(&self, input: &AdmitDecision) -> Result<Admission, StepError> {
        let workflow_id = input.ticket.workflow_id();
        let proof = self
            .context
            .decision_key
            .check_decision(&input.decision, &workflow_id);
        let comments = match &input.decision.comments {
            Some(comments) => Some(self.context.store(&input.ticket, comments.clone()).await?),
            None => None,
        };
        Ok(Admission {
            comments,
            ..judged(proof)
        })
    }

    async fn open(&self, request: &OpenGateRequest) -> Result<OpenGate, StepError> {
        let invalid = |problem: &dyn std::fmt::Display| {
            StepError::fatal(
                kind::POLICY_INVALID,
                format!("gate {} cannot be opened: {problem}", request.gate),
            )
        };
        policy_check::check_gate(request.gate, &request.policy)
            .and_then(|()| {
                policy_check::check_reporter(request.gate, &request.policy, &request.reporter)
            })
            .map_err(|problem| invalid(&problem))?;
        let schedule = calendar::schedule(request.opened_at, &request.policy)
            .map_err(|problem| invalid(&problem))?;
        let title = self.title(&request.ticket).await?;
        let notice = notices::gate_opened(&Question {
            ticket: &request.ticket,
            title: title.as_deref(),
            approval_id: request.approval_id,
            gate: request.gate,
            revision: &request.revision,
            approvals_needed: request.policy.approvals,
            deadline: schedule.deadline,
            base_change: request.base_change.as_ref(),
        });
        let opening = Opening {
            request,
            deadline: schedule.deadline,
            reminders: &schedule.reminders,
            notice: &notice,
        };
        Ok(approvals::open_gate(&self.context.database, &opening).await?)
    }

    async fn remind_of(&self, input: &Remind) -> Result<(), StepError> {
        let gate = &input.gate;
        let title = self.title(&input.ticket).await?;
        let question = Question {
            ticket: &input.ticket,
            title: title.as_deref(),
            approval_id: gate.approval_id,
            gate: gate.gate,
            revision: &gate.revision,
            approvals_needed: gate.approvals_needed,
            deadline: gate.deadline,
            base_change: gate.base_change.as_ref(),
        };
        let notice = notices::gate_reminder(&question, input.planned_at);
        let database = &self.context.database;
        notifications::tell(database, &input.ticket, gate.approval_id, &notice).await?;
        Ok(())
    }

    /// The ticket's title, as far as the ledger knows it.
    async fn title(&self, ticket: &TicketKey) -> Result<Option<String>, LedgerError> {
        let row = workflows::find(&self.context.database, &ticket.ledger_id().to_string()).await?;
        Ok(row.title)
    }
}

fn judged(proof: Proof) -> Admission {
    Admission {
        proven: proof == Proof::Valid,
        refused: (proof == Proof::Forged).then(|| {
            "its proof is not the starter's signature over it: it was changed on the way, or signed with another key"
                .to_owned()
        }),
        comments: None,
    }
}

fn step(error: LedgerError) -> ActivityError {
    StepError::from(error).into()
}

#[activities]
impl LedgerSteps {
    /// Puts a transition on record. The ticket and its sequence are the key: again changes nothing.
    #[activity(definition = definitions::RecordTransition)]
    pub async fn record_transition(
        self: Arc<Self>,
        _context: ActivityContext,
        record: TransitionRecord,
    ) -> Result<(), ActivityError> {
        transitions::record_transition(&self.context.database, &record)
            .await
            .map_err(step)?;
        Ok(())
    }

    /// Puts a gate's request on record, with its deadline and reminders, and writes down who is told of it. The request's id
    /// is the key: again answers the same, and tells nobody twice. Final errors: [`kind::POLICY_INVALID`], a policy that the
    /// gate cannot be decided by.
    #[activity(definition = definitions::OpenGate)]
    pub async fn open_gate(
        self: Arc<Self>,
        _context: ActivityContext,
        request: OpenGateRequest,
    ) -> Result<OpenGate, ActivityError> {
        Ok(self.open(&request).await?)
    }

    /// Writes down who is reminded of an open gate. The request's id and the planned time are the key: again changes
    /// nothing. A gate that closed meanwhile needs nobody.
    #[activity(definition = definitions::Remind)]
    pub async fn remind(
        self: Arc<Self>,
        _context: ActivityContext,
        input: Remind,
    ) -> Result<(), ActivityError> {
        Ok(self.remind_of(&input).await?)
    }

    /// Checks a decision's proof and stores its comments. Again answers the same.
    #[activity(definition = definitions::AdmitDecision)]
    pub async fn admit_decision(
        self: Arc<Self>,
        _context: ActivityContext,
        input: AdmitDecision,
    ) -> Result<Admission, ActivityError> {
        Ok(self.admit(&input).await?)
    }

    /// Checks the proof of a command. Again answers the same.
    #[activity(definition = definitions::AdmitCommand)]
    pub async fn admit_command(
        self: Arc<Self>,
        _context: ActivityContext,
        input: AdmitCommand,
    ) -> Result<Admission, ActivityError> {
        let workflow_id = input.ticket.workflow_id();
        let key = &self.context.decision_key;
        Ok(judged(key.check_command(&input.command, &workflow_id)))
    }

    /// Puts a decision on record. The ticket and the decision's id are the key: again changes nothing.
    #[activity(definition = definitions::RecordDecision)]
    pub async fn record_decision(
        self: Arc<Self>,
        _context: ActivityContext,
        input: RecordDecision,
    ) -> Result<(), ActivityError> {
        decisions::record_decision(&self.context.database, &input)
            .await
            .map_err(step)
    }

    /// Puts a command on record, and moves the deadline of a gate that it extends. The ticket and the command's id are the
    /// key: again changes nothing.
    #[activity(definition = definitions::RecordCommand)]
    pub async fn record_command(
        self: Arc<Self>,
        _context: ActivityContext,
        input: RecordCommand,
    ) -> Result<(), ActivityError> {
        commands::record_command(&self.context.database, &input)
            .await
            .map_err(step)
    }

    /// Puts on record how a gate closed, and takes back what people were still to be told of it. The request's id is the
    /// key: again changes nothing.
    #[activity(definition = definitions::CloseGate)]
    pub async fn close_gate(
        self: Arc<Self>,
        _context: ActivityContext,
        input: CloseGate,
    ) -> Result<(), ActivityError> {
        approvals::close_gate(&self.context.database, &input)
            .await
            .map_err(step)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "ledger_activities_tests.rs"]
mod tests;
