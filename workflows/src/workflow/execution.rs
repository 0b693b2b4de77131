//! EXECUTING: the agent works in the sealed room.

use super::{
    Ctx,
    host::call_on_host,
    memory::Request,
    now,
    planning::summary,
    spec_gate::no_spec,
    step::{Step, next_key, park},
    transition::{Move, SYSTEM},
};
use crate::{
    State,
    activities::{
        AgentResult, AgentRun, AgentTask, PREPARE_WORKSPACE, PrepareWorkspace, RUN_AGENT, RunAgent,
        WorkspaceActivities,
    },
    failure::kind,
    text,
    usage::Spent,
};

/// Lets the agent do its piece of work, with one round to undo what it changed outside the scope.
pub(super) async fn work(ctx: &Ctx) -> Step<Move> {
    if !ctx.state(|ticket| ticket.memory.work.prepared) {
        prepare(ctx).await?;
    }
    loop {
        let run = run_agent(ctx).await?;
        match run.result {
            AgentResult::Committed { commit, diff, .. } => {
                ctx.state_mut(|ticket| {
                    ticket.status.head_commit = Some(commit);
                    ticket.status.diff = Some(diff);
                    ticket.memory.work.summary = run.summary;
                    ticket.memory.work.mend = None;
                });
                return Ok(Move::on(State::QaRunning));
            }
            AgentResult::ScopeRequested {
                request,
                revision,
                count,
                first,
                reason,
            } => {
                let request = Request {
                    content: request,
                    revision,
                    count,
                    first,
                    reason,
                };
                return ask_for_scope(ctx, request);
            }
            AgentResult::OutOfScope {
                paths,
                count,
                first,
            } => {
                let second =
                    ctx.state_mut(|ticket| ticket.memory.work.mend.replace(paths).is_some());
                if second {
                    let message = format!(
                        "the agent changed {} outside the SPEC's scope, also after it was told: {first}",
                        text::count(count.into(), "file")
                    );
                    return Err(park(kind::OUT_OF_SCOPE, "run_agent", message));
                }
            }
            AgentResult::NoChanges => {
                let message = "the agent ended and had changed nothing: read its log";
                return Err(park(kind::NO_CHANGES, "run_agent", message));
            }
        }
    }
}

/// Lays the workspace out: at the agent's latest commit, or at the SPEC's base.
async fn prepare(ctx: &Ctx) -> Step<()> {
    let input = ctx.state(|ticket| {
        let spec = ticket.status.spec.clone()?;
        Some(PrepareWorkspace {
            ticket: ticket.key(),
            repository_url: ticket.status.repository_url.clone(),
            policy: ticket.memory.pinned.as_ref()?.policy.clone(),
            start_commit: ticket
                .status
                .head_commit
                .clone()
                .unwrap_or_else(|| spec.base_commit.clone()),
            spec,
        })
    });
    let input = input.ok_or_else(no_spec)?;
    let prepare = || WorkspaceActivities::prepare_workspace;
    let options = PREPARE_WORKSPACE.options("lay out the workspace");
    call_on_host(ctx, prepare, input, options).await?;
    ctx.state_mut(|ticket| ticket.memory.work.prepared = true);
    Ok(())
}

/// The agent's wish goes to the people, if it has one left.
fn ask_for_scope(ctx: &Ctx, request: Request) -> Step<Move> {
    let (used, allowed) = ctx.state_mut(|ticket| {
        ticket.status.rounds.scope_requests += 1;
        (
            ticket.status.rounds.scope_requests,
            ticket.memory.budget().scope_requests,
        )
    });
    if used > allowed {
        let message = format!(
            "the agent asked for more scope {used} times and {allowed} requests are allowed; an admin can allow more: \
             sallyport retry ID --add-scope-requests 1"
        );
        return Err(park(kind::BUDGET, "run_agent", message));
    }
    let reason = match request.count {
        1 => format!("the agent asks for {}", request.first),
        count => format!(
            "the agent asks for {count} more files, such as {}",
            request.first
        ),
    };
    ctx.state_mut(|ticket| ticket.memory.work.request = Some(request));
    Ok(Move::because(State::AwaitingScopeApproval, SYSTEM, reason))
}

async fn run_agent(ctx: &Ctx) -> Step<AgentRun> {
    let input = input(ctx)?;
    let session = input.session;
    let what = match &input.task {
        AgentTask::Implement => "agent: carry out the SPEC",
        AgentTask::MendScope { .. } => "agent: undo changes outside the scope",
        AgentTask::Repair { .. } => "agent: repair what QA found",
        AgentTask::ChangesRequested { .. } => "agent: make the changes requested",
        AgentTask::ScopeAnswered { granted: true, .. } => "agent: go on with the files granted",
        AgentTask::ScopeAnswered { granted: false, .. } => "agent: go on without the files",
    };
    let agent = || WorkspaceActivities::run_agent;
    let run = call_on_host(ctx, agent, input, RUN_AGENT.options(what)).await?;
    ctx.state_mut(|ticket| {
        let spent = Spent {
            usage: run.usage,
            agent_seconds: run.seconds,
        };
        ticket.spend(&spent, false);
        let work = &mut ticket.memory.work;
        work.seconds += run.seconds;
        work.answer = None;
        let waits = matches!(run.result, AgentResult::ScopeRequested { .. });
        work.session = waits.then_some(session);
    });
    Ok(run)
}

fn input(ctx: &Ctx) -> Step<RunAgent> {
    let summary = summary(ctx)?;
    let key = next_key(ctx);
    let committed_at = now(ctx);
    let input = ctx.state(|ticket| {
        let (budget, status, work) = (ticket.memory.budget(), &ticket.status, &ticket.memory.work);
        let spec = status.spec.clone()?;
        let run_seconds = budget.agent_seconds.saturating_sub(work.seconds);
        let all_seconds = budget
            .total_agent_seconds
            .saturating_sub(status.agent_seconds);
        Some(RunAgent {
            session: work.session.unwrap_or(key.sequence),
            key,
            summary,
            repository_url: status.repository_url.clone(),
            policy: ticket.memory.pinned.as_ref()?.policy.clone(),
            grants: status.grants.clone(),
            scope_requests_left: budget
                .scope_requests
                .saturating_sub(status.rounds.scope_requests),
            task: work.next_task(),
            parent_commit: status
                .head_commit
                .clone()
                .unwrap_or_else(|| spec.base_commit.clone()),
            spec,
            committed_at,
            seconds: run_seconds.min(all_seconds),
            tokens_left: budget.tokens.saturating_sub(status.usage.tokens()),
            cost_left_micro_usd: budget
                .cost_micro_usd
                .saturating_sub(status.usage.cost_micro_usd),
        })
    });
    let input = input.ok_or_else(no_spec)?;
    let used_up = if input.cost_left_micro_usd == 0 {
        "money is used up; an admin can raise it: sallyport retry ID --add-cost USD"
    } else if input.tokens_left == 0 {
        "tokens are used up; an admin can raise them: sallyport retry ID --add-tokens N"
    } else if input.seconds == 0 {
        "time for the agent is used up; an admin can raise it: sallyport retry ID --add-agent-time 30m"
    } else {
        return Ok(input);
    };
    Err(park(
        kind::BUDGET,
        "run_agent",
        format!("the ticket's {used_up}"),
    ))
}
