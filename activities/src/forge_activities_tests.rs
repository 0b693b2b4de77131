//! The last look at the scope before a push, and the pull request's text.

use chrono::DateTime;
use sallyport_test_support::scripted_model::Scenario;
use sallyport_workflows::{
    ObjectRef, activities::GateResult, spec::SpecRef, ticket::TicketSummary,
};

use super::*;
use crate::testing::{House, OWN_SECRET, spec_for};

/// A commit on the origin's `main` with `files`, and `main` put back: as if the agent had made it.
async fn commit_of(house: &House, files: &[(&str, &str)]) -> String {
    let base = house.origin.head("main").await;
    let commit = house.origin.commit(files).await;
    house.origin.set("work", &commit).await;
    house.origin.set("main", &base).await;
    commit
}

/// The ticket's branch, if it was pushed.
async fn published(house: &House) -> Option<String> {
    let git = house.origin.git();
    git.commit("refs/heads/sallyport/FL-1").await.unwrap()
}

/// What is told about `commit`.
fn proposal(house: &House, spec: SpecRef, commit: String) -> OpenPullRequest {
    OpenPullRequest {
        ticket: house.ticket.clone(),
        summary: TicketSummary {
            title: "t".into(),
            url: "https://flux-lens.example.com/tickets/FL-1".into(),
            reporter: "reporter@example.com".into(),
            content: ObjectRef::of(b"{}"),
        },
        repository_url: house.origin.url().to_owned(),
        base_branch: "main".into(),
        head_commit: commit,
        spec,
        spec_approved_by: "approver@example.com".into(),
        grants: Vec::new(),
        agent_summary: "I did it.".into(),
        qa: vec![GateResult {
            name: "Unit tests".into(),
            required: true,
            passed: true,
            base: Some(true),
            excused: false,
            duration_ms: 12,
        }],
        qa_report: ObjectRef::of(b"r"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_spec_is_never_pushed() {
    let house = House::new(&[("src/a.js", "a\n"), ("src/b.js", "b\n")], Scenario::new()).await;
    let base = house.origin.head("main").await;
    let (spec, policy) = house.approve(&spec_for(&["src/a.js"]), &base).await;
    let steps = ForgeSteps::new(house.context.clone());
    let input = |commit: &str| PublishBranch {
        ticket: house.ticket.clone(),
        repository_url: house.origin.url().to_owned(),
        commit: commit.to_owned(),
        grants: Vec::new(),
        spec: spec.clone(),
        policy: policy.clone(),
    };
    let wide = commit_of(&house, &[("src/a.js", "2\n"), ("src/b.js", "2\n")]).await;
    let error = steps.publish(&input(&wide)).await.unwrap_err();
    assert!(
        error.is_final()
            && error.kind() == kind::OUT_OF_SCOPE
            && error.message().contains("src/b.js"),
        "{error:?}"
    );
    assert_eq!(published(&house).await, None);

    // A secret is not pushed, also where it was taken out again: the commit that had it would go along.
    let leaky = commit_of(&house, &[("src/a.js", OWN_SECRET), ("src/b.js", "b\n")]).await;
    house.origin.set("main", &leaky).await;
    let mended = house.origin.commit(&[("src/a.js", "3\n")]).await;
    house.origin.set("work", &mended).await;
    house.origin.set("main", &base).await;
    for commit in [leaky, mended] {
        let error = steps.publish(&input(&commit)).await.unwrap_err();
        assert_eq!(error.kind(), kind::LEAK, "{error}");
        assert!(
            error.is_final()
                && error.message().contains("src/a.js, line 1")
                && !error.message().contains(OWN_SECRET),
            "{error:?}"
        );
    }
    assert_eq!(published(&house).await, None);

    // A commit that does not stand on the base cannot be compared with it.
    let tree = house
        .origin
        .git()
        .run("rev-parse")
        .argument(format!("{base}^{{tree}}"))
        .text()
        .await
        .unwrap();
    let alone = diff::signed(
        house.origin.git().run("commit-tree"),
        &house.context.author,
        DateTime::UNIX_EPOCH,
    )
    .arguments(["-m", "x", &tree])
    .text()
    .await
    .unwrap();
    house
        .origin
        .git()
        .run("update-ref")
        .arguments(["refs/heads/alone", &alone])
        .done()
        .await
        .unwrap();
    let error = steps.publish(&input(&alone)).await.unwrap_err();
    assert_eq!(error.kind(), kind::OUT_OF_SCOPE, "{error}");

    house
        .origin
        .git()
        .run("read-tree")
        .index(&house.origin.git().directory().join("test-index"))
        .argument(&base)
        .done()
        .await
        .unwrap();
    // A grant for another file helps as little as one that nobody can have given.
    let objects = &house.context.objects;
    let grant = async |path: &str| {
        let request = serde_json::json!({"paths": [path], "reason": "r"});
        objects.put(request.to_string()).await.unwrap()
    };
    for (path, expected) in [
        ("src/c.js", kind::OUT_OF_SCOPE),
        ("../b.js", kind::SPEC_CHANGED),
    ] {
        let mut granted = input(&wide);
        granted.grants = vec![grant(path).await];
        let error = steps.publish(&granted).await.unwrap_err();
        assert!(
            error.is_final() && error.kind() == expected,
            "{path}: {error:?}"
        );
    }

    let narrow = commit_of(&house, &[("src/a.js", "2\n")]).await;
    assert_eq!(
        steps.publish(&input(&narrow)).await.unwrap(),
        "sallyport/FL-1"
    );
    assert_eq!(house.origin.head("sallyport/FL-1").await, narrow);

    let mut other = input(&narrow);
    other.spec.revision = "0".repeat(64);
    assert_eq!(
        steps.publish(&other).await.unwrap_err().kind(),
        kind::SPEC_CHANGED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_is_pushed_and_told() {
    let house = House::new(&[("src/a.js", "a\n"), ("src/b.js", "b\n")], Scenario::new()).await;
    let base = house.origin.head("main").await;
    let (spec, policy) = house.approve(&spec_for(&["src/a.js"]), &base).await;
    let steps = ForgeSteps::new(house.context.clone());
    let request = serde_json::json!({"paths": ["src/b.js"], "reason": "It holds the table."});
    let grant = house
        .context
        .objects
        .put(request.to_string())
        .await
        .unwrap();
    let commit = commit_of(&house, &[("src/a.js", "2\n"), ("src/b.js", "2\n")]).await;
    let publish = PublishBranch {
        ticket: house.ticket.clone(),
        repository_url: house.origin.url().to_owned(),
        commit: commit.clone(),
        grants: vec![grant.clone()],
        spec: spec.clone(),
        policy,
    };
    steps.publish(&publish).await.unwrap();
    assert_eq!(house.origin.head("sallyport/FL-1").await, commit);
    let mut open = proposal(&house, spec, commit);
    open.grants = vec![grant];
    steps.propose(&open).await.unwrap();
    let ticket = house.ticket.ledger_id();
    let row = sallyport_ledger::pull_requests::get(&house.context.database, ticket).await;
    let body = row.unwrap().body;
    assert!(body.contains("- `src/b.js`: It holds the table."), "{body}");

    open.grants = vec![ObjectRef::of(b"never stored")];
    let error = steps.propose(&open).await.unwrap_err();
    assert_eq!(error.kind(), kind::SPEC_CHANGED, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_opened_once_and_changed_through_the_forge() {
    let house = House::new(&[("src/a.js", "a\n")], Scenario::new()).await;
    let base = house.origin.head("main").await;
    let (spec, policy) = house.approve(&spec_for(&["src/a.js"]), &base).await;
    let steps = ForgeSteps::new(house.context.clone());
    let commit = commit_of(&house, &[("src/a.js", "2\n")]).await;
    let publish = PublishBranch {
        ticket: house.ticket.clone(),
        repository_url: house.origin.url().to_owned(),
        commit: commit.clone(),
        grants: Vec::new(),
        spec: spec.clone(),
        policy,
    };
    steps.publish(&publish).await.unwrap();
    let open = proposal(&house, spec, commit);
    let pull_request = steps.propose(&open).await.unwrap();
    assert_eq!(steps.propose(&open).await.unwrap(), pull_request);
    let row =
        sallyport_ledger::pull_requests::get(&house.context.database, house.ticket.ledger_id())
            .await
            .unwrap();
    assert_eq!(row.title, "FL-1: Fix it");
    assert!(
        row.body.contains("I did it.") && row.body.contains("approver@example.com"),
        "{}",
        row.body
    );

    let input = ChangePullRequest {
        ticket: house.ticket.clone(),
        repository_url: house.origin.url().to_owned(),
        pull_request,
        by: "approver@example.com".into(),
        at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    };
    let forge = steps.forge(&input.repository_url).unwrap();
    let merged = forge.merge(change(&input)).await.unwrap();
    assert_eq!(
        merged,
        MergeResult::Merged {
            commit: house.origin.head("main").await
        }
    );
    assert!(
        steps
            .forge("https://example.com/x.git")
            .is_err_and(|error| error.is_final())
    );
}
