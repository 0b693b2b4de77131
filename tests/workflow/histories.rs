//! Old histories must replay on new code: those saved in `tests/histories/`, one for each path of a ticket's life, and
//! one made now. `cargo xtask histories` records them anew.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use sallyport_workflows::{MaintenanceWorkflow, State, TicketWorkflow, gate::Gate};
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use crate::harness::{ANN, Ticket, policy};

/// The happy path's history: what one ticket may cost Temporal's database.
const MOST_EVENTS: usize = 300;
const MOST_BYTES: i64 = 80 * 1024;

/// The paths of a ticket's life, by the ticket of the test that goes there.
const PATHS: [(&str, &str); 35] = [
    ("HAPPY-1", "approved twice and merged"),
    ("SIGNAL-1", "decided by signals typed by hand"),
    ("QUORUM-1", "two people approve"),
    ("WHO-1", "somebody decides who may not"),
    ("REJECT-1", "SPEC rejected"),
    ("SILENT-1", "SPEC rejected by silence"),
    ("REMIND-1", "people are reminded"),
    ("REVISE-1", "SPEC revised"),
    ("ASK-1", "the planner asks and is answered"),
    ("ASK-2", "the planner asks and nobody answers in time"),
    ("BASE-1", "the base branch changed a file in scope"),
    ("GRANT-1", "more scope granted"),
    (
        "REFUSAL-1",
        "more scope refused, by a person and by silence",
    ),
    ("SCOPE-1", "the agent undoes what is outside its scope"),
    ("REPAIR-1", "repaired after a failed QA"),
    ("RETRY-3", "QA failed, run again, repaired once more"),
    ("RETRY-2", "planned anew after a failed QA"),
    ("CHANGES-1", "changes requested on the pull request"),
    ("REFUSED-1", "the forge refuses to merge"),
    ("CLOSED-1", "closed by silence and reopened"),
    ("CLOSED-2", "closed and not reopened"),
    ("CLOSED-3", "merged on the forge"),
    ("CLOSED-4", "the reopening fails"),
    ("PARKED-1", "parked, and nobody took it up"),
    ("RETRY-1", "retried from the step that failed"),
    ("RAISE-1", "a budget is used up and raised"),
    ("PUBLISHED-1", "retried with a published branch"),
    ("ABANDON-1", "abandoned"),
    ("STOP-1", "cancelled while the agent works"),
    ("STOP-2", "cancelled at a gate"),
    ("CANCEL-1", "cancelled in Temporal"),
    ("EXTEND-1", "a gate gets more time"),
    ("EXTEND-2", "a closed pull request gets more time"),
    ("RENEW-1", "continued as new; its last run"),
    ("MAINTENANCE-1", "a task of maintenance"),
];

/// Saves the history of one of the paths for later, compressed: they repeat themselves.
pub fn save(folder: &Path, ticket_id: &str, json: &[u8]) {
    if !PATHS.iter().any(|(path, _)| *path == ticket_id) {
        return;
    }
    let file = File::create(path(folder, ticket_id)).expect("a file");
    let mut to = GzEncoder::new(file, Compression::best());
    to.write_all(json)
        .and_then(|()| to.try_finish())
        .expect("saved");
}

fn path(folder: &Path, ticket_id: &str) -> PathBuf {
    folder.join(format!("{}.json.gz", ticket_id.to_lowercase()))
}

pub async fn replay(name: &str, json: &[u8]) {
    let options = WorkflowReplayerOptions::new()
        .register_workflow::<TicketWorkflow>()
        .expect("registered")
        .register_workflow::<MaintenanceWorkflow>()
        .expect("registered")
        .build();
    let replayer = WorkflowReplayer::new(options).expect("a replayer");
    let history = WorkflowHistory::from_json(json).expect("a history in the SDK's JSON");
    if let Err(error) = replayer.replay_workflow(history).await {
        panic!("{name} does not replay: put the change behind ctx.patched: {error}");
    }
}

#[tokio::test]
async fn the_history_of_the_happy_path_replays_and_stays_small() {
    let ticket = Ticket::start("REPLAY-1", policy(), |_| {}).await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
    let description = ticket
        .handle
        .describe(Default::default())
        .await
        .expect("described");
    let info = description
        .raw()
        .workflow_execution_info
        .clone()
        .expect("info");
    println!(
        "happy path: {} events, {} bytes",
        info.history_length, info.history_size_bytes
    );
    assert!(
        description.history_length() as usize <= MOST_EVENTS,
        "{} events",
        info.history_length
    );
    assert!(
        info.history_size_bytes <= MOST_BYTES,
        "{} bytes",
        info.history_size_bytes
    );
    replay("the happy path", &ticket.history().await).await;
}

#[tokio::test]
async fn the_saved_history_of_every_path_replays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("histories");
    for (ticket_id, what) in PATHS {
        let path = path(&folder, ticket_id);
        let mut json = Vec::new();
        let file =
            File::open(&path).unwrap_or_else(|error| panic!("{}, {what}: {error}", path.display()));
        GzDecoder::new(file)
            .read_to_end(&mut json)
            .expect("readable");
        replay(&format!("{ticket_id}, {what},"), &json).await;
    }
}
