//! `cargo xtask demo`: one ticket from its webhook to a merged pull request, on this machine, with everything real but
//! the ticket system and, without an API key, the model.

mod paint;
mod repository;
mod story;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use sallyport_test_support::{
    child::Output,
    demo_scenario::{demo_scenario, demo_ticket},
    flux_lens::{NewTicket, Priority},
    full_story::{ANSWERS, Answer, full_story},
    installation::{Installation, InstallationOptions, Model},
    scripted_model::Scenario,
};

use paint::{Paint, say};
use repository::Repository;

/// Takes one ticket from its webhook to a merged pull request, on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask demo",
    after_help = "Without --repo it works on a small repository with a real bug that it makes itself.\n\
                  With ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY in the environment a real model plans and \
                  codes; without one a scripted model answers, which knows only the demo's own ticket."
)]
struct Arguments {
    /// Answer at every gate without asking: approve, or what the story has
    #[arg(short, long)]
    yes: bool,
    /// Which story the scripted model tells: `short`, in which all goes well, or `full`, with a revised SPEC, a request for
    /// more scope, a failed QA and changes requested on the pull request
    #[arg(long, value_enum, default_value_t = Story::Short)]
    story: Story,
    /// Work on this git repository; a bare copy of it is made, yours stays as it is. Needs --ticket and an API key
    #[arg(long, value_name = "PATH", requires = "ticket")]
    repo: Option<PathBuf>,
    /// The ticket: a text file whose first line is the title. Needs --repo
    #[arg(long, value_name = "FILE", requires = "repo")]
    ticket: Option<PathBuf>,
    /// The model that plans and codes, if there is an API key [default: claude-sonnet-4-5, gpt-5 or gemini-2.5-flash]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Where the demo's data is kept
    #[arg(long, value_name = "DIR", default_value = ".sallyport/demo")]
    data_dir: PathBuf,
    /// Leave everything running at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// The stories that the scripted model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Story {
    Short,
    Full,
}

impl Story {
    fn scenario(self) -> Scenario {
        const THINKING_MS: u64 = 600;
        match self {
            Self::Short => demo_scenario(THINKING_MS),
            Self::Full => full_story(THINKING_MS),
        }
    }

    /// What people answer in it.
    fn answers(self) -> &'static [Answer] {
        match self {
            Self::Short => &[],
            Self::Full => &ANSWERS,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\n{} {error:#}", Paint::stderr().red("The demo failed:"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    if !arguments.yes && !std::io::stdin().is_terminal() {
        bail!(
            "the demo asks at two gates and there is no terminal to ask on: add --yes to approve both"
        );
    }
    let vendor = vendor();
    if arguments.repo.is_some() && vendor.is_none() {
        bail!(
            "the scripted model knows only the demo's own ticket: set ANTHROPIC_API_KEY, OPENAI_API_KEY or \
             GEMINI_API_KEY to work on a repository of yours"
        );
    }
    if vendor.is_some() && arguments.story == Story::Full {
        bail!(
            "only the scripted model knows the full story: unset the API key, or leave --story out"
        );
    }
    let paint = Paint::stdout();
    say(&paint.heading("Sallyport demo: a ticket becomes a merged pull request"));
    match vendor {
        Some(vendor) => say(&format!(
            "Model: {vendor}, with the API key from your environment. It costs real money."
        )),
        None => say(
            "Model: SCRIPTED. There is no ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, so a local server speaks \
             a vendor's protocol and plays\nanswers written in advance. All else is real: Temporal, Postgres, the Pi agent, the \
             sandbox, git, QA.",
        ),
    }

    say(&paint.heading("1. The repository"));
    let ticket = match &arguments.ticket {
        Some(file) => read_ticket(file)?,
        None => demo_ticket(),
    };
    std::fs::create_dir_all(&arguments.data_dir)
        .with_context(|| format!("cannot make {}", arguments.data_dir.display()))?;
    let repository = match &arguments.repo {
        Some(path) => Repository::copy_of(path, &arguments.data_dir)?,
        None => Repository::with_a_bug(&arguments.data_dir)?,
    };
    repository.show(&paint)?;

    say(&paint.heading("2. Sallyport starts"));
    let model = match vendor {
        Some(vendor) => Model::Vendor {
            vendor,
            model: model_name(vendor, arguments.model),
        },
        None => Model::Scripted {
            scenario: arguments.story.scenario(),
            vendor: "anthropic",
        },
    };
    let mut installation = Installation::start(InstallationOptions {
        folder: arguments.data_dir.clone(),
        model,
        repositories: vec![(ticket.project.clone(), repository.url())],
        more_config: String::new(),
        output: Output::Inherit,
        more_options: Vec::new(),
        flux_lens_via: None,
    })
    .await?;

    say(&paint.heading("3. A ticket is filed; its signed webhook reaches Sallyport"));
    let id = installation.flux_lens.create_ticket(ticket.clone())?;
    say(&format!("{}  {}", paint.bold(&id), ticket.title));
    let script = arguments.story.answers();
    let completed = story::follow(&installation, &id, arguments.yes, script, &paint).await?;
    if completed {
        repository.show_result(&paint)?;
    }
    story::show_timeline(&installation, &id, &paint).await?;
    where_to_look(&installation, &id, &repository, &paint);
    if arguments.keep {
        say("\nEverything keeps running. Ctrl-C stops it.");
        tokio::signal::ctrl_c()
            .await
            .context("cannot wait for Ctrl-C")?;
    }
    let data = arguments.data_dir.display();
    say(&format!(
        "\nWhat ran here stops now and its data stays. To look at it: sallyport dev --data-dir {data}/data \
         --config {data}/installation.toml\n(or run the demo with --keep)."
    ));
    installation.stop()?;
    Ok(completed)
}

fn vendor() -> Option<&'static str> {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|key| !key.trim().is_empty());
    [
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("OPENAI_API_KEY", "openai"),
        ("GEMINI_API_KEY", "google"),
        ("GOOGLE_API_KEY", "google"),
    ]
    .into_iter()
    .find_map(|(name, vendor)| is_set(name).then_some(vendor))
}

fn model_name(vendor: &str, named: Option<String>) -> String {
    let usual = match vendor {
        "anthropic" => "claude-sonnet-4-5",
        "google" => "gemini-2.5-flash",
        _ => "gpt-5",
    };
    named.unwrap_or_else(|| usual.to_owned())
}

fn read_ticket(file: &Path) -> anyhow::Result<NewTicket> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the ticket {}", file.display()))?;
    let (title, description) = text
        .trim_start()
        .split_once('\n')
        .unwrap_or((text.trim(), ""));
    let title = title.trim_start_matches('#').trim();
    if title.is_empty() {
        bail!(
            "the ticket {} is empty: its first line is the title, the rest the description",
            file.display()
        );
    }
    Ok(NewTicket {
        title: title.chars().take(255).collect(),
        description: description.trim().to_owned(),
        priority: Priority::Normal,
        reporter: "reporter@example.com".to_owned(),
        project: "demo".to_owned(),
        labels: Vec::new(),
    })
}

fn where_to_look(installation: &Installation, id: &str, repository: &Repository, paint: &Paint) {
    say(&paint.heading("Where to look"));
    let run = &installation.run;
    say(&format!(
        "Temporal UI   {}/namespaces/default/workflows/ticket%3Aflux-lens%3A{id}",
        run.temporal_ui_url
    ));
    say(&format!("Database      {}", run.database_url));
    say(&format!(
        "Logs          {}",
        installation.data_dir().join("logs").display()
    ));
    say(&format!("Repository    {}", repository.url()));
}
