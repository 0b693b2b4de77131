//! AWAITING_SCOPE_APPROVAL: a person decides whether the agent may change further files. Whatever is answered, the agent
//! goes on in the same session, and silence is a no.

use temporalio_sdk::workflows::join;

use super::{
    Ctx,
    memory::ScopeAnswer,
    question::{self, Answer, Question},
    step::{Step, park, tell},
    transition::{Move, SYSTEM},
};
use crate::{State, activities::TicketEvent, failure::kind, gate::Gate, text::count};

/// Asks whether the agent gets the files.
pub(super) async fn ask(ctx: &Ctx) -> Step<Move> {
    let (request, policy) = ctx.state(|ticket| {
        (
            ticket.memory.work.request.clone(),
            ticket.memory.policy.scope_gate.clone(),
        )
    });
    let request = request.ok_or_else(|| {
        let message = "there is no request for more scope: retry from EXECUTING";
        park(kind::STEP_FAILED, "run_agent", message)
    })?;
    let question = Question {
        gate: Gate::Scope,
        revision: &request.revision,
        content: &request.content,
        policy: &policy,
        base_change: None,
    };
    let (gate, is_new) = question::open(ctx, question).await?;
    let telling = async {
        if is_new {
            let event = TicketEvent::ScopeRequested {
                first: request.first.clone(),
                count: request.count,
                reason: request.reason.clone(),
                deadline: gate.deadline.to_rfc3339(),
            };
            tell(ctx, event, "comment: the agent asks for more files").await;
        }
    };
    let ((), answer) = join!(telling, question::wait(ctx));
    let answer = answer?;
    question::close(ctx, &answer).await;
    let (granted, by, comments, reason) = match answer {
        Answer::Approved { by, comments } => {
            let reason = format!(
                "{by} grants the agent {}",
                count(request.count.into(), "more file")
            );
            (true, by, comments, reason)
        }
        // The rules refuse REVISE at this gate; should one come through, it is no approval.
        Answer::Revise { by, comments } => {
            let reason = format!("{by} refuses the agent more files");
            (false, by, Some(comments), reason)
        }
        Answer::Rejected { by, comments } => {
            let reason = format!("{by} refuses the agent more files");
            (false, by, comments, reason)
        }
        Answer::Expired { .. } => {
            let reason = "nobody answered the agent's request in time: refused".to_owned();
            (false, SYSTEM.to_owned(), None, reason)
        }
    };
    ctx.state_mut(|ticket| {
        if granted {
            ticket.status.grants.push(request.content.clone());
        }
        let work = &mut ticket.memory.work;
        work.request = None;
        work.answer = Some(ScopeAnswer {
            request: request.content.clone(),
            granted,
            comments,
        });
    });
    Ok(Move::because(State::Executing, &by, reason))
}
