//! Looking after an installation, on real servers.

use std::{collections::BTreeMap, time::SystemTime};

use sallyport_ledger::{
    checkpoints::{self, Checkpoint},
    transitions::record_transition,
};
use sallyport_test_support::scripted_model::Scenario;
use sallyport_workflows::{
    State,
    activities::{TicketFacts, TransitionRecord},
    ticket::TicketKey,
};

use super::*;
use crate::testing::{House, put_on_record};

fn steps(house: &House, retention: RetentionConfig) -> MaintenanceSteps {
    MaintenanceSteps::new(house.context.clone(), retention)
}

/// Ends a ticket that is on record, so many days ago.
async fn end(house: &House, ticket: &TicketKey, days: i64) {
    bring_to(house, ticket, State::Cancelled, days).await;
}

/// Brings a ticket that is on record to `state`, so many days ago.
async fn bring_to(house: &House, ticket: &TicketKey, state: State, days: i64) {
    let end = TransitionRecord {
        ticket: ticket.clone(),
        sequence: 2,
        from: Some(State::Pending),
        to: state,
        at: Utc::now() - TimeDelta::days(days),
        triggered_by: "system".into(),
        reason: None,
        facts: TicketFacts {
            repository_url: house.origin.url().to_owned(),
            ..TicketFacts::default()
        },
    };
    record_transition(&house.context.database, &end)
        .await
        .unwrap();
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_workspaces_of_tickets_that_ended_long_ago_go() {
    let house = House::new(&[("a", "a\n")], Scenario::new()).await;
    let ticket = |id: &str| TicketKey::first("flux-lens", id);
    let (database, data_dir) = (&house.context.database, &house.context.data_dir);
    let lay_out = |id: &str| {
        let workspace = Workspace::of(data_dir, &ticket(id));
        fs::create_dir_all(workspace.tree().join("deep/er")).unwrap();
        fs::write(workspace.tree().join("deep/er/file"), "x").unwrap();
        workspace
    };
    let [old, young, running, unknown] = ["OLD", "YOUNG", "RUNNING", "UNKNOWN"].map(lay_out);
    for id in ["OLD", "YOUNG", "RUNNING"] {
        put_on_record(database, &ticket(id), house.origin.url()).await;
    }
    end(&house, &ticket("OLD"), 8).await;
    end(&house, &ticket("YOUNG"), 6).await;

    let steps = steps(&house, RetentionConfig::default());
    let report = steps.sweep_workspaces(Utc::now()).await.unwrap();
    assert_eq!(
        report.counts,
        counts([
            ("workspaces", 4),
            ("removed", 1),
            ("lost", 0),
            ("parked", 0),
            ("setups", 0)
        ])
    );
    assert!(!old.root().exists());
    for kept in [young, running, unknown] {
        assert!(kept.tree().join("deep/er/file").exists(), "{}", kept.name());
    }
    let report = steps.sweep_workspaces(Utc::now()).await.unwrap();
    assert_eq!(
        report.counts,
        counts([
            ("workspaces", 3),
            ("removed", 0),
            ("lost", 0),
            ("parked", 0),
            ("setups", 0)
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_tickets_that_another_host_has_goes_at_once() {
    let house = House::new(&[("a", "a\n")], Scenario::new()).await;
    let _other = house.other_host().await;
    let database = &house.context.database;
    let [ours, lost] = ["OURS", "LOST"].map(|id| TicketKey::first("flux-lens", id));
    for (ticket, host) in [(&ours, "host-1"), (&lost, "host-2")] {
        put_on_record(database, ticket, house.origin.url()).await;
        let claim = hosts::adopt(database, ticket, host).await.unwrap();
        assert_eq!(claim.unwrap().host_id, host);
        let workspace = Workspace::of(&house.context.data_dir, ticket);
        fs::create_dir_all(workspace.tree()).unwrap();
    }
    steps(&house, RetentionConfig::default()).sweep().await;
    let is_there = |ticket: &TicketKey| {
        let workspace = Workspace::of(&house.context.data_dir, ticket);
        workspace.root().exists()
    };
    assert!(is_there(&ours) && !is_there(&lost));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_parked_for_long_keeps_its_checkpoint_and_not_its_disk() {
    let house = House::new(&[("a", "a\n")], Scenario::new()).await;
    let database = &house.context.database;
    let checkpoint = Checkpoint {
        step: 1,
        ended: false,
        bundle: house
            .context
            .store(&house.ticket, "a bundle")
            .await
            .unwrap(),
        taken_at: Utc::now(),
    };
    let mut kept = Vec::new();
    for (id, state, days, has_checkpoint) in [
        ("OLD", State::Error, 8, true),
        ("FAILED", State::QaFailed, 8, true),
        ("YOUNG", State::Error, 6, true),
        ("ALONE", State::Error, 8, false),
        ("WAITS", State::AwaitingPrApproval, 8, true),
    ] {
        let ticket = TicketKey::first("flux-lens", id);
        put_on_record(database, &ticket, house.origin.url()).await;
        hosts::adopt(database, &ticket, "host-1").await.unwrap();
        if has_checkpoint {
            let recorded = checkpoints::record(database, &ticket, "host-1", &checkpoint);
            assert!(recorded.await.unwrap());
        }
        bring_to(&house, &ticket, state, days).await;
        fs::create_dir_all(Workspace::of(&house.context.data_dir, &ticket).tree()).unwrap();
        kept.push(ticket);
    }
    let report = steps(&house, RetentionConfig::default())
        .sweep_workspaces(Utc::now())
        .await
        .unwrap();
    assert_eq!(report.counts["parked"], 2, "{report}");
    kept.retain(|ticket| {
        Workspace::of(&house.context.data_dir, ticket)
            .root()
            .exists()
    });
    let names: Vec<_> = kept
        .iter()
        .map(|ticket| ticket.ticket_id.as_str())
        .collect();
    assert_eq!(names, ["YOUNG", "ALONE", "WAITS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_somebody_works_in_is_waited_for() {
    let house = House::new(&[("a", "a\n")], Scenario::new()).await;
    let workspace = Workspace::of(&house.context.data_dir, &house.ticket);
    fs::create_dir_all(workspace.tree()).unwrap();
    end(&house, &house.ticket, 8).await;
    let works = house.context.workspace_locks.hold(workspace.name()).await;
    let steps = Arc::new(steps(&house, RetentionConfig::default()));
    let sweeping = steps.clone();
    let sweep = tokio::spawn(async move { sweeping.sweep_workspaces(Utc::now()).await });
    // Whoever sweeps has come as far as the lock when somebody else holds a handle of it.
    while house.context.workspace_locks.waiting(workspace.name()) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(workspace.root().exists());
    drop(works);
    sweep.await.unwrap().unwrap();
    assert!(!workspace.root().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_task_reports_what_it_did_and_zero_days_keep_for_ever() {
    let house = House::new(&[("a", "a\n")], Scenario::new()).await;
    let context = &house.context;
    let kept = context.store(&house.ticket, "of the ticket").await.unwrap();
    let orphan = context.objects.put("an orphan").await.unwrap();
    for object in [&kept, &orphan] {
        let path = context.data_dir.join("objects").join(&object.key);
        let file = fs::File::options().write(true).open(path).unwrap();
        let then = SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 60 * 60);
        file.set_modified(then).unwrap();
    }
    end(&house, &house.ticket, 400).await;

    let never = RetentionConfig {
        agent_logs_days: 0,
        workspaces_days: 0,
        inbox_days: 0,
        notifications_days: 0,
        tickets_days: 0,
        unreferenced_objects_days: 0,
    };
    let idle = steps(&house, never);
    for report in [
        idle.collect(Utc::now()).await.unwrap(),
        idle.retain_all(Utc::now()).await.unwrap(),
        idle.sweep_workspaces(Utc::now()).await.unwrap(),
    ] {
        assert!(report.counts.values().all(|count| *count == 0), "{report}");
    }

    let steps = steps(&house, RetentionConfig::default());
    let report = steps.collect(Utc::now()).await.unwrap();
    assert_eq!(
        (report.counts["removed"], report.counts["referred"]),
        (1, 1)
    );
    assert_eq!(context.objects.get(&kept).await.unwrap(), "of the ticket");
    let report = steps.retain_all(Utc::now()).await.unwrap();
    assert_eq!(report.counts["archived_tickets"], 1);
    assert_eq!(
        report.to_string(),
        "retain: archived_log_lines 0, archived_logs 0, archived_tickets 1, removed_events 0, removed_notifications 0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_systems_are_asked_for_what_never_came() {
    let house = House::new(&[("a", "a\n")], Scenario::new()).await;
    house.flux_lens.withhold_deliveries(true);
    house.flux_lens.ping().unwrap();
    let steps = steps(&house, RetentionConfig::default());
    let report = steps.ask_sources(Utc::now()).await.unwrap();
    assert_eq!(
        report.to_string(),
        "reconcile: begun_again 0, events 1, taken 1, too_old 0, unreadable 0"
    );
}

#[test]
fn events_count_from_the_ledgers_beginning_and_while_the_inbox_knows_them() {
    let now = Utc::now();
    let before = |days| now - TimeDelta::days(days);
    assert_eq!(events_count_from(before(10), 90, now), before(10));
    assert_eq!(events_count_from(before(100), 7, now), before(7));
    assert_eq!(events_count_from(before(100), 0, now), before(100));
}
