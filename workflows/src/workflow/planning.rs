//! A SPEC is written.

use super::{
    Ctx, intake,
    step::{Step, call, next_key, park},
    transition::{self, SYSTEM},
};
use crate::{
    State,
    activities::{
        LOAD_POLICY, LoadPolicy, PLAN, PinnedPolicy, PlanInput, PlanningActivities, RevisedSpec,
    },
    failure::kind,
    spec::SpecRef,
    ticket::TicketSummary,
};

/// Pins base commit and policy and has the planner write a SPEC, in the light of what was asked to be revised.
pub(super) async fn plan(
    ctx: &Ctx,
    summary: &TicketSummary,
    revised: &[RevisedSpec],
) -> Step<(SpecRef, PinnedPolicy)> {
    if revised.is_empty() {
        transition::enter(ctx, State::Planning, SYSTEM, None).await?;
        intake::announce(ctx).await;
    }
    let (ticket, repository_url, installation, left) = ctx.state(|ticket| {
        let left = ticket
            .policy
            .budget
            .cost_micro_usd
            .saturating_sub(ticket.status.usage.cost_micro_usd);
        (
            ticket.key(),
            ticket.status.repository_url.clone(),
            ticket.policy.clone(),
            left,
        )
    });
    if left == 0 {
        return Err(park(
            kind::BUDGET,
            "plan",
            "the ticket's budget is used up; an admin can raise it",
        ));
    }
    let load = LoadPolicy {
        ticket,
        repository_url: repository_url.clone(),
        installation,
    };
    let pinned = call(
        ctx,
        PlanningActivities::load_policy,
        load,
        LOAD_POLICY,
        "pin base commit and .sallyport.toml",
    )
    .await?;
    let input = PlanInput {
        key: next_key(ctx),
        summary: summary.clone(),
        repository_url,
        pinned: pinned.clone(),
        revised: revised.to_vec(),
        cost_left_micro_usd: left,
    };
    let what = format!("write SPEC, round {}", revised.len() + 1);
    let planned = call(ctx, PlanningActivities::plan, input, PLAN, &what).await?;
    ctx.state_mut(|ticket| {
        ticket.status.usage += planned.usage;
        ticket.status.spec = Some(planned.spec.clone());
    });
    Ok((planned.spec, pinned))
}
