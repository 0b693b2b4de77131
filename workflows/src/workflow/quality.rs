//! QA_RUNNING: the repository's gates run on the agent's commit.

use super::{
    Ctx,
    host::call_on_host,
    memory::Work,
    spec_gate::no_spec,
    step::{Halt, Step, next_key, park},
    transition::{Move, SYSTEM},
};
use crate::{
    State,
    activities::{AgentTask, GateEffect, QaResult, RUN_QA, RunQa, WorkspaceActivities},
    failure::{Failure, kind},
};

/// Has the commit checked. What QA finds goes back to the agent a bounded number of times.
pub(super) async fn check(ctx: &Ctx) -> Step<Move> {
    let key = next_key(ctx);
    let input = ctx.state(|ticket| {
        Some(RunQa {
            key,
            repository_url: ticket.status.repository_url.clone(),
            commit: ticket.status.head_commit.clone()?,
            policy: ticket.memory.pinned.as_ref()?.policy.clone(),
            spec: ticket.status.spec.clone()?,
        })
    });
    let input = input.ok_or_else(no_spec)?;
    let run = || WorkspaceActivities::run_qa;
    let qa = call_on_host(ctx, run, input, RUN_QA.options("run the QA gates")).await?;
    let (used, allowed) = ctx.state_mut(|ticket| {
        ticket.status.qa = qa.gates.clone();
        ticket.status.qa_report = Some(qa.report.clone());
        ticket.memory.qa = Some(qa.clone());
        (ticket.status.rounds.repairs, ticket.memory.budget().repairs)
    });
    if qa.passed {
        return Ok(Move::on(State::PrCreated));
    }
    let failed = failed_gates(&qa);
    if used >= allowed {
        let message = format!(
            "{failed} failed and no repair is left: read the QA report; sallyport retry ID runs QA again, with --from \
             EXECUTING the agent repairs once more"
        );
        let failure = Failure::new(kind::QA_FAILED, "run_qa", message);
        return Err(Halt::Park(State::QaFailed, failure));
    }
    ctx.state_mut(|ticket| {
        ticket.status.rounds.repairs += 1;
        ticket.memory.work = repair(&qa);
        // The workspace still is what was checked.
        ticket.memory.work.prepared = true;
    });
    let reason = format!("repair: {failed} failed");
    Ok(Move::because(State::Executing, SYSTEM, reason))
}

/// The piece of work that repairs what QA found.
pub(super) fn repair(qa: &QaResult) -> Work {
    Work::new(AgentTask::Repair {
        report: qa.report.clone(),
    })
}

/// The commit that passed QA; nothing else is ever pushed.
pub(super) fn passed(ctx: &Ctx) -> Step<QaResult> {
    ctx.state(|ticket| ticket.memory.qa.clone())
        .filter(|qa| qa.passed)
        .ok_or_else(|| {
            let message = "no commit has passed QA: retry from QA_RUNNING";
            park(kind::STEP_FAILED, "run_qa", message)
        })
}

fn failed_gates(qa: &QaResult) -> String {
    let names: Vec<String> = qa
        .gates
        .iter()
        .filter(|gate| gate.fails_qa())
        .map(|gate| match gate.effect() {
            GateEffect::RedBefore => format!("{} (red before the change too)", gate.name),
            _ => gate.name.clone(),
        })
        .collect();
    names.join(", ")
}
