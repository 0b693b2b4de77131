//! How a person's command (retry, abandon, cancel, extend, reopen) reaches the workflow, in the way of a decision: signed
//! in the person's name, judged by the workflow, and left with Temporal as a signal if nobody answers in time.

use chrono::Utc;
use sallyport_ledger::{
    commands::{self, RefusedByApi},
    workflows::WorkflowRow,
};
use sallyport_workflows::command::{Action, Command, CommandOutcome};

use crate::{
    api::{
        auth::{Caller, Role},
        error::ApiError,
        types::CommandRequest,
    },
    state::StarterState,
    temporal::TicketsError,
    text,
};

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commanded {
    /// The workflow accepted it.
    Accepted(CommandOutcome),
    /// No worker answered; it will be judged later.
    Pending,
}

/// What a person must be to give a command.
pub const fn role_for(action: Action) -> Role {
    match action {
        Action::Reopen => Role::Approver,
        Action::Retry | Action::Abandon | Action::Cancel | Action::Extend => Role::Admin,
    }
}

/// The command that a caller asks for; not yet signed. Refuses what is wrong with it by itself.
pub fn of(caller: &Caller, request: CommandRequest) -> Result<Command, ApiError> {
    let command = Command {
        id: Some(request.id),
        action: request.action,
        from: request.from,
        raise: request.raise,
        seconds: request.seconds,
        by: caller.person.clone(),
        reason: request.reason,
        proof: None,
    };
    command.check().map_err(ApiError::unprocessable)?;
    Ok(command)
}

/// Puts a command before its ticket's workflow.
pub async fn give(
    state: &StarterState,
    workflow: &WorkflowRow,
    mut command: Command,
) -> Result<Commanded, ApiError> {
    let id = &workflow.workflow_id;
    command.proof = Some(state.decision_key.sign_command(&command, id));
    match state.tickets.command(id, &command).await {
        Ok(outcome) => judged(&command, outcome),
        Err(TicketsError::Refused(reason)) => {
            record_refusal(state, workflow, command, &reason).await?;
            Err(ApiError::conflict(reason))
        }
        Err(TicketsError::NotRunning(_)) => {
            // The same command again, after the ticket ended: the same answer.
            let status = state.tickets.status(id).await;
            let mut earlier = status.into_iter().flat_map(|status| status.commands);
            match earlier.find(|outcome| Some(outcome.record.id) == command.id) {
                Some(outcome) => judged(&command, outcome),
                None => {
                    let reason = not_running(workflow, &command);
                    record_refusal(state, workflow, command, &reason).await?;
                    Err(ApiError::conflict(reason))
                }
            }
        }
        Err(TicketsError::NoAnswer(why)) => {
            tracing::warn!(
                workflow = id,
                why,
                "no worker judged a command; leaving it as a signal"
            );
            leave(state, workflow, &command).await
        }
        Err(error @ TicketsError::Invalid(_)) => Err(ApiError::internal(&error)),
    }
}

/// The workflow's judgement; it has its refusals on record.
fn judged(command: &Command, outcome: CommandOutcome) -> Result<Commanded, ApiError> {
    if outcome.record.action != command.action {
        let earlier = outcome.record.action;
        return Err(ApiError::conflict(text::id_of_another_command(earlier)));
    }
    match outcome.record.refused {
        Some(reason) => Err(ApiError::conflict(reason)),
        None => Ok(Commanded::Accepted(outcome)),
    }
}

/// Puts on record what the workflow turned away unseen.
async fn record_refusal(
    state: &StarterState,
    workflow: &WorkflowRow,
    command: Command,
    reason: &str,
) -> Result<(), ApiError> {
    let refused = RefusedByApi {
        ticket: workflow.key(),
        id: command.id.unwrap_or_default(),
        command,
        reason: reason.to_owned(),
        at: Utc::now(),
    };
    Ok(commands::record_refusal(&state.database, &refused).await?)
}

async fn leave(
    state: &StarterState,
    workflow: &WorkflowRow,
    command: &Command,
) -> Result<Commanded, ApiError> {
    let left = state.tickets.leave_command(&workflow.workflow_id, command);
    match left.await {
        Ok(()) => Ok(Commanded::Pending),
        Err(TicketsError::NotRunning(_)) => Err(ApiError::conflict(not_running(workflow, command))),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a command could not be left as a signal"
            );
            Err(ApiError::nobody_answers())
        }
    }
}

fn not_running(workflow: &WorkflowRow, command: &Command) -> String {
    text::nothing_to_command(&workflow.workflow_id, workflow.state, command.action)
}
