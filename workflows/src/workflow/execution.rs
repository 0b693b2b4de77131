//! The agent works in the sealed room, and QA checks its commit.

use super::{
    Ctx, now,
    step::{Halt, Step, call, call_on, next_key, park},
    transition::{self, SYSTEM},
};
use crate::{
    State,
    activities::{
        AgentResult, AgentRun, AgentTask, CLAIM_HOST, HostClaim, PREPARE_WORKSPACE, PinnedPolicy,
        PrepareWorkspace, QaResult, RUN_AGENT, RUN_QA, RunAgent, RunQa, WorkspaceActivities,
    },
    failure::{Failure, kind},
    spec::SpecRef,
    ticket::TicketSummary,
};

/// A commit that passed QA.
pub(super) struct Work {
    /// Where its workspace is.
    pub(super) host: HostClaim,
    /// The commit, in the host's mirror.
    pub(super) commit: String,
    /// The agent's last words about it.
    pub(super) summary: String,
    /// What QA found.
    pub(super) qa: QaResult,
}

/// Lets the agent work and QA check, with a bounded number of repairs, until a commit passes.
pub(super) async fn execute(
    ctx: &Ctx,
    summary: &TicketSummary,
    spec: &SpecRef,
    pinned: &PinnedPolicy,
    mut task: AgentTask,
) -> Step<Work> {
    let reason = match &task {
        AgentTask::ChangesRequested { .. } => {
            Some("changes requested on the pull request".to_owned())
        }
        _ => None,
    };
    // Going back from gate 2 is a transition of its own, made where it was decided.
    if ctx.state(|ticket| ticket.status.state) != State::Executing {
        transition::enter(ctx, State::Executing, SYSTEM, reason).await?;
    }
    let ticket = ctx.state(|ticket| ticket.key());
    let claim = match ctx.state(|ticket| ticket.host.clone()) {
        Some(claim) => claim,
        None => {
            let what = "claim a host";
            let claim = call(
                ctx,
                WorkspaceActivities::claim_host,
                ticket.clone(),
                CLAIM_HOST,
                what,
            )
            .await?;
            ctx.state_mut(|ticket| ticket.host = Some(claim.clone()));
            claim
        }
    };
    let (repository_url, head) = ctx.state(|ticket| {
        (
            ticket.status.repository_url.clone(),
            ticket.status.head_commit.clone(),
        )
    });
    let prepare = PrepareWorkspace {
        ticket: ticket.clone(),
        repository_url: repository_url.clone(),
        spec: spec.clone(),
        policy: pinned.policy.clone(),
        start_commit: head.unwrap_or_else(|| spec.base_commit.clone()),
    };
    let queue = claim.task_queue.clone();
    call_on(
        ctx,
        &queue,
        WorkspaceActivities::prepare_workspace,
        prepare,
        PREPARE_WORKSPACE,
        "lay out the workspace",
    )
    .await?;
    loop {
        let (commit, agent_summary) = work(ctx, &queue, summary, spec, pinned, task).await?;
        transition::enter(ctx, State::QaRunning, SYSTEM, None).await?;
        let check = RunQa {
            key: next_key(ctx),
            repository_url: repository_url.clone(),
            commit: commit.clone(),
            policy: pinned.policy.clone(),
            spec: spec.clone(),
        };
        let qa = call_on(
            ctx,
            &queue,
            WorkspaceActivities::run_qa,
            check,
            RUN_QA,
            "run the QA gates",
        )
        .await?;
        let repair = ctx.state_mut(|ticket| {
            ticket.status.qa = qa.gates.clone();
            ticket.status.qa_report = Some(qa.report.clone());
            ticket.qa_passed = Some(qa.passed);
            let repair = !qa.passed && ticket.status.rounds.repairs < ticket.policy.budget.repairs;
            if repair {
                ticket.status.rounds.repairs += 1;
            }
            repair
        });
        if qa.passed {
            return Ok(Work {
                host: claim,
                commit,
                summary: agent_summary,
                qa,
            });
        }
        let failed = failed_gates(&qa);
        if !repair {
            let message = format!("{failed} failed and no repair is left: read the QA report");
            return Err(Halt::Park(
                State::QaFailed,
                Failure::new(kind::QA_FAILED, "run_qa", message),
            ));
        }
        transition::enter(
            ctx,
            State::Executing,
            SYSTEM,
            format!("repair: {failed} failed"),
        )
        .await?;
        task = AgentTask::Repair { report: qa.report };
    }
}

/// One piece of work by the agent, with one round to mend what it changed outside the scope.
async fn work(
    ctx: &Ctx,
    queue: &str,
    summary: &TicketSummary,
    spec: &SpecRef,
    pinned: &PinnedPolicy,
    task: AgentTask,
) -> Step<(String, String)> {
    let first = run_agent(ctx, queue, summary, spec, pinned, task).await?;
    let AgentResult::OutOfScope { paths, .. } = first.result else {
        return committed(ctx, first);
    };
    let mend = AgentTask::MendScope { paths };
    let second = run_agent(ctx, queue, summary, spec, pinned, mend).await?;
    committed(ctx, second)
}

fn committed(ctx: &Ctx, run: AgentRun) -> Step<(String, String)> {
    match run.result {
        AgentResult::Committed { commit, diff, .. } => {
            ctx.state_mut(|ticket| {
                ticket.status.head_commit = Some(commit.clone());
                ticket.status.diff = Some(diff);
            });
            Ok((commit, run.summary))
        }
        AgentResult::OutOfScope { count, first, .. } => Err(park(
            kind::OUT_OF_SCOPE,
            "run_agent",
            format!(
                "the agent changed {count} file(s) outside the SPEC's scope, also after it was told: {first}"
            ),
        )),
        AgentResult::NoChanges => Err(park(
            kind::NO_CHANGES,
            "run_agent",
            "the agent ended and had changed nothing: read its log",
        )),
    }
}

async fn run_agent(
    ctx: &Ctx,
    queue: &str,
    summary: &TicketSummary,
    spec: &SpecRef,
    pinned: &PinnedPolicy,
    task: AgentTask,
) -> Step<AgentRun> {
    let what = match &task {
        AgentTask::Implement => "agent: carry out the SPEC",
        AgentTask::MendScope { .. } => "agent: undo changes outside the scope",
        AgentTask::Repair { .. } => "agent: repair what QA found",
        AgentTask::ChangesRequested { .. } => "agent: make the changes requested",
    };
    let key = next_key(ctx);
    let committed_at = now(ctx);
    let input = ctx.state(|ticket| {
        let (budget, used) = (&ticket.policy.budget, &ticket.status.usage);
        RunAgent {
            key,
            summary: summary.clone(),
            repository_url: ticket.status.repository_url.clone(),
            spec: spec.clone(),
            policy: pinned.policy.clone(),
            task,
            parent_commit: ticket
                .status
                .head_commit
                .clone()
                .unwrap_or_else(|| spec.base_commit.clone()),
            committed_at,
            seconds: budget.agent_seconds,
            tokens_left: budget.tokens.saturating_sub(used.tokens()),
            cost_left_micro_usd: budget.cost_micro_usd.saturating_sub(used.cost_micro_usd),
        }
    });
    if input.tokens_left == 0 || input.cost_left_micro_usd == 0 {
        return Err(park(
            kind::BUDGET,
            "run_agent",
            "the ticket's budget is used up; an admin can raise it",
        ));
    }
    let run = call_on(
        ctx,
        queue,
        WorkspaceActivities::run_agent,
        input,
        RUN_AGENT,
        what,
    )
    .await?;
    ctx.state_mut(|ticket| ticket.status.usage += run.usage);
    Ok(run)
}

fn failed_gates(qa: &QaResult) -> String {
    let names: Vec<&str> = qa
        .gates
        .iter()
        .filter(|gate| gate.required && !gate.passed)
        .map(|gate| gate.name.as_str())
        .collect();
    names.join(", ")
}
