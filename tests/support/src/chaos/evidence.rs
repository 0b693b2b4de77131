//! What must have happened exactly once, whatever was killed: read from the outside world and from the ledger.

use std::{path::Path, process::Command};

use anyhow::{Context, bail};
use sqlx::Connection;

use super::{
    boundaries::Reached,
    plan::{STORY, boundaries},
};
use crate::{demo_scenario::STATES, flux_lens::Status, installation::Installation};

/// How many comments such a ticket gets: started, SPEC, pull request, merged.
const COMMENTS: usize = 4;

/// What is counted in the ledger, and how many there must be.
const COUNTS: [(&str, &str, i64); 8] = [
    ("workflows", "SELECT count(*) FROM workflows", 1),
    ("pull requests", "SELECT count(*) FROM pull_requests", 1),
    ("gates", "SELECT count(*) FROM approvals", 2),
    (
        "decisions that count",
        "SELECT count(*) FROM decisions WHERE refused IS NULL",
        2,
    ),
    (
        "messages sent twice",
        "SELECT count(*) FROM (SELECT FROM notifications GROUP BY workflow_id, notification_key, channel, recipient
                               HAVING count(*) > 1) AS twice",
        0,
    ),
    (
        "messages about gates",
        "SELECT count(DISTINCT notification_key) FROM notifications WHERE approval_id IS NOT NULL",
        2,
    ),
    (
        "events that are not settled",
        "SELECT count(*) FROM inbox WHERE status IN ('pending', 'failed')",
        0,
    ),
    (
        "events that started something",
        "SELECT count(*) FROM inbox WHERE status = 'dispatched'",
        1,
    ),
];

/// How many commits the main branch has, counted along its own line.
///
/// # Errors
/// If git says so.
pub fn commits(origin: &Path) -> anyhow::Result<u64> {
    let count = git(origin, &["rev-list", "--count", "--first-parent", "main"])?;
    count.trim().parse().context("git counts")
}

fn git(origin: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(origin)
        .args(arguments)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Looks at everything; what is not as it must be comes back as sentences.
pub async fn check(
    installation: &mut Installation,
    id: &str,
    origin: &Path,
    commits_before: u64,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Err(error) = outside(installation, id, origin, commits_before, &mut wrong) {
        wrong.push(format!("{error:#}"));
    }
    if let Err(error) = inside(installation, id, &mut wrong).await {
        wrong.push(format!("{error:#}"));
    }
    // Everything may have to come back first.
    let verified =
        crate::child::until(std::time::Duration::from_secs(60), "verified", async || {
            installation.run_sallyport(&["audit", "verify"]).ok()
        })
        .await;
    if verified.is_err() {
        let said = installation.run_sallyport(&["audit", "verify"]);
        wrong.push(match said {
            Ok(_) => "`sallyport audit verify` passed only late".to_owned(),
            Err(error) => format!("{error:#}"),
        });
    }
    wrong
}

fn outside(
    installation: &Installation,
    id: &str,
    origin: &Path,
    commits_before: u64,
    wrong: &mut Vec<String>,
) -> anyhow::Result<()> {
    let branches = git(origin, &["branch", "--list", "sallyport/*"])?;
    expect(wrong, "branches", branches.lines().count(), 1);
    expect(wrong, "merges", commits(origin)? - commits_before, 1);
    let comments = installation.flux_lens.comments(id);
    expect(wrong, "comments on the ticket", comments.len(), COMMENTS);
    let status = installation.flux_lens.status(id);
    if status != Some(Status::Done) {
        wrong.push(format!("the ticket's status is {status:?}, not Done"));
    }
    Ok(())
}

async fn inside(
    installation: &Installation,
    id: &str,
    wrong: &mut Vec<String>,
) -> anyhow::Result<()> {
    let view = installation.api.ticket(id).await?;
    let states: Vec<&str> = view["transitions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|transition| transition["to"].as_str())
        .collect();
    if states != STATES {
        wrong.push(format!("the states on record are {}", states.join(" → ")));
    }
    let mut ledger = installation.ledger().await?;
    for (what, sql, must) in COUNTS {
        let is: i64 = sqlx::query_scalar(sql).fetch_one(&mut ledger).await?;
        expect(wrong, what, is, must);
    }
    Ok(ledger.close().await?)
}

fn expect<T: PartialEq + std::fmt::Display>(wrong: &mut Vec<String>, what: &str, is: T, must: T) {
    if is != must {
        wrong.push(format!("{what}: {is}, and must be {must}"));
    }
}

/// Whether a calm ticket reached exactly the boundaries that seeds choose from.
#[must_use]
pub fn calm(reached: &Reached) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((activity, calls), phase) in boundaries() {
        let name = (activity.to_owned(), phase.as_str().to_owned());
        let count = reached.get(&name).map_or(0, Vec::len);
        let calls = usize::try_from(calls).unwrap_or(0);
        expect(&mut wrong, &format!("calls of {activity}"), count, calls);
    }
    for (activity, _) in reached.keys() {
        if !STORY.iter().any(|(known, _)| known == activity) {
            wrong.push(format!("{activity} is missing in the list of boundaries"));
        }
    }
    wrong.sort_unstable();
    wrong.dedup();
    wrong
}
