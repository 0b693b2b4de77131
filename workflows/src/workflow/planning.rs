//! PLANNING: a SPEC is written. Where the ticket does not say enough the planner asks on it, and the ticket waits for
//! answers.

use std::time::Duration;

use super::{
    Ctx, TicketWorkflow, intake, now,
    step::{Step, call, next_key, park, tell},
    transition::{self, Move},
    waiting::{self, Woken},
};
use crate::{
    State,
    activities::{
        LOAD_POLICY, LoadPolicy, PLAN, PlanInput, PlanOutcome, PlanningActivities, TicketEvent,
        TicketStatusName,
    },
    failure::kind,
    questions::{MAXIMUM_QUESTIONS, OpenQuestions},
    ticket::TicketSummary,
    usage::Spent,
};

/// Has a SPEC written, after as many questions to the people of the ticket as the planner may ask.
pub(super) async fn plan(ctx: &Ctx) -> Step<Move> {
    loop {
        // An earlier run may have begun to wait.
        if ctx.state(|ticket| ticket.status.questions.is_some()) {
            wait_for_answers(ctx).await?;
        }
        match plan_once(ctx).await? {
            PlanOutcome::Spec(spec) => {
                ctx.state_mut(|ticket| ticket.status.spec = Some(spec));
                return Ok(Move::on(State::AwaitingSpecApproval));
            }
            PlanOutcome::Questions(questions) => ask(ctx, questions).await,
        }
    }
}

/// Pins base commit and policy and has the planner write a SPEC, in the light of what was asked to be revised.
async fn plan_once(ctx: &Ctx) -> Step<PlanOutcome> {
    if ctx.state(|ticket| ticket.status.edits.is_some() || ticket.memory.reread) {
        intake::read(ctx).await?;
    }
    let summary = summary(ctx)?;
    announce(ctx).await;
    ctx.state_mut(|ticket| {
        ticket.forget_work();
        ticket.memory.base_change = None;
    });
    money_left(ctx)?;
    let load = ctx.state(|ticket| LoadPolicy {
        ticket: ticket.key(),
        repository_url: ticket.status.repository_url.clone(),
        installation: ticket.input.installation_policy.clone(),
        planner: ticket.memory.planner.clone(),
    });
    let what = "pin base commit and .sallyport.toml";
    let pinned = call(
        ctx,
        PlanningActivities::load_policy,
        load,
        LOAD_POLICY,
        what,
    )
    .await?;
    ctx.state_mut(|ticket| {
        ticket.memory.policy = pinned.effective.clone();
        ticket.memory.planner.clone_from(&pinned.planner);
        ticket.memory.pinned = Some(pinned.clone());
    });
    // The repository may allow less than the installation.
    let left = money_left(ctx)?;
    let key = next_key(ctx);
    let (input, round) = ctx.state(|ticket| {
        let round = ticket.status.rounds.revisions + 1;
        let input = PlanInput {
            key,
            summary,
            repository_url: ticket.status.repository_url.clone(),
            pinned,
            seen: ticket.memory.seen.clone(),
            revised: ticket.memory.revised.clone(),
            cost_left_micro_usd: left,
            questions_left: MAXIMUM_QUESTIONS.saturating_sub(ticket.memory.questions_asked),
        };
        (input, round)
    });
    let what = format!("write SPEC, round {round}");
    let planned = call(ctx, PlanningActivities::plan, input, PLAN, &what).await?;
    ctx.state_mut(|ticket| {
        let spent = Spent {
            usage: planned.usage,
            agent_seconds: 0,
        };
        ticket.spend(&spent, true);
        ticket.memory.seen = planned.seen;
        ticket.memory.revised.clear();
    });
    Ok(planned.outcome)
}

/// Puts the planner's questions to the people of the ticket.
async fn ask(ctx: &Ctx, questions: Vec<String>) {
    let asked_at = now(ctx);
    let deadline = ctx.state_mut(|ticket| {
        let seconds = ticket.memory.policy.questions_seconds;
        let deadline = asked_at + Duration::from_secs(seconds);
        let count = u32::try_from(questions.len()).unwrap_or(MAXIMUM_QUESTIONS);
        ticket.memory.questions_asked = ticket.memory.questions_asked.saturating_add(count);
        // What was said while the planner worked may be an answer.
        ticket.memory.answered = ticket.status.edits.is_some();
        ticket.status.deadline = Some(deadline);
        ticket.status.questions = Some(OpenQuestions {
            questions: questions.clone(),
            asked_at,
        });
        deadline
    });
    transition::waits_since(ctx, Some(asked_at));
    transition::show(ctx);
    let questions = TicketEvent::Questions {
        questions,
        deadline: deadline.to_rfc3339(),
    };
    tell(ctx, questions, "comment: the planner asks").await;
}

/// Waits until the people of the ticket have said something on it, and then have nothing more to say for a while. In silence
/// the ticket is parked.
async fn wait_for_answers(ctx: &Ctx) -> Step<()> {
    let what = "the planner's questions are answered";
    let answered = |ticket: &TicketWorkflow| ticket.memory.answered;
    let woken = loop {
        match waiting::wait(ctx, what, answered).await? {
            Woken::Reminder => {}
            woken => break woken,
        }
    };
    let (pause, deadline) = ctx.state(|ticket| {
        let pause = Duration::from_secs(ticket.memory.policy.answer_pause_seconds);
        (pause, ticket.status.deadline.unwrap_or_default())
    });
    if woken == Woken::Ready {
        while ctx.state_mut(|ticket| std::mem::take(&mut ticket.memory.answered)) {
            if now(ctx) < deadline {
                waiting::pause(ctx, pause, "more answers may come").await?;
            }
        }
    }
    waiting::end(ctx);
    ctx.state_mut(|ticket| {
        ticket.status.questions = None;
        ticket.memory.reread = true;
    });
    transition::waits_since(ctx, None);
    transition::show(ctx);
    match woken {
        Woken::Ready | Woken::Reminder => Ok(()),
        Woken::Expired => {
            let message = format!(
                "nobody answered the planner's questions on the ticket until {}; answer them there and retry, or retry as it \
                 is: a planner that may ask no more says in the SPEC what it assumes",
                deadline.format("%Y-%m-%d %H:%M:%S UTC")
            );
            Err(park(kind::QUESTIONS_UNANSWERED, "plan", message))
        }
    }
}

/// What the planner may still spend on this ticket, if it is anything.
fn money_left(ctx: &Ctx) -> Step<u64> {
    let left = ctx.state(|ticket| {
        let (budget, status) = (ticket.memory.budget(), &ticket.status);
        let whole = budget
            .cost_micro_usd
            .saturating_sub(status.usage.cost_micro_usd);
        let planning = budget
            .planning_cost_micro_usd
            .saturating_sub(status.planning_usage.cost_micro_usd);
        whole.min(planning)
    });
    if left == 0 {
        let message = "what the planner may spend on this ticket is used up; an admin can raise it: sallyport retry ID \
                       --add-cost USD";
        return Err(park(kind::BUDGET, "plan", message));
    }
    Ok(left)
}

/// The ticket's head, without which nothing can be planned or done.
pub(super) fn summary(ctx: &Ctx) -> Step<TicketSummary> {
    ctx.state(|ticket| ticket.status.summary.clone())
        .ok_or_else(|| {
            park(
                kind::STEP_FAILED,
                "fetch_ticket",
                "the ticket was not read yet: retry from PENDING",
            )
        })
}

/// Tells the ticket's readers that work begins, once.
async fn announce(ctx: &Ctx) {
    if ctx.state_mut(|ticket| std::mem::replace(&mut ticket.memory.announced, true)) {
        return;
    }
    tell(ctx, TicketEvent::Started, "comment: started").await;
    intake::set_status(ctx, TicketStatusName::InProgress, "set status: In Progress").await;
}
