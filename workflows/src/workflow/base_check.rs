//! SPEC_APPROVED: is the base branch still what the SPEC assumes? Time may have passed since it was written.

use super::{
    Ctx,
    memory::Work,
    spec_gate::no_spec,
    step::{Step, call},
    transition::{Move, SYSTEM},
};
use crate::{
    State,
    activities::{AgentTask, BaseCheck, CHECK_BASE, ChangedBase, CheckBase, PlanningActivities},
    text::count,
};

/// Lets the agent begin, or has people asked again where a file in scope changed meanwhile.
pub(super) async fn check(ctx: &Ctx) -> Step<Move> {
    let input = ctx.state(|ticket| {
        let pinned = ticket.memory.pinned.as_ref()?;
        Some(CheckBase {
            ticket: ticket.key(),
            repository_url: ticket.status.repository_url.clone(),
            spec: ticket.status.spec.clone()?,
            policy: pinned.policy.clone(),
            base_branch: pinned.base_branch.clone(),
            installation: ticket.input.installation_policy.clone(),
        })
    });
    let input = input.ok_or_else(no_spec)?;
    let what = "compare the base branch with the SPEC";
    match call(ctx, PlanningActivities::check_base, input, CHECK_BASE, what).await? {
        BaseCheck::Unchanged => {
            ctx.state_mut(|ticket| {
                ticket.memory.base_change = None;
                ticket.memory.work = Work::new(AgentTask::Implement);
            });
            Ok(Move::on(State::Executing))
        }
        BaseCheck::Changed(changed) => {
            let ChangedBase {
                spec,
                pinned,
                change,
            } = *changed;
            let reason = format!(
                "the base branch changed {} in scope since the SPEC was written, such as {}",
                count(change.files.into(), "file"),
                change.first
            );
            ctx.state_mut(|ticket| {
                ticket.forget_work();
                ticket.memory.policy = pinned.effective.clone();
                ticket.memory.pinned = Some(pinned);
                ticket.memory.base_change = Some(change);
                ticket.status.spec = Some(spec);
            });
            Ok(Move::because(State::AwaitingSpecApproval, SYSTEM, reason))
        }
    }
}
