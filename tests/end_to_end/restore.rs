//! What docs/operations.md says of backup and restore, done: all of the ledger and all objects are lost, and tickets go
//! on from the backup.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use sallyport_test_support::{
    demo_scenario::{STATES, demo_scenario, demo_ticket},
    flux_lens::{NewTicket, Status},
    installation::Installation,
    tools::TestTools,
};
use serde_json::Value;

use crate::fixture::{git, origin, scratch, sealed, start_here, states, temporal, tests_pass};

/// The demo's ticket in a project of its own.
fn demo_in(project: &str) -> NewTicket {
    NewTicket {
        project: project.to_owned(),
        ..demo_ticket()
    }
}

/// One of Postgres's own programs, told where the ledger is.
fn postgres_program(sallyport: &Installation, name: &str) -> Command {
    let programs = TestTools::load().expect("tools").postgres_bin_dir;
    let password = std::fs::read_to_string(sallyport.data_dir().join("postgres-password"));
    let mut command = Command::new(programs.join(name));
    command
        .arg("--dbname")
        .arg(&sallyport.run.database_url)
        .env("PGPASSWORD", password.expect("a password").trim());
    command
}

fn succeeds(mut command: Command) {
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["--recursive", "--preserve=mode,timestamps", "--"]);
    command.arg(from).arg(to);
    succeeds(command);
}

struct Backup {
    ledger: PathBuf,
    objects: PathBuf,
}

impl Backup {
    /// The ledger first, then the objects: what the ledger refers to is there by then.
    fn of(sallyport: &Installation) -> Self {
        let folder = sallyport.folder().join("backup");
        std::fs::create_dir(&folder).expect("a folder");
        let backup = Self {
            ledger: folder.join("ledger.dump"),
            objects: folder.join("objects"),
        };
        let mut dump = postgres_program(sallyport, "pg_dump");
        dump.args(["--format=custom", "--file"]).arg(&backup.ledger);
        succeeds(dump);
        copy(&sallyport.data_dir().join("objects"), &backup.objects);
        backup
    }

    /// The objects first, then the ledger: nothing refers to what is not there yet.
    fn restore(&self, sallyport: &Installation) {
        let objects = sallyport.data_dir().join("objects");
        std::fs::remove_dir_all(&objects).expect("it is removed");
        copy(&self.objects, &objects);
        let mut restore = postgres_program(sallyport, "pg_restore");
        restore
            .args([
                "--clean",
                "--if-exists",
                "--no-owner",
                "--single-transaction",
            ])
            .args(["--exit-on-error"])
            .arg(&self.ledger);
        succeeds(restore);
    }
}

fn lose_everything(sallyport: &Installation) {
    for folder in ["postgres", "objects"] {
        std::fs::remove_dir_all(sallyport.data_dir().join(folder)).expect("it is removed");
    }
}

/// What must be the same before and after, and must not be there twice at the end.
async fn record(sallyport: &Installation, id: &str) -> Value {
    let view = sallyport.api.ticket(id).await.expect("the ticket's view");
    let keep = ["workflow", "transitions", "decisions", "approvals"];
    keep.iter().map(|part| view[*part].clone()).collect()
}

#[tokio::test]
async fn tickets_go_on_from_a_backup_of_ledger_and_objects() {
    let folder = scratch("restore");
    let mut sallyport = start_here(folder, "anthropic", demo_scenario(0))
        .await
        .unwrap();
    let file = |project: &str| sallyport.flux_lens.create_ticket(demo_in(project)).unwrap();
    let (finished, at_spec, at_pr) = (file("demo"), file("signal"), file("moved"));
    for id in [&finished, &at_pr] {
        let gate = sallyport.api.until_gate(id, "SPEC").await.unwrap();
        sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();
    }
    let gate = sallyport.api.until_gate(&finished, "PR").await.unwrap();
    sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();
    sallyport
        .api
        .until_state(&finished, "COMPLETED")
        .await
        .unwrap();
    sallyport.api.until_gate(&at_pr, "PR").await.unwrap();
    sallyport.api.until_gate(&at_spec, "SPEC").await.unwrap();
    let all = [&finished, &at_spec, &at_pr];
    let mut before = Vec::new();
    for id in all {
        before.push(record(&sallyport, id).await);
    }

    sealed(&sallyport).await;
    let backup = Backup::of(&sallyport);
    sallyport.stop().unwrap();
    lose_everything(&sallyport);
    sallyport.restart().await.unwrap();
    let lost = sallyport.api.ticket(&finished).await;
    assert!(lost.is_err(), "{lost:?}");
    backup.restore(&sallyport);
    sallyport.restart().await.unwrap();

    for (id, before) in all.iter().zip(&before) {
        assert_eq!(&record(&sallyport, id).await, before, "{id}");
    }
    // The record is whole, and as Temporal's histories have it; so it is at the end.
    sealed(&sallyport).await;
    let gate = sallyport.api.until_gate(&at_spec, "SPEC").await.unwrap();
    sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();
    for id in [&at_spec, &at_pr] {
        let gate = sallyport.api.until_gate(id, "PR").await.unwrap();
        sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();
        sallyport.api.until_state(id, "COMPLETED").await.unwrap();
    }

    for (id, project) in all.iter().zip(["demo", "signal", "moved"]) {
        assert_eq!(states(&sallyport.api, id).await, STATES, "{id}");
        assert_eq!(sallyport.flux_lens.status(id), Some(Status::Done));
        assert_eq!(sallyport.flux_lens.comments(id).len(), 4, "{id}");
        let view = sallyport.api.ticket(id).await.unwrap();
        assert_eq!(view["decisions"].as_array().map(Vec::len), Some(2));
        assert_eq!(view["workflow"]["pull_request"]["number"], 1, "{view:#}");
        let repository = origin(sallyport.folder(), project);
        assert!(tests_pass(&repository), "the fix is on main");
        let repository = repository.display().to_string();
        let branches = git(&["-C", &repository, "branch", "--list", "sallyport/*"]);
        assert_eq!(branches.lines().count(), 1, "{branches}");
        // All that people read is there, and is what was decided about.
        for document in ["spec", "diff", "qa-report", "transcript"] {
            let path = format!("/workflows/{id}/{document}");
            assert!(!sallyport.api.text(&path).await.unwrap().is_empty());
        }
    }

    let said = sealed(&sallyport).await;
    assert!(said.contains("3 histories compared"), "{said}");

    // Nothing of three whole tickets is taken for forgotten, however old it is, but the copies of their workspaces.
    let objects = sallyport.data_dir().join("objects/sha256");
    let copies = bundles(&objects);
    assert!(copies > 0);
    make_old(&objects);
    let collected = sallyport
        .run_sallyport(&["objects", "collect", "--dry-run", "--json"])
        .unwrap();
    let collected: Value = serde_json::from_str(&collected).unwrap();
    assert_eq!(collected["removed"], copies, "{collected}");
    assert_eq!(collected["young"], 0, "{collected}");
    let left = collected["objects"].as_u64().unwrap() - copies;
    assert_eq!(collected["referred"], left, "{collected}");
    sallyport.stop().unwrap();
}

/// The backup of the ledger is older than what Temporal knows: the ticket went on from gate 1 to gate 2 in between.
#[tokio::test]
async fn a_ticket_that_the_ledger_lost_sight_of_is_begun_again_by_a_reset() {
    let folder = scratch("older");
    let mut sallyport = start_here(folder, "anthropic", demo_scenario(0))
        .await
        .unwrap();
    let id = sallyport.flux_lens.create_ticket(demo_in("demo")).unwrap();
    let gate = sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    let backup = Backup::of(&sallyport);
    sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();
    let unknown = sallyport.api.until_gate(&id, "PR").await.unwrap();
    sallyport.stop().unwrap();
    lose_everything(&sallyport);
    sallyport.restart().await.unwrap();
    backup.restore(&sallyport);
    sallyport.restart().await.unwrap();

    // Nobody can decide about a request that the ledger does not know: refused, and not taken half.
    let refused = sallyport.api.decide(&unknown, "APPROVE", None).await;
    let refused = refused.expect_err("it is refused").to_string();
    assert!(refused.contains("404"), "{refused}");

    // What was pushed since the backup would be taken for somebody else's.
    let repository = origin(sallyport.folder(), "demo").display().to_string();
    let branch = format!("sallyport/{id}");
    git(&["-C", &repository, "branch", "--delete", "--force", &branch]);
    let workflow = format!("ticket:flux-lens:{id}");
    let reset = ["workflow", "reset", "--type", "FirstWorkflowTask"];
    let options = [
        "--reason",
        "the ledger was restored",
        "--reapply-exclude",
        "All",
        "--workflow-id",
        &workflow,
    ];
    temporal(&sallyport, &[&reset[..], &options].concat());
    let gate = sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();
    let gate = sallyport.api.until_gate(&id, "PR").await.unwrap();
    sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();
    let view = sallyport.api.until_state(&id, "COMPLETED").await.unwrap();
    assert_eq!(states(&sallyport.api, &id).await, STATES);
    assert_eq!(view["workflow"]["pull_request"]["number"], 1, "{view:#}");
    assert_eq!(view["decisions"].as_array().map(Vec::len), Some(2));
    assert_eq!(sallyport.flux_lens.comments(&id).len(), 4);
    assert_eq!(sallyport.flux_lens.status(&id), Some(Status::Done));
    assert!(tests_pass(&origin(sallyport.folder(), "demo")));
    sallyport.stop().unwrap();
}

/// Makes all files in a folder a month old.
fn make_old(folder: &Path) {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 24 * 60 * 60);
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let file = std::fs::File::options().write(true).open(path);
        file.and_then(|file| file.set_modified(then))
            .expect("its time is set");
    }
}

/// How many of the objects in a folder are git bundles.
fn bundles(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("a folder");
    let is_bundle = |path: &Path| {
        let content = std::fs::read(path).expect("an object");
        content.starts_with(b"# v") && content.windows(4).any(|four| four == b"PACK")
    };
    let found = files.filter(|entry| is_bundle(&entry.as_ref().expect("an entry").path()));
    found.count() as u64
}
