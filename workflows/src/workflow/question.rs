//! How any gate opens, waits and closes. The gate is data in the workflow's state; waiting is a timer and nothing else.

use std::{pin::pin, time::Duration};

use temporalio_sdk::{CancellableFuture, TimerOptions, workflows::select};

use super::{
    Ctx, details, now,
    reception::{self, Settled},
    step::{Step, call, call_detached, next_key},
};
use crate::{
    ObjectRef,
    activities::{
        CLOSE_GATE, CloseGate, GateClosing, LedgerActivities, OPEN_GATE, OpenGateRequest,
    },
    decision::Verdict,
    gate::{Gate, OpenGate},
    policy::GatePolicy,
};

/// A gate that was opened and not yet closed.
pub(super) struct Question {
    /// The gate as everybody sees it.
    pub(super) gate: OpenGate,
}

/// What people answered.
pub(super) enum Answer {
    /// Enough of them approved.
    Approved {
        /// Who, separated by commas.
        by: String,
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
    },
    /// Nobody answered in time.
    Expired,
}

impl Question {
    /// Opens a gate about exactly one revision.
    pub(super) async fn open(
        ctx: &Ctx,
        gate: Gate,
        revision: &str,
        content: &ObjectRef,
        policy: &GatePolicy,
    ) -> Step<Self> {
        let key = next_key(ctx);
        let request = OpenGateRequest {
            approval_id: key.ticket.child_id("approval", key.sequence),
            ticket: key.ticket,
            gate,
            revision: revision.to_owned(),
            content: content.clone(),
            approvals_needed: policy.approvals.max(1),
            opened_at: now(ctx),
            timeout_seconds: policy.timeout_seconds,
        };
        let summary = format!("open gate {gate}");
        let gate = call(
            ctx,
            LedgerActivities::open_gate,
            request,
            OPEN_GATE,
            &summary,
        )
        .await?;
        ctx.state_mut(|ticket| {
            ticket.approvers.clear();
            ticket.status.open_gate = Some(gate.clone());
        });
        show(ctx);
        Ok(Self { gate })
    }

    /// Waits until the gate is decided or its time is up. May be called again for the same gate where an approval could
    /// not be acted on: the deadline stays.
    pub(super) async fn wait(&self, ctx: &Ctx) -> Step<Answer> {
        let left = (self.gate.deadline - now(ctx))
            .to_std()
            .unwrap_or(Duration::ZERO);
        let summary = format!("gate {} closes", self.gate.gate);
        let timer = ctx.timer(TimerOptions::builder(left).summary(summary).build());
        let mut timer = pin!(timer);
        ctx.state_mut(|ticket| ticket.approvers.clear());
        loop {
            while let Some(settled) = reception::settle_next(ctx).await? {
                if let Some(answer) = self.answer(ctx, settled) {
                    // Dropping the timer would leave it running on the server.
                    timer.cancel();
                    return Ok(answer);
                }
            }
            // A decision that came before the deadline is looked at before the timer.
            select! {
                waited = ctx.wait_condition(|ticket| !ticket.inbox.is_empty()) => waited?,
                _ = timer.as_mut() => return Ok(Answer::Expired),
            }
        }
    }

    /// Closes the gate and puts on record how. Decisions that were still on their way are told.
    pub(super) async fn close(&self, ctx: &Ctx, answer: &Answer) -> Step<()> {
        let (closing, by) = match answer {
            Answer::Approved { by } => (GateClosing::Approved, Some(by.clone())),
            Answer::Revise { by, .. } => (GateClosing::Revised, Some(by.clone())),
            Answer::Rejected { by } => (GateClosing::Rejected, Some(by.clone())),
            Answer::Expired => (GateClosing::Expired, None),
        };
        self.close_as(ctx, closing, by).await
    }

    /// Closes the gate in the way named.
    pub(super) async fn close_as(
        &self,
        ctx: &Ctx,
        closing: GateClosing,
        by: Option<String>,
    ) -> Step<()> {
        close(ctx, &self.gate, closing, by).await
    }

    fn answer(&self, ctx: &Ctx, settled: Settled) -> Option<Answer> {
        let by = settled.outcome.record.by;
        match settled.outcome.record.decision {
            Verdict::Approve if settled.outcome.approvals_missing > 0 => None,
            Verdict::Approve => {
                let names = ctx.state(|ticket| ticket.approver_names(&self.gate));
                Some(Answer::Approved {
                    by: names.join(", "),
                })
            }
            Verdict::Revise => settled
                .comments
                .map(|comments| Answer::Revise { by, comments }),
            Verdict::Reject => Some(Answer::Rejected { by }),
        }
    }
}

/// Closes an open gate: no decision counts for it any more. Runs also when the workflow was cancelled.
pub(super) async fn close(
    ctx: &Ctx,
    gate: &OpenGate,
    closing: GateClosing,
    by: Option<String>,
) -> Step<()> {
    let ticket = ctx.state_mut(|ticket| {
        ticket.status.open_gate = None;
        ticket.key()
    });
    let close = CloseGate {
        ticket,
        approval_id: gate.approval_id,
        closing,
        by,
        at: now(ctx),
    };
    let summary = format!("close gate {}: {}", gate.gate, closing.as_str());
    call_detached(
        ctx,
        LedgerActivities::close_gate,
        close,
        CLOSE_GATE.options(summary),
    )
    .await?;
    reception::settle_all(
        ctx,
        &format!("gate {} is closed: {}", gate.gate, closing.as_str()),
    )
    .await;
    Ok(())
}

/// Brings what the Temporal UI shows up to date.
pub(super) fn show(ctx: &Ctx) {
    ctx.set_current_details(ctx.state(|ticket| details::markdown(&ticket.status)));
}
