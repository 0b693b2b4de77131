//! How any gate opens, waits and closes. The gate is data in the workflow's state; waiting is a timer and nothing else.

use chrono::{DateTime, Utc};

use super::{
    Ctx, now,
    step::{Halt, Step, call, call_surely, call_whole, next_key, note},
    transition,
    waiting::{self, Woken},
};
use crate::{
    ObjectRef,
    activities::{
        CLOSE_GATE, CloseGate, GateClosing, LedgerActivities, OPEN_GATE, OpenGateRequest, REMIND,
        Remind,
    },
    gate::{BaseChange, Gate, OpenGate},
    policy::GatePolicy,
    search_attributes,
};

/// What people answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Enough of them approved.
    Approved {
        /// Who, separated by commas.
        by: String,
        /// What the last of them said, stored.
        comments: Option<ObjectRef>,
    },
    /// Somebody wants changes.
    Revise {
        /// Who.
        by: String,
        /// Which.
        comments: ObjectRef,
    },
    /// Somebody said no.
    Rejected {
        /// Who.
        by: String,
        /// Why, stored.
        comments: Option<ObjectRef>,
    },
    /// Nobody answered in time.
    Expired {
        /// Until when they could have.
        deadline: DateTime<Utc>,
    },
}

impl Answer {
    /// That nobody answered, for people.
    pub(super) fn silence(about: &str, deadline: DateTime<Utc>) -> String {
        format!(
            "nobody decided about {about} until {}",
            deadline.format("%Y-%m-%d %H:%M:%S UTC")
        )
    }
}

/// Exactly what a gate asks about.
pub(super) struct Question<'a> {
    pub(super) gate: Gate,
    pub(super) revision: &'a str,
    /// What to read before deciding.
    pub(super) content: &'a ObjectRef,
    pub(super) policy: &'a GatePolicy,
    /// Why it is asked again.
    pub(super) base_change: Option<BaseChange>,
}

/// Opens a gate. The one that an earlier run opened and left open for this one stays as it is; the answer says whether it
/// was opened now, so that people are told once.
pub(super) async fn open(ctx: &Ctx, question: Question<'_>) -> Step<(OpenGate, bool)> {
    if let Some(open) = ctx.state(|ticket| ticket.status.open_gate.clone()) {
        return Ok((open, false));
    }
    let key = next_key(ctx);
    let request = OpenGateRequest {
        approval_id: key.ticket.child_id("approval", key.sequence),
        ticket: key.ticket,
        gate: question.gate,
        revision: question.revision.to_owned(),
        content: question.content.clone(),
        policy: question.policy.clone(),
        reporter: ctx.state(|ticket| {
            let summary = ticket.status.summary.as_ref();
            summary.map_or_else(String::new, |summary| summary.reporter.clone())
        }),
        opened_at: now(ctx),
        base_change: question.base_change,
    };
    // Whole: a gate that is on record is closed on record, also when the ticket is cancelled in this moment.
    let options = OPEN_GATE.options(format!("open gate {}", question.gate));
    let open = LedgerActivities::open_gate;
    let opening = (question.gate, question.revision.to_owned());
    ctx.state_mut(|ticket| ticket.reception.opening = Some(opening));
    let opened = call_whole(ctx, open, request, options).await;
    ctx.state_mut(|ticket| ticket.reception.opening = None);
    let gate = opened?;
    ctx.state_mut(|ticket| {
        ticket.memory.approvers.clear();
        ticket.memory.reminded = 0;
        ticket.status.deadline = Some(gate.deadline);
        ticket.status.open_gate = Some(gate.clone());
    });
    if !gate.approvers.is_empty() {
        let assignees = search_attributes::ASSIGNEE.value_set(gate.approvers.clone());
        ctx.upsert_search_attributes([assignees]);
    }
    transition::show(ctx);
    Ok((gate, true))
}

/// Waits until the open gate is decided or its time is up; people are reminded before. May be called again where an
/// approval could not be acted on: the deadline stays.
pub(super) async fn wait(ctx: &Ctx) -> Step<Answer> {
    let Some(gate) = ctx.state(|ticket| ticket.status.open_gate.as_ref().map(|open| open.gate))
    else {
        return Err(Halt::Cancelled);
    };
    let what = format!("gate {gate} closes");
    loop {
        match waiting::wait(ctx, &what, |ticket| ticket.reception.answer.is_some()).await? {
            Woken::Ready => {
                if let Some(answer) = ctx.state(|ticket| ticket.reception.answer.clone()) {
                    return Ok(answer);
                }
            }
            Woken::Reminder => remind(ctx).await?,
            Woken::Expired => {
                let deadline = ctx.state(|ticket| ticket.status.deadline.unwrap_or_default());
                return Ok(Answer::Expired { deadline });
            }
        }
    }
}

/// Forgets an approval that could not be acted on: the gate stays open, and asks everybody again.
pub(super) fn ask_again(ctx: &Ctx) {
    ctx.state_mut(|ticket| {
        ticket.reception.answer = None;
        ticket.memory.approvers.clear();
    });
    transition::show(ctx);
}

async fn remind(ctx: &Ctx) -> Step<()> {
    let reminder = ctx.state_mut(|ticket| {
        let gate = ticket.status.open_gate.clone()?;
        let planned_at = *gate.reminders.get(ticket.memory.reminded)?;
        ticket.memory.reminded += 1;
        Some(Remind {
            ticket: ticket.key(),
            gate,
            planned_at,
        })
    });
    let Some(reminder) = reminder else {
        return Ok(());
    };
    let what = format!("remind of gate {}", reminder.gate.gate);
    match call(ctx, LedgerActivities::remind, reminder, REMIND, &what).await {
        Err(Halt::Park(_, failure)) => {
            note(
                ctx,
                format!("a reminder could not be sent: {}", failure.message),
            );
            Ok(())
        }
        other => other,
    }
}

/// Closes the open gate and puts on record how. Decisions that are still on their way are refused by the reception.
pub(super) async fn close(ctx: &Ctx, answer: &Answer) {
    let (closing, by) = match answer {
        Answer::Approved { by, .. } => (GateClosing::Approved, Some(by.clone())),
        Answer::Revise { by, .. } => (GateClosing::Revised, Some(by.clone())),
        Answer::Rejected { by, .. } => (GateClosing::Rejected, Some(by.clone())),
        Answer::Expired { .. } => (GateClosing::Expired, None),
    };
    close_as(ctx, closing, by).await;
}

/// Closes the open gate in the way named, if one is open. Runs also when the workflow was cancelled.
pub(super) async fn close_as(ctx: &Ctx, closing: GateClosing, by: Option<String>) {
    let closed = ctx.state_mut(|ticket| {
        ticket.reception.answer = None;
        let gate = ticket.status.open_gate.take();
        gate.map(|gate| (ticket.key(), gate))
    });
    let Some((ticket, gate)) = closed else { return };
    waiting::end(ctx);
    if !gate.approvers.is_empty() {
        ctx.upsert_search_attributes([search_attributes::unset(
            search_attributes::ASSIGNEE.name(),
        )]);
    }
    let close = CloseGate {
        ticket,
        approval_id: gate.approval_id,
        closing,
        by,
        at: now(ctx),
    };
    let summary = format!("close gate {}: {}", gate.gate, closing.as_str());
    let options = CLOSE_GATE.options(summary);
    call_surely(ctx, LedgerActivities::close_gate, close, options).await;
}
