//! How decisions and commands come in and what becomes of them. Handlers only check and store. The reception, which runs
//! beside the ticket's stages, looks at one after the other in the order in which they came: it has checked who sent it,
//! counts it or says why not, puts that on record, and only then lets it take effect. The rules are in
//! `decision_rules.rs` and `command_rules.rs`.

use std::{collections::VecDeque, convert::Infallible};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Ctx, TicketWorkflow, now, question::Answer, step::call_surely, waiting};
use crate::{
    State,
    activities::{
        ADMIT_COMMAND, ADMIT_DECISION, AdmitCommand, AdmitDecision, ExtendedGate, LedgerActivities,
        RECORD_COMMAND, RECORD_DECISION, RecordCommand, RecordDecision,
    },
    command::{Action, Command, CommandOutcome},
    decision::{Decision, DecisionOutcome, Verdict},
    gate::Gate,
    text::shorten,
};

/// What people sent and what is not settled yet. Empty whenever the workflow continues as new.
#[derive(Default)]
pub(super) struct Reception {
    /// Taken in and not yet looked at.
    pub(super) inbox: VecDeque<Received>,
    /// What is being looked at.
    pub(super) settling: Option<Received>,
    /// How many were taken in by this run.
    pub(super) received: u64,
    /// How many of them are settled.
    pub(super) settled: u64,
    /// The gate that is being opened, and the revision that it will ask about. People may know of it a moment before the
    /// ticket does; what they decide then waits until it is open.
    pub(super) opening: Option<(Gate, String)>,
    /// The present wait's time is up: what comes now is too late.
    pub(super) time_is_up: bool,
    /// The open gate is decided, and the decision is being put on record.
    pub(super) decided: bool,
    /// How the open gate was decided, for the stage that waits for it.
    pub(super) answer: Option<Answer>,
    /// A command that was accepted, for the stage that waits for it.
    pub(super) accepted: Option<Accepted>,
}

impl Reception {
    /// Whether everything that was taken in is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.inbox.is_empty() && self.settling.is_none()
    }

    /// Whether something that counted waits for the ticket's stage.
    pub(super) fn awaits_stage(&self) -> bool {
        self.answer.is_some() || self.accepted.is_some()
    }

    /// Whether the next of what was taken in can be looked at now.
    fn has_next(&self) -> bool {
        self.inbox.front().is_some_and(|received| {
            let waits = match (&received.message, &self.opening) {
                (Message::Decision(decision), Some((gate, _))) => decision.gate == *gate,
                _ => false,
            };
            !waits
        })
    }

    /// Takes something in.
    pub(super) fn take(&mut self, received: Received) {
        self.received += 1;
        self.inbox.push_back(received);
    }

    /// What was sent under this id and is not settled yet.
    pub(super) fn pending(&self, id: &Uuid) -> bool {
        self.settling
            .iter()
            .chain(&self.inbox)
            .any(|received| received.id == *id)
    }
}

/// Something that was taken in.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) id: Uuid,
    pub(super) arrival: Arrival,
    pub(super) message: Message,
    /// Why it cannot count, if that was seen on arrival.
    pub(super) refused: Option<String>,
}

/// When something came, and in which state it found the ticket: whatever the ticket does until it is looked at.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) at: DateTime<Utc>,
    pub(super) state: State,
}

impl TicketWorkflow {
    /// Something that comes now finds the ticket so.
    pub(super) fn arrival(&self, at: DateTime<Utc>) -> Arrival {
        let state = self.status.state;
        Arrival { at, state }
    }
}

/// What people send.
#[derive(Clone)]
pub(super) enum Message {
    Decision(Decision),
    Command(Command),
}

/// A command that the ticket's stage carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// Go to this state.
    Retry {
        to: State,
        by: String,
        reason: Option<String>,
    },
    /// Give up.
    Abandon { by: String, reason: Option<String> },
    /// Open the pull request again.
    Reopen { by: String },
}

/// Looks at whatever people send, for as long as the ticket lives.
pub(super) async fn serve(ctx: &Ctx) -> Infallible {
    loop {
        waiting::surely(ctx, |ticket| ticket.reception.has_next()).await;
        settle_next(ctx).await;
    }
}

/// Takes a decision in that came as an update, and waits until it is settled.
pub(super) async fn receive_decision(ctx: &Ctx, decision: Decision) -> DecisionOutcome {
    let at = now(ctx);
    // The validator has seen that there is one.
    let id = decision.id.unwrap_or_default();
    ctx.state_mut(|ticket| {
        if !ticket.knows(&id) {
            ticket.reception.take(Received {
                id,
                arrival: ticket.arrival(at),
                message: Message::Decision(decision.clone()),
                refused: None,
            });
        }
    });
    waiting::surely(ctx, |ticket| !ticket.reception.pending(&id)).await;
    ctx.state(|ticket| ticket.decision_outcome(&id))
        .unwrap_or_else(|| {
            // Only if very many others came in between.
            let reason = Some("what became of it is in the ledger".to_owned());
            DecisionOutcome {
                record: super::decision_rules::record(
                    id,
                    &decision,
                    at,
                    false,
                    reason,
                    decision.revision.clone(),
                ),
                approvals_missing: 0,
            }
        })
}

/// Takes a command in that came as an update, and waits until it is settled.
pub(super) async fn receive_command(ctx: &Ctx, command: Command) -> CommandOutcome {
    let at = now(ctx);
    let id = command.id.unwrap_or_default();
    let arrival = ctx.state_mut(|ticket| {
        let arrival = ticket.arrival(at);
        if !ticket.knows(&id) {
            ticket.reception.take(Received {
                id,
                arrival,
                message: Message::Command(command.clone()),
                refused: None,
            });
        }
        arrival
    });
    waiting::surely(ctx, |ticket| !ticket.reception.pending(&id)).await;
    ctx.state(|ticket| {
        ticket.command_outcome(&id).unwrap_or_else(|| {
            let reason = Some("what became of it is in the ledger".to_owned());
            ticket.command_refused(id, &command, arrival, false, reason)
        })
    })
}

async fn settle_next(ctx: &Ctx) {
    let received = ctx.state_mut(|ticket| {
        let received = ticket.reception.inbox.pop_front();
        ticket.reception.settling.clone_from(&received);
        received
    });
    let Some(received) = received else { return };
    let effect = match received.message {
        Message::Decision(decision) => {
            settle_decision(
                ctx,
                received.id,
                decision,
                received.arrival.at,
                received.refused,
            )
            .await
        }
        Message::Command(command) => {
            settle_command(
                ctx,
                received.id,
                command,
                received.arrival,
                received.refused,
            )
            .await
        }
    };
    ctx.state_mut(|ticket| {
        let reception = &mut ticket.reception;
        reception.settling = None;
        reception.settled += 1;
        reception.decided = false;
        match &effect {
            Effect::Nothing => {}
            Effect::Answer(answer) => reception.answer = Some(answer.clone()),
            Effect::Accepted(accepted) => reception.accepted = Some(accepted.clone()),
            Effect::Cancel { .. } => {}
        }
    });
    if let Effect::Cancel { reason } = effect {
        // As if it had been cancelled in Temporal: whatever waits or runs stops, unless it is detached.
        ctx.cancellation_token().cancel_with_reason(reason);
        ctx.state_mut(|_| ());
    }
}

/// What something that counted does to the ticket.
enum Effect {
    Nothing,
    Answer(Answer),
    Accepted(Accepted),
    Cancel { reason: String },
}

async fn settle_decision(
    ctx: &Ctx,
    id: Uuid,
    decision: Decision,
    at: DateTime<Utc>,
    refused: Option<String>,
) -> Effect {
    let ticket = ctx.state(|ticket| ticket.key());
    let stamped = Decision {
        id: Some(id),
        ..decision
    };
    let admit = AdmitDecision {
        ticket: ticket.clone(),
        decision: stamped.clone(),
    };
    let what = format!("check who decided: {}", shorten(&stamped.by, 60));
    let options = ADMIT_DECISION.options(what);
    let admission = call_surely(ctx, LedgerActivities::admit_decision, admit, options).await;
    let (outcome, approval_id) =
        ctx.state_mut(|ticket| ticket.count_decision(&stamped, at, refused, &admission));
    let entry = RecordDecision {
        ticket,
        approval_id,
        record: outcome.record.clone(),
        comments: admission.comments.clone(),
    };
    let what = format!(
        "record {} {} by {}",
        stamped.gate,
        stamped.decision,
        shorten(&stamped.by, 60)
    );
    let options = RECORD_DECISION.options(what);
    call_surely(ctx, LedgerActivities::record_decision, entry, options).await;
    if outcome.record.refused.is_some() || outcome.approvals_missing > 0 {
        return Effect::Nothing;
    }
    let by = outcome.record.by;
    match (stamped.decision, admission.comments) {
        (Verdict::Approve, comments) => Effect::Answer(Answer::Approved {
            by: ctx.state(TicketWorkflow::approver_names),
            comments,
        }),
        (Verdict::Revise, Some(comments)) => Effect::Answer(Answer::Revise { by, comments }),
        // The rules refuse a revision without comments, and comments are stored.
        (Verdict::Revise, None) => Effect::Nothing,
        (Verdict::Reject, comments) => Effect::Answer(Answer::Rejected { by, comments }),
    }
}

async fn settle_command(
    ctx: &Ctx,
    id: Uuid,
    command: Command,
    arrival: Arrival,
    refused: Option<String>,
) -> Effect {
    let ticket = ctx.state(|ticket| ticket.key());
    let stamped = Command {
        id: Some(id),
        ..command
    };
    let admit = AdmitCommand {
        ticket: ticket.clone(),
        command: stamped.clone(),
    };
    let what = format!("check who commanded: {}", shorten(&stamped.by, 60));
    let options = ADMIT_COMMAND.options(what);
    let admission = call_surely(ctx, LedgerActivities::admit_command, admit, options).await;
    let outcome =
        ctx.state_mut(|ticket| ticket.count_command(&stamped, arrival, refused, &admission));
    let extended = outcome.deadline.and_then(|deadline| {
        ctx.state(|ticket| {
            ticket
                .status
                .open_gate
                .as_ref()
                .map(|gate| gate.approval_id)
        })
        .map(|approval_id| ExtendedGate {
            approval_id,
            deadline,
        })
    });
    let entry = RecordCommand {
        ticket,
        record: outcome.record.clone(),
        from: stamped.from,
        raise: stamped.raise,
        seconds: stamped.seconds,
        extended,
    };
    let what = format!("record {} by {}", stamped.action, shorten(&stamped.by, 60));
    let options = RECORD_COMMAND.options(what);
    call_surely(ctx, LedgerActivities::record_command, entry, options).await;
    if outcome.record.refused.is_some() {
        return Effect::Nothing;
    }
    let (by, reason) = (outcome.record.by, outcome.record.reason);
    match stamped.action {
        Action::Retry => match outcome.goes_to {
            Some(to) => Effect::Accepted(Accepted::Retry { to, by, reason }),
            None => Effect::Nothing,
        },
        Action::Abandon => Effect::Accepted(Accepted::Abandon { by, reason }),
        Action::Reopen => Effect::Accepted(Accepted::Reopen { by }),
        Action::Extend => {
            super::transition::show(ctx);
            Effect::Nothing
        }
        Action::Cancel => Effect::Cancel {
            reason: reason.unwrap_or_else(|| format!("cancelled by {by}")),
        },
    }
}
