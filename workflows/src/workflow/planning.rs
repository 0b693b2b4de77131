//! PLANNING: a SPEC is written.

use super::{
    Ctx, intake,
    step::{Step, call, next_key, park, tell},
    transition::Move,
};
use crate::{
    State,
    activities::{
        LOAD_POLICY, LoadPolicy, PLAN, PlanInput, PlanningActivities, TicketEvent, TicketStatusName,
    },
    failure::kind,
    ticket::TicketSummary,
    usage::Spent,
};

/// Pins base commit and policy and has the planner write a SPEC, in the light of what was asked to be revised.
pub(super) async fn plan(ctx: &Ctx) -> Step<Move> {
    if ctx.state(|ticket| ticket.status.edits.is_some()) {
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
        ticket.status.spec = Some(planned.spec);
        ticket.memory.seen = planned.seen;
        ticket.memory.revised.clear();
    });
    Ok(Move::on(State::AwaitingSpecApproval))
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
