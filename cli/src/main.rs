//! The `sallyport` command: the people's side of Sallyport, its two services, and `sallyport dev`, which runs all of it
//! on one machine.

mod arguments;
mod client;
mod commands;
mod config;
mod dev;
#[cfg(test)]
mod docker_compose_tests;
mod doctor;
mod exit;
mod instance;
mod operator;
mod private_file;
mod reach;
mod service;
mod terminal;
mod units;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use sallyport_activities::planning::symbols::child;

use crate::{
    arguments::{Arguments, Command, ConfigCommand},
    config::Config,
    exit::Problem,
    terminal::{Painter, Style, lines, tell},
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let painter = Painter::stderr();
            tell(&format!(
                "{} {}",
                painter.paint(Style::Red, "error:"),
                lines(&problem.message)
            ));
            if let Some(hint) = &problem.hint {
                tell(&format!(
                    "{} {}",
                    painter.paint(Style::Dim, "hint:"),
                    lines(hint)
                ));
            }
            problem.exit.into()
        }
    }
}

fn run(command: Command) -> Result<(), Problem> {
    match command {
        Command::Dev(arguments) => dev::run(arguments),
        Command::Worker(arguments) => service::worker(&arguments.config),
        Command::Starter(arguments) => service::starter(&arguments.config),
        // Before anything is opened or started: it gives up the right to.
        Command::ParseSymbols => Ok(child::run().context("cannot parse files")?),
        Command::Doctor(arguments) => runtime()?.block_on(doctor::run(arguments)),
        Command::Config(ConfigCommand::Check(arguments)) => {
            let config = Config::load(&arguments.config)?;
            let wrong = |error: anyhow::Error| {
                Problem::new(
                    exit::Exit::Usage,
                    format!("{}: {error:#}", arguments.config.display()),
                )
            };
            config.check().map_err(wrong)?;
            runtime()?.block_on(config.check_bucket()).map_err(wrong)?;
            terminal::print(b"ok\n").context("cannot write the output")?;
            Ok(())
        }
        command => runtime()?.block_on(commands::run(command)),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}
