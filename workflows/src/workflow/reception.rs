//! How decisions come in and what becomes of them. Handlers only check and store; the main routine acts. The rules are
//! in `decision_rules.rs`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Ctx,
    decision_rules::record,
    now,
    step::{Step, call_detached, note},
};
use crate::{
    ObjectRef,
    activities::{
        ADMIT_DECISION, AdmitDecision, LedgerActivities, RECORD_DECISION, RecordDecision,
    },
    decision::{Decision, DecisionOutcome, Reopening},
    failure::shorten,
    status::TicketStatus,
};

/// A decision that was taken in.
pub(super) struct Received {
    pub(super) id: Uuid,
    pub(super) decision: Decision,
    pub(super) at: DateTime<Utc>,
    /// Why it cannot count, if that was seen on arrival.
    pub(super) refused: Option<String>,
}

/// A decision that counted at the open gate.
pub(super) struct Settled {
    pub(super) outcome: DecisionOutcome,
    pub(super) comments: Option<ObjectRef>,
}

/// What became of a wish to reopen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum ReopeningAnswer {
    /// The pull request is open again.
    Reopened {
        /// How the ticket stands now.
        status: Box<TicketStatus>,
    },
    /// It stays closed.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Takes a decision in that came as an update, and waits until the main routine has looked at it.
pub(super) async fn receive_update(ctx: &Ctx, decision: Decision) -> DecisionOutcome {
    let at = now(ctx);
    // The validator has seen that there is one.
    let id = decision.id.unwrap_or_default();
    let known = ctx.state_mut(|ticket| {
        let known = ticket.knows(&id);
        if !known {
            ticket.inbox.push_back(Received {
                id,
                decision: decision.clone(),
                at,
                refused: None,
            });
        }
        known
    });
    let waited = ctx
        .wait_condition(|ticket| ticket.outcomes.contains_key(&id))
        .await;
    let outcome = ctx.state(|ticket| ticket.outcomes.get(&id).cloned());
    outcome.unwrap_or_else(|| {
        let reason = match waited {
            Err(_) => "the ticket was cancelled before the decision was counted",
            Ok(()) if known => "the decision is being looked at",
            Ok(()) => "the decision was not counted",
        };
        let record = record(
            id,
            &decision,
            at,
            false,
            Some(reason.to_owned()),
            decision.revision.clone(),
        );
        DecisionOutcome {
            record,
            approvals_missing: 0,
        }
    })
}

/// Looks at decisions in the order in which they came, until one counts. Nothing is left then, or the answer is there.
pub(super) async fn settle_next(ctx: &Ctx) -> Step<Option<Settled>> {
    while let Some(received) = take_next(ctx) {
        if let Some(settled) = settle(ctx, received).await? {
            return Ok(Some(settled));
        }
    }
    Ok(None)
}

/// Refuses the decisions that are still on their way, for the reason given.
pub(super) async fn settle_decisions(ctx: &Ctx, reason: &str) {
    while let Some(mut received) = take_next(ctx) {
        received.refused.get_or_insert_with(|| {
            let why = ctx.state(|ticket| ticket.why_closed(&received.decision));
            if why.contains("decided already") {
                why
            } else {
                reason.to_owned()
            }
        });
        // Recording is tried for ever, so only a mistake in this code could fail it; the note keeps it visible.
        if settle(ctx, received).await.is_err() {
            note(ctx, "a late decision could not be put on record".to_owned());
        }
    }
}

/// Refuses all that is still on its way: decisions, and wishes to reopen.
pub(super) async fn settle_all(ctx: &Ctx, reason: &str) {
    settle_decisions(ctx, reason).await;
    ctx.state_mut(|ticket| {
        for reopening in std::mem::take(&mut ticket.reopenings) {
            ticket.reopening_answers.insert(
                reopening.id,
                ReopeningAnswer::Refused {
                    reason: reason.to_owned(),
                },
            );
        }
    });
}

/// Takes the next decision out of the inbox. Until it is settled its id stays known, so that the same decision, sent
/// again meanwhile, is not taken for another.
fn take_next(ctx: &Ctx) -> Option<Received> {
    ctx.state_mut(|ticket| {
        let received = ticket.inbox.pop_front()?;
        ticket.settling = Some(received.id);
        Some(received)
    })
}

/// Looks at one decision and puts on record what became of it. Whoever waits for it gets an answer in any case.
async fn settle(ctx: &Ctx, received: Received) -> Step<Option<Settled>> {
    let (id, decision, at) = (received.id, received.decision.clone(), received.at);
    let settled = count_and_record(ctx, received).await;
    ctx.state_mut(|ticket| {
        ticket.settling = None;
        ticket.outcomes.entry(id).or_insert_with(|| {
            let reason = Some("the decision could not be put on record".to_owned());
            let revision = decision.revision.clone();
            DecisionOutcome {
                record: record(id, &decision, at, false, reason, revision),
                approvals_missing: 0,
            }
        });
    });
    settled
}

async fn count_and_record(ctx: &Ctx, received: Received) -> Step<Option<Settled>> {
    let Received {
        id,
        decision,
        at,
        refused,
    } = received;
    let ticket = ctx.state(|ticket| ticket.key());
    let stamped = Decision {
        id: Some(id),
        ..decision
    };
    let admit = AdmitDecision {
        ticket: ticket.clone(),
        decision: stamped.clone(),
    };
    let options =
        ADMIT_DECISION.options(format!("check who decided: {}", shorten(&stamped.by, 60)));
    let admission = call_detached(ctx, LedgerActivities::admit_decision, admit, options).await?;
    let (outcome, approval_id) =
        ctx.state_mut(|ticket| ticket.count(&stamped, at, refused, &admission));
    let entry = RecordDecision {
        ticket,
        approval_id,
        record: outcome.record.clone(),
        comments: admission.comments.clone(),
    };
    let summary = format!(
        "record {} {} by {}",
        stamped.gate,
        stamped.decision,
        shorten(&stamped.by, 60)
    );
    let options = RECORD_DECISION.options(summary);
    call_detached(ctx, LedgerActivities::record_decision, entry, options).await?;
    let counted = outcome.record.refused.is_none();
    ctx.state_mut(|ticket| ticket.outcomes.insert(id, outcome.clone()));
    Ok(counted.then_some(Settled {
        outcome,
        comments: admission.comments,
    }))
}

/// Takes a wish to reopen in, and waits for its answer.
pub(super) async fn receive_reopening(ctx: &Ctx, reopening: Reopening) -> ReopeningAnswer {
    let id = reopening.id;
    ctx.state_mut(|ticket| {
        let known = ticket.reopening_answers.contains_key(&id)
            || ticket.reopenings.iter().any(|wish| wish.id == id);
        if !known {
            ticket.reopenings.push_back(reopening);
        }
    });
    let _ = ctx
        .wait_condition(|ticket| ticket.reopening_answers.contains_key(&id))
        .await;
    ctx.state(|ticket| ticket.reopening_answers.get(&id).cloned())
        .unwrap_or(ReopeningAnswer::Refused {
            reason: "the ticket was cancelled before the pull request could be reopened".to_owned(),
        })
}
