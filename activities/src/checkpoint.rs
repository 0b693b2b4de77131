//! Checkpoints, and how a host takes over from another that is lost.
//!
//! The ledger says which host holds a ticket's workspace, and counts the hosts that did: the generation. A host notes the
//! generation beside the workspace as the last thing when it has laid it out. So it knows whether what it finds there is
//! whole, and whether another host worked on in between. If so, it begins with the latest checkpoint.

use std::{fs, io, time::Duration};

use chrono::Utc;
use sallyport_ledger::{
    checkpoints::{self, Checkpoint},
    hosts::{self, Claim},
};
use sallyport_workflows::{failure::kind, ticket::TicketKey};

use crate::{
    context::Context,
    failure::StepError,
    mirror::{Mirror, MirrorError},
    scope::Scope,
    workspace::{
        Workspace, WorkspaceError, checkout,
        snapshot::{self, Snapshot, Source},
    },
};

/// How long a host that lost its lease waits before it tries again: by then somebody else has the ticket, or nobody is there.
pub const AFTER_A_LOST_LEASE: Duration = Duration::from_secs(60);

/// How a host came by a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was here.
    Here,
    /// It was restored from a checkpoint.
    Restored(Checkpoint),
    /// There was no checkpoint: only the commit is laid out.
    LaidOut,
}

/// Where a checkpoint is taken.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The agent's run; 0 for a workspace that was only laid out.
    pub step: u64,
    /// Whether the agent has ended its turn.
    pub ended: bool,
}

/// This host's claim on the ticket's workspace. An error if another host has one.
pub async fn held(context: &Context, ticket: &TicketKey) -> Result<Claim, StepError> {
    match hosts::adopt(&context.database, ticket, &context.host_id).await? {
        Some(claim) if claim.host_id == context.host_id => Ok(claim),
        Some(claim) => Err(taken_over(&claim.host_id)),
        None => Err(StepError::step("this host has no lease yet")),
    }
}

/// The failure of a host that went on with a ticket although another has it by now.
pub fn taken_over(by: &str) -> StepError {
    StepError::step(format!(
        "the host {by} went on with the ticket; this one leaves it alone"
    ))
}

/// The mirror of `url` with `commit` in it, which an agent may have made on a host that is lost.
pub async fn mirror_with(
    context: &Context,
    ticket: &TicketKey,
    url: &str,
    base: &str,
    commit: &str,
) -> Result<Mirror, StepError> {
    let missing = match context.mirrors.with_commit(url, commit).await {
        Err(missing @ MirrorError::Missing { .. }) => missing,
        other => return Ok(other?),
    };
    let Some(checkpoint) = checkpoints::latest(&context.database, ticket).await? else {
        return Err(lost(&missing));
    };
    let mirror = context.mirrors.with_commit(url, base).await?;
    let workspace = Workspace::of(&context.data_dir, ticket);
    bring(context, &mirror, &workspace, base, &checkpoint).await?;
    match mirror.has(commit).await? {
        true => Ok(mirror),
        false => Err(lost(&missing)),
    }
}

/// What a host that is lost took along for good. To lay the same out again would miss the same again.
fn lost(problem: &dyn std::fmt::Display) -> StepError {
    let message = format!(
        "{problem}; it was made on a host that is lost, and no copy has it; retry from PLANNING (`sallyport retry ID --from \
         planning`), and the work begins anew"
    );
    StepError::fatal(kind::WORKSPACE_LOST, message)
}

/// Sees to it that the workspace is on this host: as it was, as in the latest checkpoint, or laid out at `start`. When all
/// that follows from it is on record, [`settle`] must be called.
pub async fn arrive(
    context: &Context,
    claim: &Claim,
    ticket: &TicketKey,
    mirror: &Mirror,
    (base, start): (&str, &str),
) -> Result<Arrival, StepError> {
    let workspace = Workspace::of(&context.data_dir, ticket);
    if workspace.tree().is_dir() && generation(&workspace)? == claim.generation {
        return Ok(Arrival::Here);
    }
    let Some(checkpoint) = checkpoints::latest(&context.database, ticket).await? else {
        checkout::prepare(mirror.git(), &workspace, start).await?;
        return Ok(Arrival::LaidOut);
    };
    bring(context, mirror, &workspace, base, &checkpoint).await?;
    snapshot::lay_out(mirror, &workspace).await?;
    Ok(Arrival::Restored(checkpoint))
}

/// Notes that the workspace here is the one that `claim` is about.
pub fn settle(workspace: &Workspace, claim: &Claim) -> Result<(), StepError> {
    let path = workspace.generation();
    fs::write(&path, claim.generation.to_string())
        .map_err(WorkspaceError::io("writing", &path))
        .map_err(StepError::from)
}

/// The generation that the workspace here is of; the first if nothing is noted, as nothing was before there were claims.
fn generation(workspace: &Workspace) -> Result<u64, StepError> {
    let path = workspace.generation();
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().parse().unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(1),
        Err(error) => Err(WorkspaceError::io("reading", &path)(error).into()),
    }
}

/// Takes a checkpoint of the workspace, also while the agent works.
pub async fn take(
    context: &Context,
    ticket: &TicketKey,
    moment: Moment,
    source: Source<'_>,
    scope: &Scope,
) -> Result<(), StepError> {
    let copied = match snapshot::take(source, scope).await {
        // Whatever the agent left that cannot be copied, its commit must not be lost.
        Err(problem) if moment.ended => {
            tracing::warn!(%ticket, %problem, "the workspace could not be copied; only the commit is");
            snapshot::of_commit(source).await?
        }
        other => other?,
    };
    if copied.left_out > 0 {
        let files = copied.left_out;
        tracing::warn!(%ticket, files, "files are left out of the checkpoint");
    }
    save(context, ticket, moment, copied).await
}

/// Takes the checkpoint of a workspace that was just laid out at `source.head`, in place of any before.
pub async fn begin(
    context: &Context,
    ticket: &TicketKey,
    source: Source<'_>,
) -> Result<(), StepError> {
    let moment = Moment {
        step: 0,
        ended: false,
    };
    save(context, ticket, moment, snapshot::of_commit(source).await?).await
}

async fn save(
    context: &Context,
    ticket: &TicketKey,
    moment: Moment,
    copied: Snapshot,
) -> Result<(), StepError> {
    let checkpoint = Checkpoint {
        step: moment.step,
        ended: moment.ended,
        bundle: context.objects.put(copied.bundle).await?,
        taken_at: Utc::now(),
    };
    let database = &context.database;
    match checkpoints::record(database, ticket, &context.host_id, &checkpoint).await? {
        true => Ok(()),
        false => Err(taken_over("that holds it")),
    }
}

async fn bring(
    context: &Context,
    mirror: &Mirror,
    workspace: &Workspace,
    base: &str,
    checkpoint: &Checkpoint,
) -> Result<(), StepError> {
    let bundle = context.objects.get(&checkpoint.bundle).await;
    let bundle = bundle.map_err(|problem| match problem.is_temporary() {
        true => StepError::from(problem),
        false => lost(&problem),
    })?;
    Ok(snapshot::bring(mirror, workspace, base, &bundle).await?)
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
