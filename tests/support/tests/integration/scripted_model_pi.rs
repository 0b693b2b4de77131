//! The scripted model against the real Pi CLI, over each vendor's protocol.

use std::time::Duration;

use sallyport_test_support::demo_repository::write_demo_repository;
use sallyport_test_support::demo_scenario::demo_scenario;
use sallyport_test_support::scripted_model::{
    AgentStep, Cue, FailureKind, Scenario, ScriptedModel, Usage,
};
use serde_json::{Value, json};

use crate::demo_repository::{check_out, git, node_test};
use crate::pi::Pi;
use crate::tools::Tools;

const KEY: &str = "model-key";
const APIS: [&str; 3] = [
    "anthropic-messages",
    "openai-completions",
    "google-generative-ai",
];
const LIMIT: Duration = Duration::from_secs(60);

fn last_answer(events: &[Value]) -> &Value {
    &events
        .iter()
        .rfind(|event| event["type"] == "message_end" && event["message"]["role"] == "assistant")
        .expect("the model has said something")["message"]
}

#[tokio::test]
async fn pi_solves_the_demo_s_ticket() {
    for api in APIS {
        let folder = tempfile::tempdir().unwrap();
        let repository = write_demo_repository(folder.path()).unwrap();
        let checkout = check_out(folder.path(), &repository.origin);
        let model = ScriptedModel::start(demo_scenario(0), KEY).unwrap();
        let tools = Tools::load();
        assert!(!node_test(&tools, &checkout), "main is red");

        let mut pi = Pi::start(folder.path(), &checkout, &model, api, KEY);
        pi.prompt("Carry out the plan.").await;
        let events = pi.until_settled().await;
        pi.end().await;

        assert_eq!(last_answer(&events)["stopReason"], "stop", "{api}");
        let tool_ends: Vec<_> = events
            .iter()
            .filter(|event| event["type"] == "tool_execution_end")
            .map(|event| {
                (
                    event["toolName"].as_str().unwrap(),
                    event["isError"] == true,
                )
            })
            .collect();
        assert_eq!(
            tool_ends,
            [
                ("read", false),
                ("read", false),
                ("read", false),
                ("bash", true),
                ("edit", false),
                ("edit", false),
                ("bash", false)
            ],
            "{api}: the tests fail, the edits apply, the tests pass"
        );
        assert!(node_test(&tools, &checkout), "{api}: the fix is on disk");
        assert_eq!(
            git(&checkout, &["diff", "--name-only"]),
            "src/parse.js\ntest/parse.test.js\n"
        );
        let cues: Vec<_> = model
            .requests()
            .iter()
            .map(|request| request.cue.unwrap())
            .collect();
        let expected: Vec<_> = (0..6).map(|step| Cue::Step { run: 0, step }).collect();
        assert_eq!(cues, expected, "{api}");
    }
}

#[tokio::test]
async fn pi_tells_the_scripted_token_counts() {
    for api in APIS {
        let folder = tempfile::tempdir().unwrap();
        let usage = Usage {
            input: 1_000,
            output: 50,
            cached: 200,
        };
        let model = ScriptedModel::start(
            Scenario::new().run([AgentStep::say("Done.").usage(usage)]),
            KEY,
        )
        .unwrap();
        let mut pi = Pi::start(folder.path(), folder.path(), &model, api, KEY);
        pi.prompt("go").await;
        let events = pi.until_settled().await;
        let told = &last_answer(&events)["usage"];
        assert_eq!(
            (&told["input"], &told["cacheRead"], &told["output"]),
            (&json!(800), &json!(200), &json!(50)),
            "{api}"
        );
    }
}

#[tokio::test]
async fn a_killed_pi_resumes_at_the_right_step() {
    for api in APIS {
        let folder = tempfile::tempdir().unwrap();
        let scenario = Scenario::new().run([
            AgentStep::say("One.").bash("echo one >> log.txt"),
            AgentStep::say("Two.")
                .wait_for("killed")
                .bash("echo two >> log.txt"),
            AgentStep::say("Done."),
        ]);
        let model = ScriptedModel::start(scenario, KEY).unwrap();
        let mut first = Pi::start(folder.path(), folder.path(), &model, api, KEY);
        first.prompt("go").await;
        model.wait_until_held("killed", LIMIT).await.unwrap();
        first.kill().await;
        model.release("killed");

        let mut second = Pi::start(folder.path(), folder.path(), &model, api, KEY);
        second
            .prompt("You were interrupted. Look at the tree first.")
            .await;
        let events = second.until_settled().await;
        assert_eq!(last_answer(&events)["stopReason"], "stop", "{api}");
        let log = std::fs::read_to_string(folder.path().join("log.txt")).unwrap();
        assert_eq!(
            log, "one\ntwo\n",
            "{api}: nothing is done twice, nothing left out"
        );
    }
}

#[tokio::test]
async fn pi_gets_over_failures_and_a_second_prompt_starts_the_next_run() {
    for api in APIS {
        let folder = tempfile::tempdir().unwrap();
        let busy = FailureKind::Status {
            status: 529,
            retry_after_seconds: None,
        };
        let scenario = Scenario::new()
            .run([
                AgentStep::say("Written.")
                    .write("a.txt", "wrong")
                    .fail(1, busy),
                AgentStep::say("Done."),
            ])
            .run_when(
                &["mend"],
                [
                    AgentStep::say("Mended.")
                        .edit("a.txt", "wrong", "right")
                        .fail(1, FailureKind::Cut),
                    AgentStep::say("Done again."),
                ],
            );
        let model = ScriptedModel::start(scenario, KEY).unwrap();
        let mut pi = Pi::start(folder.path(), folder.path(), &model, api, KEY);
        for prompt in ["go", "Please mend a.txt"] {
            pi.prompt(prompt).await;
            let events = pi.until_settled().await;
            assert_eq!(
                last_answer(&events)["stopReason"],
                "stop",
                "{api}: {prompt}"
            );
        }
        assert_eq!(
            std::fs::read_to_string(folder.path().join("a.txt")).unwrap(),
            "right"
        );
        let failed: Vec<_> = model
            .requests()
            .into_iter()
            .filter_map(|request| request.failure)
            .collect();
        assert_eq!(failed.len(), 2, "{api}: {failed:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_ends_in_the_vendor_s_error() {
    for api in APIS {
        let folder = tempfile::tempdir().unwrap();
        let model =
            ScriptedModel::start(Scenario::new().run([AgentStep::say("Hi.")]), KEY).unwrap();
        let mut pi = Pi::start(
            folder.path(),
            folder.path(),
            &model,
            api,
            "wrong-key-wrong-key",
        );
        pi.prompt("go").await;
        let answer = last_answer(&pi.until_settled().await).clone();
        let status = match api {
            "google-generative-ai" => "400",
            _ => "401",
        };
        assert_eq!(answer["stopReason"], "error", "{api}");
        assert!(
            answer["errorMessage"].as_str().unwrap().contains(status),
            "{api}: {answer}"
        );
        assert_eq!(
            model.requests().len(),
            1,
            "{api}: a wrong key is not tried again"
        );
    }
}
