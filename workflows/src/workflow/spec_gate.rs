//! Gate 1: a person decides about the SPEC.

use temporalio_sdk::workflows::join;

use super::{
    Ctx,
    question::{Answer, Question},
    step::{Step, park, tell},
    transition::{self, SYSTEM},
};
use crate::{ObjectRef, State, activities::TicketEvent, failure::kind, gate::Gate, spec::SpecRef};

/// What was decided.
pub(super) enum AtSpec {
    /// Carry out this SPEC.
    Approved {
        /// It.
        spec: SpecRef,
    },
    /// Write it anew.
    Revise {
        /// What to change.
        comments: ObjectRef,
        /// For people.
        reason: String,
    },
    /// Do nothing: by a person or by silence.
    Rejected {
        /// For people.
        reason: String,
    },
}

/// Asks at gate 1.
pub(super) async fn decide(ctx: &Ctx, spec: &SpecRef) -> Step<AtSpec> {
    transition::enter(ctx, State::AwaitingSpecApproval, SYSTEM, None).await?;
    let policy = ctx.state(|ticket| ticket.policy.spec_gate.clone());
    let question = Question::open(ctx, Gate::Spec, &spec.revision, &spec.text, &policy).await?;
    let ready = TicketEvent::SpecReady {
        revision: spec.revision.clone(),
        deadline: question.gate.deadline.to_rfc3339(),
    };
    // Side by side: a ticket system that is down must not keep anybody from deciding.
    let telling = tell(ctx, ready, "comment: SPEC waits for a decision");
    let ((), answer) = join!(telling, question.wait(ctx));
    let answer = answer?;
    question.close(ctx, &answer).await?;
    match answer {
        Answer::Approved { by } => {
            ctx.state_mut(|ticket| ticket.spec_approved_by = Some(by.clone()));
            let reason = format!("SPEC {} approved by {by}", &spec.revision[..8]);
            transition::enter(ctx, State::SpecApproved, &by, reason).await?;
            Ok(AtSpec::Approved { spec: spec.clone() })
        }
        Answer::Revise { by, comments } => {
            let reason = format!("SPEC {} sent back by {by}", &spec.revision[..8]);
            let (used, allowed) = ctx.state_mut(|ticket| {
                ticket.status.rounds.revisions += 1;
                (
                    ticket.status.rounds.revisions,
                    ticket.policy.budget.revisions,
                )
            });
            if used > allowed {
                let message = format!(
                    "the SPEC was sent back {used} times and {allowed} revisions are allowed"
                );
                return Err(park(kind::BUDGET, "plan", message));
            }
            transition::enter(ctx, State::Planning, &by, reason.clone()).await?;
            Ok(AtSpec::Revise { comments, reason })
        }
        Answer::Rejected { by } => {
            let reason = format!("SPEC {} rejected by {by}", &spec.revision[..8]);
            reject(ctx, &by, reason).await
        }
        Answer::Expired => {
            let hours = policy.timeout_seconds as f64 / 3600.0;
            reject(
                ctx,
                SYSTEM,
                format!("nobody decided about the SPEC within {hours} hours"),
            )
            .await
        }
    }
}

async fn reject(ctx: &Ctx, by: &str, reason: String) -> Step<AtSpec> {
    transition::enter(ctx, State::SpecRejected, by, reason.clone()).await?;
    tell(
        ctx,
        TicketEvent::SpecRejected {
            reason: reason.clone(),
        },
        "comment: SPEC rejected",
    )
    .await;
    Ok(AtSpec::Rejected { reason })
}
