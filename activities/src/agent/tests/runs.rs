//! Runs from beginning to end, and all the ways in which they end.

use std::{fs, time::Duration};

use sallyport_test_support::scripted_model::{AgentStep, FailureKind, Scenario};

use super::*;

#[tokio::test]
async fn pi_does_its_work_with_each_vendor() {
    for vendor in VENDORS {
        let world = World::new(vendor, work());
        let running = world.start("Make the greeting better.");
        let progress = running.progress.clone();
        let ended = running.end().await;

        let report = ended.report;
        assert_eq!(report.stop, Stop::Completed, "{:?}", ended.log);
        assert_eq!(report.final_text, "The greeting is better now.");
        assert_eq!(
            (
                report.tool_calls,
                report.usage.requests,
                report.gateway.refused
            ),
            (4, 5, 0)
        );
        assert!(report.usage.cost_micro_usd > 0);
        let changed = fs::read_to_string(world.workspace().join("src/greet.js")).unwrap();
        assert_eq!(changed, "export const greet = () => 'good morning';\n");
        let told = world.told();
        assert!(
            told.contains("# pass 1") || told.contains("ℹ pass 1"),
            "{told}"
        );

        let progress = progress.borrow().clone();
        assert_eq!(
            (progress.tool_calls, progress.step.as_str(), progress.usage),
            (4, "finished", report.usage)
        );
        let edit = ended
            .log
            .iter()
            .find(|line| line.tool.as_deref() == Some("edit"))
            .unwrap();
        assert_eq!(
            (edit.level, edit.path.as_deref()),
            (LogLevel::Info, Some("src/greet.js"))
        );
        assert!(ended.log.iter().any(|line| line.message == "I change it."));

        let first = &world.model.requests()[0];
        assert!(
            first.headers.values().any(|value| value.contains(KEY)),
            "the gateway put the key in"
        );
        let system = first.body.to_string();
        assert!(
            system.contains("- src/greet.js")
                && system.contains("Here is your task.\\n\\nMake the greeting better.")
        );
    }
}

#[tokio::test]
async fn a_shell_command_has_its_time() {
    let marker = marker();
    let mut world = World::new(
        Vendor::Anthropic,
        Scenario::new().run([
            AgentStep::say("Wait.").bash(format!("sleep {marker}")),
            AgentStep::say("Done."),
        ]),
    );
    world.limits.command = Duration::from_secs(1);
    let ended = world.run().await;
    assert_eq!(ended.report.stop, Stop::Completed);
    assert!(
        ended
            .log
            .iter()
            .any(|line| line.level == LogLevel::Warn && line.message.contains("timed out")),
        "{:?}",
        ended.log
    );
    assert!(!runs(&marker));
}

#[tokio::test]
async fn tool_calls_are_limited() {
    let steps = (0..20)
        .map(|n| AgentStep::say("Again.").bash(format!("echo {n}")))
        .collect::<Vec<_>>();
    let mut world = World::new(Vendor::Anthropic, Scenario::new().run(steps));
    world.limits.tool_calls = 3;
    let report = world.run().await.report;
    assert_eq!(
        report.stop,
        Stop::Failed {
            reason: "it called more than 3 tools".to_owned()
        }
    );
    assert!(report.tool_calls <= 5);
}

#[tokio::test]
async fn a_used_up_budget_ends_the_run() {
    let mut world = World::new(Vendor::Anthropic, work());
    world.spending.requests = 2;
    let ended = world.run().await;
    let whose = crate::gateway::Exhausted::Run;
    assert_eq!(
        ended.report.stop,
        Stop::BudgetExhausted { whose },
        "{:?}",
        ended.log
    );
    assert_eq!(
        (ended.report.usage.requests, ended.report.gateway.refused),
        (2, 1),
        "Pi does not try again"
    );
    assert_eq!(world.model.requests().len(), 2);
}

#[tokio::test]
async fn a_run_whose_time_is_up_is_ended() {
    // On a busy machine Pi may need longer than that to ask for the first time.
    for wall in [3, 12, 48, 192] {
        let mut world = World::new(
            Vendor::Anthropic,
            Scenario::new().run([AgentStep::say("").wait_for("never")]),
        );
        world.limits.wall = Duration::from_secs(wall);
        let report = world.run().await.report;
        assert_eq!(report.stop, Stop::TimedOut);
        assert!(
            !runs(&world.folder.path().display().to_string()),
            "no process of the run is left"
        );
        let asked = world.model.requests().len() as u64;
        assert_eq!(report.usage.requests, asked, "what was asked is charged");
        if asked > 0 {
            return;
        }
    }
    panic!("Pi never asked");
}

#[tokio::test]
async fn a_cancelled_run_leaves_nothing_behind_and_its_session_goes_on() {
    let marker = marker();
    let scenario = Scenario::new().run_when(
        &["better"],
        [
            AgentStep::say("Change.").write("src/greet.js", "changed\n"),
            AgentStep::say("Wait.").bash(format!("setsid sleep {marker} & sleep {marker}")),
            AgentStep::say("I go on."),
        ],
    );
    let world = World::new(Vendor::Anthropic, scenario);
    let mut running = world.start("Make the greeting better.");
    running.wait_for_log(&format!("sleep {marker}")).await;
    running.cancel.cancel();
    let ended = running.end().await;
    assert_eq!(ended.report.stop, Stop::Cancelled);
    assert!(
        !runs(&marker) && !runs(&world.folder.path().display().to_string()),
        "no process of the run is left"
    );

    let ended = world
        .start("You were interrupted. Look at the files and go on.")
        .end()
        .await;
    assert_eq!(ended.report.stop, Stop::Completed, "{:?}", ended.log);
    assert_eq!(ended.report.final_text, "I go on.");
    let told = world.told();
    assert!(
        told.contains("Make the greeting better.") && told.contains("You were interrupted."),
        "{told}"
    );
}

#[tokio::test]
async fn a_vendor_that_refuses_fails_the_run_and_says_why() {
    let refuse = FailureKind::Status {
        status: 401,
        retry_after_seconds: None,
    };
    let world = World::new(
        Vendor::Anthropic,
        Scenario::new().run([AgentStep::say("x").fail(99, refuse)]),
    );
    let ended = world.run().await;
    let Stop::Failed { reason } = &ended.report.stop else {
        panic!("{:?}", ended.report.stop)
    };
    assert!(
        reason.contains("refused the gateway's key (401)"),
        "{reason}"
    );
    assert!(!format!("{:?}{:?}", ended.report, ended.log).contains(KEY));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let scenario = Scenario::new()
        .run([AgentStep::say("A longer answer, which breaks off once.").fail(1, FailureKind::Cut)]);
    let world = World::new(Vendor::Anthropic, scenario);
    let ended = world.run().await;
    assert_eq!(ended.report.stop, Stop::Completed, "{:?}", ended.log);
    assert_eq!(
        ended.report.usage.requests, 2,
        "the first one is charged, too"
    );
}
