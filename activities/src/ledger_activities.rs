//! The activities that keep the ledger; declared in `sallyport_workflows::activities::LedgerActivities`.

#![expect(
    missing_docs,
    reason = "the constants that the macro makes carry no documentation"
)]

use std::sync::Arc;

use sallyport_ledger::{approvals, decisions, proof::Proof, transitions};
use sallyport_workflows::{
    activities::{
        Admission, AdmitCommand, AdmitDecision, CloseGate, OpenGateRequest, RecordDecision,
        TransitionRecord, definitions,
    },
    gate::OpenGate,
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{context::Context, failure::StepError};

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
            Some(comments) => Some(self.context.objects.put(comments.clone()).await?),
            None => None,
        };
        Ok(Admission {
            comments,
            ..judged(proof)
        })
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

fn step(error: sallyport_ledger::LedgerError) -> ActivityError {
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

    /// Puts a gate's request on record, with its deadline. The request's id is the key: again answers the same deadline.
    #[activity(definition = definitions::OpenGate)]
    pub async fn open_gate(
        self: Arc<Self>,
        _context: ActivityContext,
        request: OpenGateRequest,
    ) -> Result<OpenGate, ActivityError> {
        approvals::open_gate(&self.context.database, &request)
            .await
            .map_err(step)
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

    /// Puts on record how a gate closed. The request's id is the key: again changes nothing.
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
