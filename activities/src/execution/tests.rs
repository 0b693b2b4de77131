//! The way from the SPEC to the commit: the real Pi in a real room, a scripted model, a real database.

use chrono::DateTime;
use sallyport_ledger::{agent_logs, checkpoints, hosts, model_spending, transcripts};
use sallyport_test_support::scripted_model::{AgentStep, Scenario};
use sallyport_workflows::{
    ObjectRef,
    activities::{AgentTask, StepKey},
    spec::SpecRef,
    ticket::TicketSummary,
};

use super::*;
use crate::{
    sandbox::runs_as_root,
    testing::{House, spec_for},
};

mod scope;

const FILES: &[(&str, &str)] = &[
    ("src/a.js", "export const a = 1;\n"),
    ("src/b.js", "export const b = 1;\n"),
];

/// A house whose ticket was approved and laid out.
struct Scene {
    house: House,
    spec: SpecRef,
    policy: ObjectRef,
    mirror: Mirror,
}

impl Scene {
    async fn new(scenario: Scenario) -> Self {
        let house = House::new(FILES, scenario).await;
        let base = house.origin.head("main").await;
        let (spec, policy) = house.approve(&spec_for(&["src/a.js"]), &base).await;
        let mirror = house
            .context
            .mirrors
            .fetch(house.origin.url())
            .await
            .unwrap();
        checkout::prepare(
            mirror.git(),
            &Workspace::of(&house.context.data_dir, &house.ticket),
            &base,
        )
        .await
        .unwrap();
        checkpoint::held(&house.context, &house.ticket)
            .await
            .unwrap();
        Self {
            house,
            spec,
            policy,
            mirror,
        }
    }

    fn input(&self, sequence: u64, task: AgentTask) -> RunAgent {
        RunAgent {
            key: self.key(sequence),
            summary: TicketSummary {
                title: "t".into(),
                url: "https://flux-lens.example.com/tickets/FL-1".into(),
                reporter: "reporter@example.com".into(),
                content: ObjectRef::of(b"{}"),
            },
            repository_url: self.house.origin.url().to_owned(),
            spec: self.spec.clone(),
            policy: self.policy.clone(),
            session: sequence,
            grants: Vec::new(),
            scope_requests_left: 5,
            task,
            parent_commit: self.spec.base_commit.clone(),
            committed_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            seconds: 120,
            tokens_left: 5_000_000,
            cost_left_micro_usd: 50_000_000,
        }
    }

    async fn run(&self, input: &RunAgent) -> Result<AgentRun, RunEnd> {
        run_on(&self.house.context, input).await
    }

    fn key(&self, sequence: u64) -> StepKey {
        StepKey {
            ticket: self.house.ticket.clone(),
            sequence,
        }
    }

    async fn record(&self, sequence: u64) -> RunRecord {
        let key = self.key(sequence);
        RunRecord::load(&self.house.context, &key).await.unwrap()
    }

    async fn store(&self, sequence: u64, record: &RunRecord) {
        let key = self.key(sequence);
        assert!(record.store(&self.house.context, &key).await.unwrap());
    }

    async fn log(&self) -> Vec<String> {
        let ticket = self.house.ticket.ledger_id();
        let page = agent_logs::page(&self.house.context.database, ticket, 0, 100);
        let lines = page.await.unwrap();
        lines.into_iter().map(|line| line.message).collect()
    }

    async fn text(&self, reference: &ObjectRef) -> String {
        self.house
            .context
            .objects
            .get_text(reference)
            .await
            .unwrap()
    }
}

async fn run_on(context: &Context, input: &RunAgent) -> Result<AgentRun, RunEnd> {
    let (heartbeat, _watched) = watch::channel(AgentHeartbeat::default());
    run_agent(context, input, heartbeat, CancellationToken::new()).await
}

fn good_steps() -> [AgentStep; 2] {
    [
        AgentStep::say("I change it.").edit("src/a.js", "a = 1", "a = 2"),
        AgentStep::say("I changed a to 2."),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_in_a_commit_and_is_not_made_twice() {
    let scene = Scene::new(Scenario::new().run(good_steps())).await;
    let input = scene.input(4, AgentTask::Implement);
    let run = scene.run(&input).await.unwrap();
    let AgentResult::Committed {
        commit,
        diff,
        files,
    } = &run.result
    else {
        panic!("{:?}", run.result);
    };
    assert_eq!(*files, 1);
    assert!(scene.text(diff).await.contains("+export const a = 2;"));
    assert_eq!(run.summary, "I changed a to 2.");
    assert!(
        run.usage.requests == 2 && run.usage.cost_micro_usd > 0,
        "{:?}",
        run.usage
    );
    let message = scene
        .mirror
        .git()
        .run("log")
        .arguments(["-1", "--format=%B%P", commit])
        .text()
        .await
        .unwrap();
    assert_eq!(
        message,
        format!(
            "FL-1: Fix it\n\nTicket: FL-1 https://flux-lens.example.com/tickets/FL-1\nSpec-Revision: {}\n{}",
            scene.spec.revision, scene.spec.base_commit
        )
    );
    let ticket = scene.house.ticket.ledger_id();
    let lines = agent_logs::page(&scene.house.context.database, ticket, 0, 100)
        .await
        .unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line.path.as_deref() == Some("src/a.js")),
        "{lines:?}"
    );

    // The answer was lost on its way to Temporal: the same step again asks no model.
    let asked = scene.house.model.requests().len();
    assert_eq!(scene.run(&input).await.unwrap(), run);
    assert_eq!(scene.house.model.requests().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_scope_is_told_to_the_agent_which_mends_it() {
    // As root, a room cannot change what is there already, so it need not be put back.
    let (outside, mend): (&str, &[&str]) = match runs_as_root() {
        true => ("extra\tthe SPEC does not list it\n", &["out of scope"]),
        false => (
            "extra\tthe SPEC does not list it\nsrc/b.js\tthe SPEC does not list it\n",
            &[
                "out of scope",
                "`src/b.js` was exactly this",
                "export const b = 1;",
            ],
        ),
    };
    let scenario = Scenario::new()
        .run([
            AgentStep::say("Both.")
                .edit("src/a.js", "a = 1", "a = 2")
                .bash("echo 'export const b = 7;' > src/b.js; touch extra"),
            AgentStep::say("Done."),
        ])
        .run_when(
            mend,
            [
                AgentStep::say("Back.").bash("rm extra; echo 'export const b = 1;' > src/b.js"),
                AgentStep::say("Mended."),
            ],
        );
    let scene = Scene::new(scenario).await;
    let first = scene
        .run(&scene.input(4, AgentTask::Implement))
        .await
        .unwrap();
    let AgentResult::OutOfScope {
        paths,
        count,
        first,
    } = first.result
    else {
        panic!("{:?}", first.result);
    };
    assert_eq!(first, "extra");
    assert_eq!(count as usize, outside.lines().count());
    assert_eq!(scene.text(&paths).await, outside);
    let second = scene
        .run(&scene.input(5, AgentTask::MendScope { paths }))
        .await
        .unwrap();
    assert!(
        matches!(second.result, AgentResult::Committed { files: 1, .. }),
        "{:?}",
        second.result
    );
    assert_eq!(second.summary, "Mended.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_goes_on_and_pays_for_both_tries() {
    let [first, last] = good_steps();
    let scene = Scene::new(Scenario::new().run([first, last.wait_for("door")])).await;
    let input = scene.input(4, AgentTask::Implement);
    let (heartbeat, mut watched) = watch::channel(AgentHeartbeat::default());
    let cancel = CancellationToken::new();
    let (cut, ()) = tokio::join!(
        run_agent(&scene.house.context, &input, heartbeat, cancel.clone()),
        async {
            let limit = Duration::from_secs(60);
            scene
                .house
                .model
                .wait_until_held("door", limit)
                .await
                .unwrap();
            watched
                .wait_for(|heartbeat| heartbeat.tokens > 0 && heartbeat.tool_calls == 1)
                .await
                .unwrap();
            cancel.cancel();
        }
    );
    assert_eq!(cut, Err(RunEnd::Cancelled));
    let spent = scene.record(4).await;
    assert!(spent.started && spent.final_text.is_none() && spent.usage.requests >= 1);
    // As if that try had taken a minute.
    let long = RunRecord {
        seconds: 60,
        ..spent.clone()
    };
    scene.store(4, &long).await;

    scene.house.model.release("door");
    let run = scene.run(&input).await.unwrap();
    assert!(
        matches!(run.result, AgentResult::Committed { .. }),
        "{:?}",
        run.result
    );
    assert!(run.usage.requests > spent.usage.requests);
    assert!(run.usage.cost_micro_usd > spent.usage.cost_micro_usd);
    assert!(run.seconds >= 60, "{}", run.seconds);
    let last = scene.house.model.requests().pop().unwrap();
    assert!(
        last.body.to_string().contains("You were interrupted"),
        "{}",
        last.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_tampering_are_final_before_anything_runs() {
    let scene = Scene::new(Scenario::new().run(good_steps())).await;
    let spent = RunRecord {
        started: true,
        seconds: 200,
        ..RunRecord::default()
    };
    scene.store(4, &spent).await;
    let mut poor = scene.input(5, AgentTask::Implement);
    poor.tokens_left = 0;
    let mut changed = scene.input(6, AgentTask::Implement);
    changed.spec.base_commit = "0".repeat(40);
    let late = scene.input(4, AgentTask::Implement);
    for (input, expected) in [
        (late, kind::AGENT_TIMEOUT),
        (poor, kind::BUDGET),
        (changed, kind::SPEC_CHANGED),
    ] {
        match scene.run(&input).await {
            Err(RunEnd::Failed(error)) => {
                assert_eq!(error.kind(), expected, "{error}");
                assert!(error.is_final());
                let seconds = if expected == kind::AGENT_TIMEOUT {
                    200
                } else {
                    0
                };
                assert_eq!(error.details().unwrap().agent_seconds, seconds);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(scene.house.model.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_goes_on_from_the_latest_copy_with_the_same_conversation() {
    let [first, last] = good_steps();
    let scene = Scene::new(Scenario::new().run([first, last.wait_for("door")])).await;
    let (one, two) = (&scene.house.context, scene.house.other_host().await);
    let input = scene.input(4, AgentTask::Implement);
    let (database, ticket) = (&one.database, &scene.house.ticket);
    let taken = async {
        let limit = Duration::from_secs(60);
        scene
            .house
            .model
            .wait_until_held("door", limit)
            .await
            .unwrap();
        while checkpoints::latest(database, ticket)
            .await
            .unwrap()
            .is_none()
            || scene.record(4).await.usage.requests == 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        hosts::end_lease(database, &one.host_id).await.unwrap();
        let claim = hosts::claim(database, ticket).await.unwrap().unwrap();
        assert_eq!(claim.host_id, two.host_id);
    };
    // The host that lost the ticket stops by itself as soon as it learns of it.
    let (lost, ()) = tokio::join!(run_on(one, &input), taken);
    let Err(RunEnd::Failed(lost)) = lost else {
        panic!("{lost:?}");
    };
    assert!(
        !lost.is_final() && lost.message().contains("went on with the ticket"),
        "{lost}"
    );
    assert!(matches!(scene.run(&input).await, Err(RunEnd::Failed(_))));
    let kept = transcripts::of_workflow(database, ticket.ledger_id()).await;
    assert_eq!(kept.unwrap(), [], "it is the other's to say what was said");
    let spent = scene.record(4).await.usage.requests;

    scene.house.model.release("door");
    let run = run_on(&two, &input).await.unwrap();
    let AgentResult::Committed { diff, .. } = &run.result else {
        panic!("{:?}", run.result);
    };
    assert!(scene.text(diff).await.contains("+export const a = 2;"));
    assert!(run.usage.requests > spent);
    let told = scene.house.model.requests().pop().unwrap().body.to_string();
    for part in ["I change it.", "You were interrupted"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let log = scene.log().await;
    assert!(
        log.iter()
            .any(|line| line.starts_with("another host goes on, from the copy of ")),
        "{log:?}"
    );

    // What it made is there when this host is lost, too: nobody is asked again.
    let asked = scene.house.model.requests().len();
    hosts::end_lease(database, &two.host_id).await.unwrap();
    crate::testing::take_lease(one).await;
    hosts::claim(database, ticket).await.unwrap().unwrap();
    assert_eq!(scene.run(&input).await.unwrap(), run);
    assert_eq!(scene.house.model.requests().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_stops_when_the_day_s_budget_is_used_up_and_people_learn_why() {
    let scene = Scene::new(Scenario::new().run(good_steps())).await;
    let limit = crate::testing::DAY_BUDGET;
    let others = model_spending::set_aside(&scene.house.context.database, limit, limit);
    let _used_up = others.await.unwrap().unwrap();
    let end = scene.run(&scene.input(4, AgentTask::Implement)).await;
    let Err(RunEnd::Failed(error)) = end else {
        panic!("{end:?}");
    };
    assert_eq!(error.kind(), kind::BUDGET);
    assert!(
        error.is_final() && error.message().contains("midnight UTC"),
        "{error}"
    );
    let log = scene.log().await;
    assert!(
        log.iter().any(|line| line.contains("used up for today")),
        "{log:?}"
    );
    assert!(scene.house.model.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_kept_without_secrets_however_the_run_ends() {
    let own = crate::testing::OWN_SECRET;
    let [edit, last] = good_steps();
    let told = AgentStep::say(format!("I found {own}.")).bash("echo so it is");
    let scene = Scene::new(Scenario::new().run([edit, told, last])).await;
    let (database, ticket) = (&scene.house.context.database, &scene.house.ticket);
    let mut input = scene.input(4, AgentTask::Implement);
    scene.run(&input).await.unwrap();
    let kept = transcripts::of_workflow(database, ticket.ledger_id()).await;
    let said = scene.text(&kept.unwrap()[0]).await;
    for part in [
        "I change it.",
        "I found ....",
        "so it is",
        "I changed a to 2.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains(own), "{said}");
    for line in said.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }

    // A run that fails has a transcript, too.
    input.key.sequence = 6;
    input.session = 6;
    input.cost_left_micro_usd = 1;
    assert!(scene.run(&input).await.is_err());
    let kept = transcripts::of_workflow(database, ticket.ledger_id()).await;
    let said = scene.text(&kept.unwrap()[1]).await;
    assert!(
        said.contains("out of budget") && !said.contains("I change it."),
        "{said}"
    );
}
