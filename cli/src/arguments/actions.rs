//! Commands to one ticket: retry, abandon, cancel, extend, reopen.

use clap::Args;
use sallyport_workflows::{
    State,
    policy::{BudgetRaise, MAXIMUM_WAIT_SECONDS},
};

use super::{Connection, state};
use crate::units;

/// What all commands to a ticket take.
#[derive(Debug, Args)]
pub struct ActionArguments {
    /// The ticket: FL-1, a workflow id or a UUID
    #[arg(value_name = "ID")]
    pub id: String,
    /// Why
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
    /// Which Sallyport.
    #[command(flatten)]
    pub connection: Connection,
}

/// `sallyport retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --from the ticket goes on with the step that failed. What it has spent stays counted; the --add options raise what
it may spend.")]
pub struct RetryArguments {
    /// Go back to this state, such as PLANNING or EXECUTING [default: the step that failed]
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub from: Option<State>,
    /// Add money, in US dollars
    #[arg(long, value_name = "USD", value_parser = units::micro_usd, help_heading = "Budget")]
    add_cost: Option<u64>,
    /// Add tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Budget")]
    add_tokens: Option<u64>,
    /// Add time for the agent, such as 30m
    #[arg(long, value_name = "TIME", value_parser = units::seconds, help_heading = "Budget")]
    add_agent_time: Option<u64>,
    /// Add repairs of what QA found
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Budget")]
    add_repairs: Option<u32>,
    /// Add revisions of the SPEC
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Budget")]
    add_revisions: Option<u32>,
    /// Add rounds of changes on the pull request
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Budget")]
    add_changes: Option<u32>,
    /// Add requests of the agent for more files
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Budget")]
    add_scope_requests: Option<u32>,
    /// Do not ask for confirmation; without a terminal nobody is asked
    #[arg(short, long)]
    pub yes: bool,
    /// What all commands take.
    #[command(flatten)]
    pub action: ActionArguments,
}

impl RetryArguments {
    /// What the `--add` options add.
    pub fn raise(&self) -> BudgetRaise {
        BudgetRaise {
            cost_micro_usd: self.add_cost.unwrap_or(0),
            tokens: self.add_tokens.unwrap_or(0),
            agent_seconds: self.add_agent_time.unwrap_or(0),
            repairs: self.add_repairs.unwrap_or(0),
            revisions: self.add_revisions.unwrap_or(0),
            change_rounds: self.add_changes.unwrap_or(0),
            scope_requests: self.add_scope_requests.unwrap_or(0),
        }
    }
}

/// `sallyport abandon` and `sallyport cancel`.
#[derive(Debug, Args)]
pub struct EndArguments {
    /// What all commands take.
    #[command(flatten)]
    pub action: ActionArguments,
    /// Do not ask for confirmation; without a terminal nobody is asked
    #[arg(short, long)]
    pub yes: bool,
}

/// `sallyport extend`.
#[derive(Debug, Args)]
pub struct ExtendArguments {
    /// What all commands take.
    #[command(flatten)]
    pub action: ActionArguments,
    /// How much more time, such as 90m, 24h or 2d
    #[arg(long, value_name = "TIME", value_parser = extension)]
    pub by: u64,
}

/// `sallyport reopen`.
#[derive(Debug, Args)]
pub struct ReopenArguments {
    /// What all commands take.
    #[command(flatten)]
    pub action: ActionArguments,
}

/// A length of time that a wait can be made longer by, in seconds.
fn extension(text: &str) -> Result<u64, String> {
    let seconds = units::seconds(text)?;
    if seconds > MAXIMUM_WAIT_SECONDS {
        let days = MAXIMUM_WAIT_SECONDS / (24 * 60 * 60);
        return Err(format!("at most {days}d at a time"));
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn retry(arguments: &[&str]) -> Result<RetryArguments, String> {
        let all = ["sallyport", "retry", "FL-1"].iter().chain(arguments);
        match Arguments::try_parse_from(all).map_err(|error| error.to_string())? {
            Arguments {
                command: Command::Retry(arguments),
            } => Ok(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_retry_adds_what_it_says() {
        let arguments = retry(&["--from", "executing", "--add-cost", "2.50"]).unwrap();
        assert_eq!(arguments.from, Some(State::Executing));
        assert_eq!(arguments.raise().cost_micro_usd, 2_500_000);
        let all = [
            ("--add-cost", "1"),
            ("--add-tokens", "2"),
            ("--add-agent-time", "3s"),
            ("--add-repairs", "4"),
            ("--add-revisions", "5"),
            ("--add-changes", "6"),
            ("--add-scope-requests", "7"),
        ];
        let all: Vec<&str> = all
            .iter()
            .flat_map(|(name, value)| [*name, *value])
            .collect();
        let expected = BudgetRaise {
            cost_micro_usd: 1_000_000,
            tokens: 2,
            agent_seconds: 3,
            repairs: 4,
            revisions: 5,
            change_rounds: 6,
            scope_requests: 7,
        };
        assert_eq!(retry(&all).unwrap().raise(), expected);
        assert!(retry(&[]).unwrap().raise().is_nothing());
        assert!(retry(&["--add-repairs", "0"]).is_err());
        assert!(retry(&["--add-cost", "much"]).unwrap_err().contains("0.50"));
    }

    /// What the workflow tells people to type when it parks a ticket.
    #[test]
    fn what_parked_tickets_tell_people_to_type_exists() {
        let sources = [
            include_str!("../../../workflows/src/workflow/execution.rs"),
            include_str!("../../../workflows/src/workflow/planning.rs"),
            include_str!("../../../workflows/src/workflow/quality.rs"),
        ];
        let all = Arguments::command();
        let retry = all.find_subcommand("retry").unwrap();
        let known: Vec<&str> = retry
            .get_arguments()
            .filter_map(|one| one.get_long())
            .collect();
        let mut told = Vec::new();
        for source in sources {
            assert!(source.contains("sallyport retry ID"));
            let words = source.split(|letter: char| !letter.is_ascii_lowercase() && letter != '-');
            told.extend(words.filter_map(|word| word.strip_prefix("--")));
        }
        assert!(
            told.contains(&"add-cost") && told.contains(&"from"),
            "{told:?}"
        );
        for option in told {
            assert!(known.contains(&option), "--{option} is told and unknown");
        }
    }

    #[test]
    fn an_extension_has_a_limit() {
        assert_eq!(extension("24h"), Ok(86_400));
        assert_eq!(extension("90d"), Ok(MAXIMUM_WAIT_SECONDS));
        assert!(extension("91d").unwrap_err().contains("90d"));
    }
}
