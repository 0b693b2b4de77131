//! `cargo xtask bench lists`: a ledger with a million tickets, the plan of each list query with its times, and a failure
//! if one reads a whole table. Writes what it saw to the file that is named.

use std::{fmt::Write as _, fs, time::Instant};

use anyhow::{Context as _, bail};
use chrono::Utc;
use sallyport_ledger::{Database, config::DatabaseConfig};
use sallyport_test_support::postgres::Postgres;

mod cases;

/// Usage: `list_plans ROWS FILE`.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rows: u32 = arguments.next().context("say how many rows")?.parse()?;
    let file = arguments.next().context("say which file to write")?;
    let url = Postgres::shared().database().await?;
    let database = Database::connect(&DatabaseConfig::with_url(url)).await?;
    let started = Instant::now();
    cases::fill(&database, rows).await?;
    println!("{rows} tickets after {} s", started.elapsed().as_secs());

    // Once to have it all in memory, as it is where people use it, and once to look.
    cases::plans(&database, Utc::now(), true).await?;
    let planned = cases::plans(&database, Utc::now(), true).await?;
    let version: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(database.pool())
        .await?;
    let (mut table, mut plans) = (String::new(), String::new());
    for planned in &planned {
        let time = planned
            .plan
            .iter()
            .find_map(|line| line.strip_prefix("Execution Time: "))
            .unwrap_or("?");
        println!("{time:>12}  {}", planned.name);
        writeln!(table, "| {} | {time} |", planned.name)?;
        writeln!(
            plans,
            "### {}\n\n```\n{}\n```\n",
            planned.name,
            planned.plan.join("\n")
        )?;
    }
    let text = format!(
        "# The plans of the list queries\n\n\
         Written by `cargo xtask bench lists` on {}, with {rows} tickets and as many requests for approval, on Postgres \
         {version}. Times\nare of one machine and say no more than an order of magnitude; that no query reads a whole table \
         is what counts, and\na test checks it in every run.\n\n\
         | query | time |\n| --- | --- |\n{table}\n{plans}",
        Utc::now().format("%Y-%m-%d"),
    );
    fs::write(&file, text.trim_end().to_owned() + "\n")
        .with_context(|| format!("cannot write {file}"))?;
    let faults: Vec<String> = planned.iter().filter_map(cases::Planned::fault).collect();
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("no list reads a whole table; the plans are in {file}");
    Ok(())
}
