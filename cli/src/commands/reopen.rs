//! `sallyport reopen`.

use uuid::Uuid;

use super::{client, print, print_json};
use crate::{arguments::TicketArguments, exit::Problem, terminal::line};

/// Opens a ticket's closed pull request again.
pub async fn run(arguments: TicketArguments) -> Result<(), Problem> {
    let client = client(arguments.connection)?;
    let answer = client.reopen(&arguments.id, Uuid::new_v4()).await?;
    if arguments.json {
        return print_json(&answer);
    }
    let id = line(&arguments.id);
    print(&format!(
        "the pull request of {id} is open again; decide with `sallyport approve {id}` once the gate asks\n"
    ))
}
