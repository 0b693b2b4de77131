//! `sallyport doctor`: whether this machine can seal a room, and what to do where it cannot.
//!
//! It needs no installation and no configuration. [`facts`] looks, [`judge`] thinks and never looks, so that each
//! machine that can be described can be tested.

mod distribution;
mod facts;
mod judge;
mod limits;
mod report;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Context as _;

use crate::{
    arguments::DoctorArguments,
    dev::{engine_config, read_users, tools_manifest},
    exit::{Exit, Problem},
    instance::DATA_DIR,
    terminal::{self, Painter},
};

/// Looks at this machine and prints what was found. Fails if the configured engine cannot make rooms.
pub async fn run(arguments: DoctorArguments) -> Result<(), Problem> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let mut layers = read_users(arguments.config.as_deref(), &here)?;
    layers.overlay(std::env::vars())?;
    let configured = layers.get(&["data_dir"]).and_then(toml::Value::as_str);
    let data_dir = match (arguments.data_dir, configured) {
        (Some(asked), _) => here.join(asked),
        (None, Some(configured)) => here.join(Path::new(configured)),
        (None, None) => here.join(DATA_DIR),
    };
    let engine = engine_config(&layers)?;
    let facts = facts::gather(&tools_manifest(&layers, &here), &data_dir, &engine).await?;
    let report = judge::judge(&facts);
    let text = if arguments.json {
        format!(
            "{}\n",
            terminal::json(&report).context("cannot write JSON")?
        )
    } else {
        report.text(Painter::stdout())
    };
    terminal::print(text.as_bytes()).context("cannot write the output")?;
    if report.works {
        return Ok(());
    }
    Err(Problem::new(
        Exit::Failed,
        format!("{} cannot make a room on this machine", report.engine),
    )
    .hint("do what stands above, then run `sallyport doctor` again"))
}
