//! AWAITING_SPEC_APPROVAL, gate 1: a person decides about the SPEC.

use temporalio_sdk::workflows::join;

use super::{
    Ctx,
    question::{self, Answer, Question},
    step::{Step, park, tell},
    transition::{Move, SYSTEM},
};
use crate::{
    ObjectRef, State,
    activities::{RevisedSpec, TicketEvent},
    failure::kind,
    gate::Gate,
    spec::SpecRef,
};

/// Asks whether the SPEC shall be carried out.
pub(super) async fn ask(ctx: &Ctx) -> Step<Move> {
    let (spec, policy, base_change) = ctx.state(|ticket| {
        (
            ticket.status.spec.clone(),
            ticket.memory.policy.spec_gate.clone(),
            ticket.memory.base_change.clone(),
        )
    });
    let spec = spec.ok_or_else(no_spec)?;
    let question = Question {
        gate: Gate::Spec,
        revision: &spec.revision,
        content: &spec.text,
        policy: &policy,
        base_change: base_change.clone(),
    };
    let (gate, is_new) = question::open(ctx, question).await?;
    // Side by side: a ticket system that is down must not keep anybody from deciding.
    let telling = async {
        if is_new {
            let ready = TicketEvent::SpecReady {
                revision: spec.revision.clone(),
                deadline: gate.deadline.to_rfc3339(),
                base_change,
            };
            tell(ctx, ready, "comment: SPEC waits for a decision").await;
        }
    };
    let ((), answer) = join!(telling, question::wait(ctx));
    let answer = answer?;
    question::close(ctx, &answer).await;
    let short = &spec.revision[..8];
    match answer {
        Answer::Approved { by, .. } => {
            ctx.state_mut(|ticket| ticket.memory.spec_approved_by = Some(by.clone()));
            let reason = format!("SPEC {short} approved by {by}");
            Ok(Move::because(State::SpecApproved, &by, reason))
        }
        Answer::Revise { by, comments } => revise(ctx, &spec, &by, comments),
        Answer::Rejected { by, .. } => {
            let reason = format!("SPEC {short} rejected by {by}");
            Ok(Move::because(State::SpecRejected, &by, reason))
        }
        Answer::Expired { deadline } => {
            let reason = Answer::silence("the SPEC", deadline);
            Ok(Move::because(State::SpecRejected, SYSTEM, reason))
        }
    }
}

fn revise(ctx: &Ctx, spec: &SpecRef, by: &str, comments: ObjectRef) -> Step<Move> {
    let (used, allowed) = ctx.state_mut(|ticket| {
        ticket.memory.revised.push(RevisedSpec {
            text: spec.text.clone(),
            comments,
        });
        ticket.status.rounds.revisions += 1;
        (
            ticket.status.rounds.revisions,
            ticket.memory.budget().revisions,
        )
    });
    if used > allowed {
        let message = format!(
            "the SPEC was sent back {used} times and {allowed} revisions are allowed; an admin can allow more: sallyport \
             retry ID --add-revisions 1"
        );
        return Err(park(kind::BUDGET, "plan", message));
    }
    let reason = format!("SPEC {} sent back by {by}", &spec.revision[..8]);
    Ok(Move::because(State::Planning, by, reason))
}

/// Only a mistake of this code leads here.
pub(super) fn no_spec() -> super::step::Halt {
    park(
        kind::STEP_FAILED,
        "plan",
        "there is no SPEC: retry from PLANNING",
    )
}
