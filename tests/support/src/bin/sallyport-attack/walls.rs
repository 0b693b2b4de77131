//! The same cases with a wall taken away: what holds them then?

use std::process::{Command, ExitCode};

use sallyport_test_support::attack::{
    layer::{Layer, WALLS},
    trial::Outcome,
};

use super::{Arguments, Engine, chosen, make_ground, play};

/// Takes each wall away in turn, each in a process with a network namespace of its own, and prints the table.
pub fn all(arguments: &Arguments) -> ExitCode {
    for (wall, _) in WALLS {
        let played = std::env::current_exe().and_then(|this| {
            Command::new(this)
                .args(&arguments.names)
                .args(["--without", wall, "--jobs", &arguments.jobs.to_string()])
                .status()
        });
        match played {
            Ok(status) if status.success() => {}
            Ok(_) => return ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: cannot start this program again: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Plays the cases that a wall holds without it, and prints what holds them then.
pub async fn without(arguments: &Arguments, (name, layer): (&str, Layer)) -> anyhow::Result<()> {
    let ground = make_ground()?;
    let mut cases = chosen(arguments, &ground);
    cases.retain(|case| case.held.iter().any(|(held_by, _)| *held_by == layer));
    println!("\n## Without: {layer}\n");
    if cases.is_empty() {
        println!("No case comes so far that this layer has to hold it.");
        return Ok(());
    }
    let more = format!("missing_wall = \"{name}\"\n");
    let (mut outcomes, after) = play(
        arguments,
        &ground,
        &cases,
        (&more, Engine::Bubblewrap),
        |_| {},
    )
    .await?;
    let place = |outcome: &Outcome| cases.iter().position(|case| case.name == outcome.name);
    outcomes.sort_by_key(place);
    println!("| case | held by |\n| --- | --- |");
    for outcome in &outcomes {
        let verdict = verdict(outcome, layer);
        let verdict = verdict.replace(&ground.folder.display().to_string(), "...");
        println!("| {} | {verdict} |", outcome.name);
    }
    for wrong in after {
        println!("\nAfter all: {wrong}");
    }
    if !arguments.keep {
        std::fs::remove_dir_all(&ground.folder)?;
    }
    Ok(())
}

fn verdict(outcome: &Outcome, missing: Layer) -> String {
    if let Some(harm) = outcome.harm.first() {
        let harm: String = harm.chars().take(100).collect();
        return format!(
            "nothing else, it depends on this layer ({})",
            harm.replace('|', "/")
        );
    }
    let others = outcome.held.iter().chain(&outcome.instead);
    match others.into_iter().find(|layer| **layer != missing) {
        Some(layer) => layer.to_string(),
        None if missing == Layer::SystemCalls => format!(
            "nothing else for sure: the call reached the kernel ({})",
            outcome.seen.replace('|', "/")
        ),
        None => format!("no effect was seen ({})", outcome.seen.replace('|', "/")),
    }
}
