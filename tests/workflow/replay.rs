//! Old histories must replay on new code: those saved in `tests/histories/` and one made now.

use std::path::Path;

use sallyport_workflows::{State, TicketWorkflow, gate::Gate};
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use crate::harness::{ANN, Ticket, policy};

/// The happy path's history: what one ticket may cost Temporal's database.
const MOST_EVENTS: usize = 300;
const MOST_BYTES: i64 = 64 * 1024;

async fn replay(name: &str, json: &[u8]) {
    let options = WorkflowReplayerOptions::new()
        .register_workflow::<TicketWorkflow>()
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
    let json = ticket
        .handle
        .fetch_history(Default::default())
        .to_json()
        .await
        .expect("a history");
    if let Some(folder) = std::env::var_os("SALLYPORT_SAVE_HISTORIES") {
        std::fs::write(Path::new(&folder).join("happy-path.json"), &json).expect("saved");
    }
    replay("the happy path", &json).await;
}

#[tokio::test]
async fn saved_histories_replay() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("histories");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no histories in {}", folder.display());
    for path in names {
        replay(
            &path.display().to_string(),
            &std::fs::read(&path).expect("readable"),
        )
        .await;
    }
}
