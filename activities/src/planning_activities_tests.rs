//! From a ticket to a stored SPEC, on a real repository, with a scripted model.

use chrono::Utc;
use sallyport_ledger::model_spending;
use sallyport_test_support::scripted_model::{FailureKind, PlanAnswer, Scenario};
use sallyport_workflows::{
    activities::{RevisedSpec, StepKey},
    policy::InstallationPolicy,
    ticket::TicketSummary,
    usage::Usage,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    policy_file,
    testing::{House, spec_for},
};

const GATES: &str = "[[gates]]\nname = 'Unit tests'\ncommand = 'node --test'\n";

fn answer(title: &str, path: &str) -> Value {
    json!({
        "title": title, "problem": "p", "solution": "s",
        "files": [{"path": path, "change": "modify", "reason": "r"}],
        "plan": ["1"], "testing": ["t"], "patterns": [], "risks": [], "confidence": 0.8,
        "confidence_reasons": ["It is small, and a test shows it."],
        "open_questions": [],
        "criteria": [{"text": "c", "check": "Unit tests"}],
    })
}

async fn pin(house: &House) -> Result<PinnedPolicy, StepError> {
    let steps = PlanningSteps::new(house.context.clone());
    let input = LoadPolicy {
        ticket: house.ticket.clone(),
        repository_url: house.origin.url().to_owned(),
        installation: InstallationPolicy::default(),
        planner: None,
    };
    steps.pin(input).await
}

/// The SPEC that was planned.
fn spec_of(planned: &Planned) -> &SpecRef {
    match &planned.outcome {
        PlanOutcome::Spec(spec) => spec,
        PlanOutcome::Questions(questions) => panic!("{questions:?}"),
    }
}

async fn plan_input(house: &House, pinned: &PinnedPolicy, revised: Vec<RevisedSpec>) -> PlanInput {
    let ticket =
        json!({"title": "a is wrong", "description": "See src/a.js.", "labels": []}).to_string();
    PlanInput {
        key: StepKey {
            ticket: house.ticket.clone(),
            sequence: 2,
        },
        summary: TicketSummary {
            title: "a is wrong".into(),
            url: "https://flux-lens.example.com/tickets/FL-1".into(),
            reporter: "reporter@example.com".into(),
            content: house.context.objects.put(ticket).await.unwrap(),
        },
        repository_url: house.origin.url().to_owned(),
        pinned: pinned.clone(),
        seen: None,
        revised,
        questions_left: 3,
        cost_left_micro_usd: 5_000_000,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_becomes_a_spec_that_can_be_approved_and_revised() {
    let scenario = Scenario::new().plan([
        PlanAnswer::spec(answer("Fix a", "src/none.js")),
        PlanAnswer::spec(answer("Fix a", "src/a.js")),
        PlanAnswer::spec(answer("Fix a better", "src/a.js")),
        PlanAnswer::spec(answer("Fix a shorter", "src/a.js")),
    ]);
    let house = House::new(&[("src/a.js", "a\n"), (policy_file::FILE, GATES)], scenario).await;
    let pinned = pin(&house).await.unwrap();
    assert_eq!(pinned.base_branch, "main");
    assert_eq!(pinned.base_commit, house.origin.head("main").await);
    assert_eq!(pinned.planner.as_deref(), Some("default"));
    let steps = PlanningSteps::new(house.context.clone());

    let first = steps
        .plan_ticket(
            plan_input(&house, &pinned, Vec::new()).await,
            &Progress::default(),
        )
        .await
        .unwrap();
    assert_eq!(
        first.usage.requests, 2,
        "the first answer named a file that does not exist"
    );
    let objects = &house.context.objects;
    let loaded = approved::load(objects, "FL-1", spec_of(&first), &pinned.policy)
        .await
        .unwrap();
    assert!(loaded.text.starts_with("# Ticket FL-1: Fix a\n"));
    assert_eq!(loaded.policy.repository.gates[0].command, "node --test");
    assert_eq!(
        (spec_of(&first).files, spec_of(&first).confidence_percent),
        (1, 80)
    );

    let revised = RevisedSpec {
        text: spec_of(&first).text.clone(),
        comments: objects.put("Do it better.").await.unwrap(),
    };
    let second = steps
        .plan_ticket(
            plan_input(&house, &pinned, vec![revised]).await,
            &Progress::default(),
        )
        .await
        .unwrap();
    assert_ne!(spec_of(&second).revision, spec_of(&first).revision);
    let asked = house.model.requests().pop().unwrap().body.to_string();
    assert!(
        asked.contains("Do it better.") && asked.contains("# Ticket FL-1: Fix a"),
        "{asked}"
    );
    assert!(asked.contains("See src/a.js."));

    // What it has seen it is shown again, before what is new.
    let revised = RevisedSpec {
        text: spec_of(&second).text.clone(),
        comments: objects.put("And shorter.").await.unwrap(),
    };
    let input = PlanInput {
        seen: second.seen,
        ..plan_input(&house, &pinned, vec![revised]).await
    };
    let third = steps
        .plan_ticket(input, &Progress::default())
        .await
        .unwrap();
    let asked = house.model.requests().pop().unwrap().body.to_string();
    let at = |words: &str| {
        asked
            .find(words)
            .unwrap_or_else(|| panic!("{words}: {asked}"))
    };
    assert!(at("Do it better.") < at("And shorter."));
    let seen = objects.get(&third.seen.unwrap()).await.unwrap();
    let seen: Vec<RevisedSpec> = serde_json::from_slice(&seen).unwrap();
    assert_eq!(seen.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repositorys_policy_is_part_of_what_is_approved() {
    let section = "[policy.pr_gate]\napprovals = 2\n[policy.budget]\nrepairs = 1\n";
    let file = format!("{GATES}{section}");
    let house = House::new(&[(policy_file::FILE, &file)], Scenario::new()).await;
    let pinned = pin(&house).await.unwrap();
    assert_eq!(pinned.effective.pr_gate.approvals, 2);
    assert_eq!(pinned.effective.budget.repairs, 1);
    assert_eq!(pinned.effective.spec_gate.approvals, 1);
    let stored = house.context.objects.get(&pinned.policy).await.unwrap();
    let stored: Policy = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored.effective, pinned.effective);

    let laxer = house.origin.commit(&[(policy_file::FILE, GATES)]).await;
    let other = pin(&house).await.unwrap();
    assert_eq!(other.base_commit, laxer);
    assert_ne!(other.policy, pinned.policy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_policy_and_a_missing_repository_are_final() {
    for (content, words) in [
        (
            "[[gates]]\nname = 'a'\ncommand = 'b'\ncolour = 'red'\n".to_owned(),
            "line 4",
        ),
        ("# nothing\n".to_owned(), "names no gates"),
        (
            format!("{GATES}[policy.spec_gate]\napprovals = 0\n"),
            "line 5: `policy.spec_gate.approvals`",
        ),
        ("#".repeat(70_000), "bytes"),
    ] {
        let house = House::new(&[(policy_file::FILE, &content)], Scenario::new()).await;
        let error = pin(&house).await.unwrap_err();
        assert!(
            error.is_final() && error.kind() == kind::POLICY_INVALID,
            "{error:?}"
        );
        assert!(error.message().contains(words), "{error}");
    }
    let house = House::new(&[("a", "a")], Scenario::new()).await;
    assert!(
        pin(&house)
            .await
            .unwrap_err()
            .message()
            .contains("is missing")
    );
    let steps = PlanningSteps::new(house.context.clone());
    let gone = LoadPolicy {
        ticket: house.ticket.clone(),
        repository_url: format!("file:///nowhere/{}", Utc::now().timestamp()),
        installation: InstallationPolicy::default(),
        planner: None,
    };
    let error = steps.pin(gone).await.unwrap_err();
    assert!(
        error.is_final() && error.kind() == kind::REPOSITORY_UNAVAILABLE,
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_gates_they_are_detected_and_the_spec_says_so() {
    let package = r#"{"scripts": {"test": "node --test"}}"#;
    let mut planned = answer("Fix a", "src/a.js");
    planned["criteria"][0]["check"] = "npm tests".into();
    let scenario = Scenario::new().plan([PlanAnswer::spec(planned)]);
    let house = House::new(&[("src/a.js", "a\n"), ("package.json", package)], scenario).await;
    let pinned = pin(&house).await.unwrap();
    let steps = PlanningSteps::new(house.context.clone());
    let planned = steps
        .plan_ticket(
            plan_input(&house, &pinned, Vec::new()).await,
            &Progress::default(),
        )
        .await
        .unwrap();
    let objects = &house.context.objects;
    let loaded = approved::load(objects, "FL-1", spec_of(&planned), &pinned.policy)
        .await
        .unwrap();
    assert!(loaded.policy.repository.detected);
    for line in [
        "1. c — checked by: npm tests\n",
        "Detected from the repository's files, since its `.sallyport.toml` names none:\n",
        "- npm tests (required): `CI=true npm run test`\n",
    ] {
        assert!(loaded.text.contains(line), "{line}: {}", loaded.text);
    }
}

/// A SPEC for `src/a.js` that was approved against the present head, and the question whether it still holds.
async fn approved_spec(house: &House) -> CheckBase {
    let base = house.origin.head("main").await;
    let (spec, policy) = house.approve(&spec_for(&["src/a.js"]), &base).await;
    CheckBase {
        ticket: house.ticket.clone(),
        repository_url: house.origin.url().to_owned(),
        spec,
        policy,
        base_branch: "main".into(),
        installation: InstallationPolicy::default(),
    }
}

const FILES: [(&str, &str); 3] = [
    ("src/a.js", "a\n"),
    ("src/b.js", "b\n"),
    (policy_file::FILE, GATES),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_base_asks_again_with_the_same_spec() {
    let house = House::new(&FILES, Scenario::new()).await;
    let steps = PlanningSteps::new(house.context.clone());
    let asked = approved_spec(&house).await;
    let check = async |input: &CheckBase| steps.compare_base(input.clone()).await.unwrap();
    assert_eq!(check(&asked).await, BaseCheck::Unchanged);
    // A policy that is wrong by now is none of this SPEC's business.
    house
        .origin
        .commit(&[("src/b.js", "B\n"), (policy_file::FILE, "wrong")])
        .await;
    assert_eq!(check(&asked).await, BaseCheck::Unchanged);

    let stricter = format!("{GATES}[policy.spec_gate]\napprovals = 2\n");
    let head = house
        .origin
        .commit(&[("src/a.js", "A\n"), (policy_file::FILE, &stricter)])
        .await;
    let answer = check(&asked).await;
    let bytes = serde_json::to_vec(&answer).unwrap().len();
    assert!(bytes < 2048, "{bytes} bytes go into the history");
    let BaseCheck::Changed(changed) = answer else {
        panic!("the change was not seen");
    };
    let ChangedBase {
        spec,
        pinned,
        change,
    } = *changed;
    assert_eq!(
        (change.from.as_str(), change.to.as_str()),
        (asked.spec.base_commit.as_str(), head.as_str())
    );
    assert_eq!((change.files, change.first.as_str()), (1, "src/a.js"));
    let objects = &house.context.objects;
    let diff = objects.get_text(&change.diff).await.unwrap();
    assert!(diff.contains("+A") && !diff.contains("b.js"), "{diff}");
    assert_eq!(pinned.base_commit, head);
    assert_eq!(pinned.base_branch, "main");
    assert_eq!(pinned.effective.spec_gate.approvals, 2);

    assert_eq!(spec.base_commit, head);
    assert_eq!(
        (&spec.text, &spec.document),
        (&asked.spec.text, &asked.spec.document)
    );
    assert_ne!(spec.revision, asked.spec.revision);
    let loaded = approved::load(objects, "FL-1", &spec, &pinned.policy)
        .await
        .unwrap();
    assert_eq!(loaded.policy.effective, pinned.effective);
    // What was approved before is not approved now.
    let old = approved::load(objects, "FL-1", &asked.spec, &pinned.policy).await;
    assert_eq!(old.unwrap_err().kind(), kind::SPEC_CHANGED);

    let again = CheckBase {
        spec,
        policy: pinned.policy,
        ..asked
    };
    assert_eq!(check(&again).await, BaseCheck::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_final() {
    let house = House::new(&FILES, Scenario::new()).await;
    let steps = PlanningSteps::new(house.context.clone());
    let asked = approved_spec(&house).await;
    let failure = async |input: CheckBase| {
        let error = steps.compare_base(input).await.unwrap_err();
        assert!(error.is_final(), "{error}");
        error.kind()
    };
    let mut forged = asked.clone();
    forged.spec.text = house.context.objects.put("# Other").await.unwrap();
    assert_eq!(failure(forged).await, kind::SPEC_CHANGED);
    let branchless = CheckBase {
        base_branch: "gone".into(),
        ..asked.clone()
    };
    assert_eq!(failure(branchless).await, kind::REPOSITORY_UNAVAILABLE);
    house
        .origin
        .commit(&[("src/a.js", "A\n"), (policy_file::FILE, "wrong")])
        .await;
    assert_eq!(failure(asked).await, kind::POLICY_INVALID);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planner_asks_within_the_days_budget() {
    let answers = [PlanAnswer::spec(answer("Fix a", "src/a.js"))];
    let scenario = Scenario::new().plan(answers);
    let house = House::new(&[("src/a.js", "a\n"), (policy_file::FILE, GATES)], scenario).await;
    let pinned = pin(&house).await.unwrap();
    let steps = PlanningSteps::new(house.context.clone());
    let database = &house.context.database;
    let limit = crate::testing::DAY_BUDGET;
    let others = model_spending::set_aside(database, limit - 1, limit);
    let others = others.await.unwrap().unwrap();
    let input = plan_input(&house, &pinned, Vec::new()).await;
    let refused = steps
        .plan_ticket(input.clone(), &Progress::default())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), kind::BUDGET);
    assert!(
        refused.is_final() && refused.message().contains("model.day_budget_micro_usd"),
        "{refused}"
    );
    assert!(house.model.requests().is_empty());

    model_spending::settle(database, others, 0).await.unwrap();
    let planned = steps
        .plan_ticket(input, &Progress::default())
        .await
        .unwrap();
    let spent = model_spending::today(database).await.unwrap();
    assert_eq!(spent, planned.usage.cost_micro_usd);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_paid_twice() {
    let busy = FailureKind::Status {
        status: 529,
        retry_after_seconds: None,
    };
    let answers = [
        PlanAnswer::spec(answer("Fix a", "src/none.js")),
        PlanAnswer::spec(answer("Fix a", "src/a.js")).fail(1, busy),
    ];
    let scenario = Scenario::new().plan(answers);
    let house = House::new(&[("src/a.js", "a\n"), (policy_file::FILE, GATES)], scenario).await;
    let pinned = pin(&house).await.unwrap();
    let steps = PlanningSteps::new(house.context.clone());
    let input = plan_input(&house, &pinned, Vec::new()).await;
    let plan = async |input: &PlanInput| {
        let progress = Progress::default();
        steps.plan_ticket(input.clone(), &progress).await
    };
    // The first answer was paid, the second request fails.
    let failure = plan(&input).await.unwrap_err();
    assert_eq!(failure.details().unwrap().usage.requests, 1, "{failure}");
    assert_eq!(house.model.requests().len(), 2);
    let planned = plan(&input).await.unwrap();
    assert_eq!(planned.usage.requests, 2);
    assert_eq!(house.model.requests().len(), 3);
    // A worker that was killed before it could report.
    assert_eq!(plan(&input).await.unwrap(), planned);
    // A later step finds the SPEC, and counts nothing.
    let mut later = input.clone();
    later.key.sequence += 1;
    let again = plan(&later).await.unwrap();
    assert_eq!(
        (&again.outcome, again.usage),
        (&planned.outcome, Usage::default())
    );
    assert_eq!(house.model.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_to_nothing_is_asked_for_anew() {
    let answers = ["src/none.js", "src/nothing.js", "src/a.js"];
    let answers = answers.map(|path| PlanAnswer::spec(answer("Fix a", path)));
    let scenario = Scenario::new().plan(answers);
    let house = House::new(&[("src/a.js", "a\n"), (policy_file::FILE, GATES)], scenario).await;
    let pinned = pin(&house).await.unwrap();
    let steps = PlanningSteps::new(house.context.clone());
    let input = plan_input(&house, &pinned, Vec::new()).await;
    let progress = Progress::default();
    let failure = steps
        .plan_ticket(input.clone(), &progress)
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), kind::PLAN_INVALID);
    assert_eq!(house.model.requests().len(), 2);
    // The model that is scripted says the same again; what counts is that it is asked.
    let failure = steps.plan_ticket(input, &progress).await.unwrap_err();
    assert_eq!(failure.kind(), kind::PLAN_INVALID);
    assert_eq!(house.model.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planner_that_this_worker_does_not_know_may_be_known_to_another() {
    let files = [("src/a.js", "a\n"), (policy_file::FILE, GATES)];
    let house = House::new(&files, Scenario::new()).await;
    let pinned = PinnedPolicy {
        planner: Some("gone".to_owned()),
        ..pin(&house).await.unwrap()
    };
    let steps = PlanningSteps::new(house.context.clone());
    let input = plan_input(&house, &pinned, Vec::new()).await;
    let error = steps.plan_ticket(input, &Progress::default()).await;
    let error = error.unwrap_err();
    assert!(!error.is_final(), "{error:?}");
    assert!(error.message().contains("no planner `gone`"), "{error:?}");
    assert_eq!(house.model.requests().len(), 0, "nothing was asked");
}
