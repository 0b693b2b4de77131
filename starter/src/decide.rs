//! How a person's decision reaches the workflow.
//!
//! The caller was authenticated, so that the decision is signed in this person's name. Then the workflow judges it. If
//! nobody answers in time, the same decision is left with Temporal as a signal: it counts once, whichever arrives.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use sallyport_ledger::{
    approvals::{self, ApprovalRow, ApprovalStatus},
    decisions::{self, DecisionRow, RefusedByApi},
    workflows,
};
use sallyport_workflows::{
    decision::{Decision, DecisionOutcome, DecisionRecord},
    ticket::TicketKey,
};
use uuid::Uuid;

use crate::{
    api::{auth::Caller, error::ApiError, types::DecisionRequest},
    state::StarterState,
    temporal::TicketsError,
    text,
};

/// The ledger knows of a gate a moment before the workflow takes decisions about it. A refusal in this time after the
/// opening is asked about again.
const OPENING: TimeDelta = TimeDelta::seconds(10);
/// The pauses before asking again.
const OPENING_PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1000),
];

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The workflow counted it.
    Counted(DecisionOutcome),
    /// No worker answered; it will be judged later.
    Pending,
}

/// Puts a decision about an open gate before its workflow.
pub async fn decide(
    state: &StarterState,
    caller: &Caller,
    approval_id: Uuid,
    request: DecisionRequest,
) -> Result<Decided, ApiError> {
    let approval = approvals::get(&state.database, approval_id).await?;
    let workflow = workflows::find(&state.database, &approval.workflow.to_string()).await?;
    let mut decision = Decision {
        id: Some(request.id),
        gate: approval.gate,
        revision: request.revision,
        decision: request.decision,
        by: caller.person.clone(),
        comments: request.comments,
        proof: None,
    };
    decision.check().map_err(ApiError::unprocessable)?;
    decision.proof = Some(
        state
            .decision_key
            .sign_decision(&decision, &approval.workflow_id),
    );

    match ask(state, &approval, &decision).await {
        Ok(outcome) => match outcome.record.refused.clone() {
            // The workflow has this refusal on record.
            Some(reason) => Err(ApiError::conflict(reason)),
            None => Ok(Decided::Counted(outcome)),
        },
        Err(TicketsError::Refused(reason)) => {
            record_refusal(state, &workflow.key(), &approval, &decision, &reason).await?;
            Err(ApiError::conflict(reason))
        }
        Err(TicketsError::NotRunning(_)) => {
            // The same decision again, after the ticket ended: the same answer.
            let earlier = decisions::of_workflow(&state.database, approval.workflow).await?;
            match earlier.into_iter().find(|row| row.id == request.id) {
                Some(row) if row.refused.is_none() => Ok(Decided::Counted(outcome_of(row))),
                _ => {
                    let approval = approvals::get(&state.database, approval_id).await?;
                    let reason = text::gate_closed(&approval);
                    record_refusal(state, &workflow.key(), &approval, &decision, &reason).await?;
                    Err(ApiError::conflict(reason))
                }
            }
        }
        Err(TicketsError::NoAnswer(why)) => {
            tracing::warn!(
                workflow = approval.workflow_id,
                why,
                "no worker judged a decision; leaving it as a signal"
            );
            leave(state, &approval, &decision).await
        }
        Err(error @ TicketsError::Invalid(_)) => Err(ApiError::internal(&error)),
    }
}

/// Asks the workflow, again if it refuses while the gate is just opening.
async fn ask(
    state: &StarterState,
    approval: &ApprovalRow,
    decision: &Decision,
) -> Result<DecisionOutcome, TicketsError> {
    let just_opened =
        approval.status == ApprovalStatus::Pending && Utc::now() - approval.requested_at < OPENING;
    let mut answer = state.tickets.decide(&approval.workflow_id, decision).await;
    for pause in OPENING_PAUSES {
        if !just_opened || !matches!(answer, Err(TicketsError::Refused(_))) {
            break;
        }
        let status = state.tickets.status(&approval.workflow_id).await;
        let open = status
            .ok()
            .and_then(|status| status.open_gate)
            .is_some_and(|gate| gate.approval_id == approval.id);
        if !open {
            tokio::time::sleep(pause).await;
        }
        answer = state.tickets.decide(&approval.workflow_id, decision).await;
        if open {
            // Known to be open before it was asked: a refusal is about something else.
            break;
        }
    }
    answer
}

async fn leave(
    state: &StarterState,
    approval: &ApprovalRow,
    decision: &Decision,
) -> Result<Decided, ApiError> {
    match state
        .tickets
        .leave_decision(&approval.workflow_id, decision)
        .await
    {
        Ok(()) => Ok(Decided::Pending),
        Err(TicketsError::NotRunning(_)) => Err(ApiError::conflict(text::workflow_over(
            &approval.workflow_id,
        ))),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a decision could not be left as a signal"
            );
            Err(ApiError::nobody_answers())
        }
    }
}

async fn record_refusal(
    state: &StarterState,
    ticket: &TicketKey,
    approval: &ApprovalRow,
    decision: &Decision,
    reason: &str,
) -> Result<(), ApiError> {
    let comments = match &decision.comments {
        Some(comments) => Some(state.objects.put(comments.clone()).await?),
        None => None,
    };
    let refused = RefusedByApi {
        ticket: ticket.clone(),
        id: decision.id.unwrap_or_default(),
        approval_id: Some(approval.id),
        gate: decision.gate,
        revision: decision.revision.clone(),
        decision: decision.decision,
        by: decision.by.clone(),
        comments,
        reason: reason.to_owned(),
        at: Utc::now(),
    };
    Ok(decisions::record_refusal(&state.database, &refused).await?)
}

/// The answer that the workflow gave to a decision that is on record.
fn outcome_of(row: DecisionRow) -> DecisionOutcome {
    DecisionOutcome {
        record: DecisionRecord {
            id: row.id,
            gate: row.gate,
            revision: row.revision,
            decision: row.decision,
            by: row.by,
            at: row.at,
            proven: row.proven,
            refused: row.refused,
        },
        approvals_missing: 0,
    }
}
