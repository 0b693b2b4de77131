//! Hosts that agents run on, and which of them holds which ticket's workspace.
//!
//! A host that renews its lease in time is alive, however busy it is. One that does not is taken for dead: its tickets
//! claim another. The clock that counts is Postgres's; a host that cannot renew stops its agents by its own clock, which
//! began earlier, so that no two hosts ever work on one ticket.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sallyport_workflows::ticket::TicketKey;
use sqlx::{PgConnection, postgres::types::PgInterval};

use crate::{
    convert::{from_bigint, from_integer, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// A host, as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its id, which lives on its disk.
    pub host_id: String,
    /// The task queue that it alone takes from.
    pub task_queue: String,
    /// How many tickets' steps it works on at once.
    pub slots: usize,
}

/// Where a ticket's workspace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The host.
    pub host_id: String,
    /// The host's task queue.
    pub task_queue: String,
    /// Counts the hosts that held the workspace, from 1.
    pub generation: u64,
    /// Since when this one holds it.
    pub claimed_at: DateTime<Utc>,
}

/// Takes or renews a host's lease, for so long from now. Key: the host.
pub async fn renew_lease(
    database: &Database,
    host: &Host,
    lease: Duration,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO hosts (host_id, task_queue, slots, lease_until) VALUES ($1, $2, $3, now() + $4)
         ON CONFLICT (host_id) DO UPDATE
         SET task_queue = EXCLUDED.task_queue, slots = EXCLUDED.slots, lease_until = EXCLUDED.lease_until",
        host.host_id,
        host.task_queue,
        i32::try_from(host.slots.max(1)).unwrap_or(i32::MAX),
        interval(lease),
    )
    .execute(database.pool())
    .await
    .trying_to("renew the host's lease")?;
    Ok(())
}

/// Ends a host's lease: it has stopped in order, and its tickets need not wait. Key: the host.
pub async fn end_lease(database: &Database, host_id: &str) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE hosts SET lease_until = now() WHERE host_id = $1",
        host_id
    )
    .execute(database.pool())
    .await
    .trying_to("end the host's lease")?;
    Ok(())
}

/// Claims a host for a ticket: the one that holds its workspace if it is alive, else the living host with the fewest
/// working tickets for its slots. Nothing if no host is alive. Key: the ticket; again answers the same claim as long as its
/// host lives.
pub async fn claim(database: &Database, ticket: &TicketKey) -> Result<Option<Claim>, LedgerError> {
    const TRYING: &str = "claim a host";
    let mut transaction = database.pool().begin().await.trying_to(TRYING)?;
    // One after the other, so that two tickets do not both take the last free place.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('sallyport: claim a host'))")
        .execute(&mut *transaction)
        .await
        .trying_to(TRYING)?;
    let held = sqlx::query!(
        r#"SELECT hosts.host_id, lease_until > now() AS "alive!"
           FROM workspaces JOIN hosts USING (host_id) WHERE workflow_id = $1"#,
        ticket.ledger_id(),
    )
    .fetch_optional(&mut *transaction)
    .await
    .trying_to(TRYING)?;
    if !held.is_some_and(|held| held.alive) && !take_another(&mut transaction, ticket).await? {
        return Ok(None);
    }
    let claim = read_claim(&mut transaction, ticket).await?;
    transaction.commit().await.trying_to(TRYING)?;
    Ok(claim)
}

/// Gives the ticket's workspace to a living host. Returns whether there is one.
async fn take_another(
    connection: &mut PgConnection,
    ticket: &TicketKey,
) -> Result<bool, LedgerError> {
    let done = sqlx::query!(
        "INSERT INTO workspaces (workflow_id, host_id, generation, claimed_at)
         SELECT $1, host_id, 1, now() FROM hosts
         LEFT JOIN (
             SELECT host_id, count(*) AS tickets FROM workspaces JOIN workflows ON workflows.id = workspaces.workflow_id
             WHERE state IN ('EXECUTING', 'QA_RUNNING') GROUP BY host_id
         ) AS working USING (host_id)
         WHERE lease_until > now()
         ORDER BY coalesce(tickets, 0)::float8 / slots, host_id LIMIT 1
         ON CONFLICT (workflow_id) DO UPDATE
         SET host_id = EXCLUDED.host_id, generation = workspaces.generation + 1, claimed_at = EXCLUDED.claimed_at",
        ticket.ledger_id(),
    )
    .execute(connection)
    .await
    .trying_to("give a workspace to another host")?;
    Ok(done.rows_affected() > 0)
}

/// The host that holds a ticket's workspace, if one was claimed.
pub async fn claim_of(
    database: &Database,
    ticket: &TicketKey,
) -> Result<Option<Claim>, LedgerError> {
    let mut connection = database
        .pool()
        .acquire()
        .await
        .trying_to("read where a workspace is")?;
    read_claim(&mut connection, ticket).await
}

/// Who holds a ticket's workspace: `host_id`, if nobody claimed a host for it, such as one from before there were claims.
/// Nothing if `host_id` never took a lease. Key: the ticket.
pub async fn adopt(
    database: &Database,
    ticket: &TicketKey,
    host_id: &str,
) -> Result<Option<Claim>, LedgerError> {
    const TRYING: &str = "read who holds a workspace";
    let mut connection = database.pool().acquire().await.trying_to(TRYING)?;
    sqlx::query!(
        "INSERT INTO workspaces (workflow_id, host_id, generation, claimed_at)
         SELECT $1, host_id, 1, now() FROM hosts WHERE host_id = $2
         ON CONFLICT (workflow_id) DO NOTHING",
        ticket.ledger_id(),
        host_id,
    )
    .execute(&mut *connection)
    .await
    .trying_to(TRYING)?;
    read_claim(&mut connection, ticket).await
}

async fn read_claim(
    connection: &mut PgConnection,
    ticket: &TicketKey,
) -> Result<Option<Claim>, LedgerError> {
    let row = sqlx::query!(
        "SELECT host_id, task_queue, generation, claimed_at FROM workspaces JOIN hosts USING (host_id)
         WHERE workflow_id = $1",
        ticket.ledger_id(),
    )
    .fetch_optional(connection)
    .await
    .trying_to("read where a workspace is")?;
    Ok(row.map(|row| Claim {
        host_id: row.host_id,
        task_queue: row.task_queue,
        generation: from_bigint(row.generation),
        claimed_at: row.claimed_at,
    }))
}

/// The tickets whose workspaces other hosts hold: what this one has of them is out of date.
pub async fn held_elsewhere(
    database: &Database,
    host_id: &str,
) -> Result<Vec<TicketKey>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT source, ticket_id, attempt FROM workspaces JOIN workflows ON workflows.id = workspaces.workflow_id
         WHERE host_id <> $1",
        host_id,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("list the workspaces of other hosts")?;
    let keys = rows.into_iter().map(|row| TicketKey {
        source: row.source,
        ticket_id: row.ticket_id,
        attempt: from_integer(row.attempt),
    });
    Ok(keys.collect())
}

/// Forgets where a ticket's workspace was, its runs and its checkpoint: it has ended. None is success. If another host holds
/// it than `host_id`, nothing happens.
pub async fn forget(
    database: &Database,
    ticket: &TicketKey,
    host_id: &str,
) -> Result<(), LedgerError> {
    const TRYING: &str = "forget a workspace";
    let mut transaction = database.pool().begin().await.trying_to(TRYING)?;
    let workflow = ticket.ledger_id();
    let ours = sqlx::query!(
        "DELETE FROM workspaces WHERE workflow_id = $1 AND host_id = $2",
        workflow,
        host_id,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(TRYING)?;
    if ours.rows_affected() > 0 {
        sqlx::query!("DELETE FROM agent_runs WHERE workflow_id = $1", workflow)
            .execute(&mut *transaction)
            .await
            .trying_to(TRYING)?;
        sqlx::query!("DELETE FROM checkpoints WHERE workflow_id = $1", workflow)
            .execute(&mut *transaction)
            .await
            .trying_to(TRYING)?;
    }
    transaction.commit().await.trying_to(TRYING)
}

fn interval(time: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: to_bigint(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
    }
}
