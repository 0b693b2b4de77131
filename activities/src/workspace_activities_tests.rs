//! The workspace from its laying out to its removal, and QA in between.

use sallyport_ledger::qa_results;
use sallyport_test_support::scripted_model::Scenario;
use sallyport_workflows::{activities::StepKey, failure::kind};

use super::*;
use crate::testing::{House, OWN_SECRET, spec_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_laid_out_checked_and_removed() {
    let house = House::new(&[("src/a.js", "a\n")], Scenario::new()).await;
    let base = house.origin.head("main").await;
    let (spec, policy) = house.approve(&spec_for(&["src/a.js"]), &base).await;
    let steps = WorkspaceSteps::new(house.context.clone());
    let mut prepare = PrepareWorkspace {
        ticket: house.ticket.clone(),
        repository_url: house.origin.url().to_owned(),
        spec: spec.clone(),
        policy: policy.clone(),
        start_commit: base.clone(),
    };
    let tree = steps.workspace(&house.ticket).tree();
    for _ in 0..2 {
        steps.prepare(&prepare, |_| {}).await.unwrap();
        assert_eq!(
            std::fs::read_to_string(tree.join("src/a.js")).unwrap(),
            "a\n"
        );
    }

    let commit = house.origin.commit(&[("src/a.js", "b\n")]).await;
    let run = RunQa {
        key: StepKey {
            ticket: house.ticket.clone(),
            sequence: 5,
        },
        repository_url: house.origin.url().to_owned(),
        commit: commit.clone(),
        policy,
        spec,
    };
    let database = &house.context.database;
    let objects = &house.context.objects;
    for expected in [
        &["Unit tests", "Unit tests on the base commit"][..],
        &["Unit tests"],
    ] {
        let mut told = Vec::new();
        let result = steps
            .check(&run, |gate| told.push(gate.to_owned()))
            .await
            .unwrap();
        assert_eq!(told, expected);
        assert!(result.passed && result.gates[0].passed);
        assert_eq!(result.gates[0].base, Some(true));
        let text = objects.get_text(&result.report).await.unwrap();
        assert!(
            text.starts_with("# QA report for ticket FL-1: passed\n"),
            "{text}"
        );
        let json = objects.get(&result.report_json).await.unwrap();
        let report: Report = serde_json::from_slice(&json).unwrap();
        assert_eq!(markdown(&report), text, "two forms of the same");
        assert_eq!(
            (report.commit, report.base_commit),
            (commit.clone(), base.clone())
        );
        assert_eq!(report.criteria[0].why, "Unit tests passed");

        let rows = qa_results::of_workflow(database, house.ticket.ledger_id())
            .await
            .unwrap();
        assert_eq!(rows.len(), 2, "one for each gate, however often it ran");
        let stored = rows[0].stored.as_ref().unwrap();
        assert_eq!(*stored, report.gates[0].on_commit.stored);
        assert_eq!(objects.get_text(stored).await.unwrap(), "looked\n");
        let reports = qa_results::reports_of_workflow(database, house.ticket.ledger_id())
            .await
            .unwrap();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].report, result.report);
        assert_eq!(reports[0].report_json, result.report_json);
    }

    prepare.spec.revision = "0".repeat(64);
    assert_eq!(
        steps.prepare(&prepare, |_| {}).await.unwrap_err().kind(),
        kind::SPEC_CHANGED
    );
    for _ in 0..2 {
        steps.remove(&house.ticket).await.unwrap();
        assert!(!steps.workspace(&house.ticket).root().exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_change_fails_qa_and_is_told_by_its_place() {
    let house = House::new(&[("src/a.js", "a\n")], Scenario::new()).await;
    let base = house.origin.head("main").await;
    let (spec, policy) = house.approve(&spec_for(&["src/a.js"]), &base).await;
    let steps = WorkspaceSteps::new(house.context.clone());
    let text = format!("// a\nconst key = \"{OWN_SECRET}\";\n");
    let commit = house.origin.commit(&[("src/a.js", &text)]).await;
    let run = RunQa {
        key: StepKey {
            ticket: house.ticket.clone(),
            sequence: 5,
        },
        repository_url: house.origin.url().to_owned(),
        commit,
        policy,
        spec,
    };
    let result = steps.check(&run, |_| {}).await.unwrap();
    let gate = result.gates.last().unwrap();
    assert_eq!(gate.name, leaks::GATE);
    assert!(!result.passed && gate.fails_qa(), "{gate:?}");
    let objects = &house.context.objects;
    for report in [&result.report, &result.report_json] {
        let text = objects.get_text(report).await.unwrap();
        assert!(
            text.contains("src/a.js, line 2: a secret of Sallyport's own installation"),
            "{text}"
        );
        assert!(!text.contains(OWN_SECRET), "{text}");
    }
    let rows = qa_results::of_workflow(&house.context.database, house.ticket.ledger_id())
        .await
        .unwrap();
    assert!(
        rows.iter()
            .all(|row| !format!("{row:?}").contains(OWN_SECRET))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lost_the_ticket_lays_out_and_records_nothing() {
    let house = House::new(&[("src/a.js", "a\n")], Scenario::new()).await;
    let base = house.origin.head("main").await;
    let (spec, policy) = house.approve(&spec_for(&["src/a.js"]), &base).await;
    let steps = WorkspaceSteps::new(house.context.clone());
    let (database, ticket) = (&house.context.database, &house.ticket);
    let other = house.other_host().await;
    hosts::adopt(database, ticket, &other.host_id)
        .await
        .unwrap();
    let prepare = PrepareWorkspace {
        ticket: ticket.clone(),
        repository_url: house.origin.url().to_owned(),
        spec: spec.clone(),
        policy: policy.clone(),
        start_commit: base.clone(),
    };
    let refused = steps.prepare(&prepare, |_| {}).await.unwrap_err();
    assert!(refused.message().contains("host-2 went on"), "{refused}");
    assert!(!steps.workspace(ticket).tree().exists());
    let run = RunQa {
        key: StepKey {
            ticket: ticket.clone(),
            sequence: 5,
        },
        repository_url: house.origin.url().to_owned(),
        commit: base,
        policy,
        spec,
    };
    let refused = steps.check(&run, |_| {}).await.unwrap_err();
    assert!(
        !refused.is_final() && refused.message().contains("host-2 went on"),
        "{refused}"
    );
    let rows = qa_results::of_workflow(database, ticket.ledger_id()).await;
    assert!(rows.unwrap().is_empty());

    // Nor does it forget what the other has.
    steps.remove(ticket).await.unwrap();
    let claim = hosts::claim_of(database, ticket).await.unwrap();
    assert_eq!(claim.unwrap().host_id, other.host_id);
}
