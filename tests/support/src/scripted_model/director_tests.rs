use super::super::scenario::{AgentStep, Failure, PlanAnswer};
use super::*;
use serde_json::json;

fn prompt(text: &str) -> Message {
    Message::Prompt(text.into())
}

fn said(text: &str) -> Message {
    Message::Assistant(text.into())
}

fn conversation(messages: Vec<Message>) -> Conversation {
    Conversation {
        model: "model-1".into(),
        stream: true,
        include_usage: true,
        output_schema: None,
        offers_tools: true,
        messages,
        request_bytes: 400,
    }
}

fn planning(words: &str) -> Conversation {
    Conversation {
        output_schema: Some(json!({ "type": "object", "required": ["title"] })),
        offers_tools: false,
        ..conversation(vec![Message::System("You plan.".into()), prompt(words)])
    }
}

fn plan(title: &str) -> PlanAnswer {
    PlanAnswer::json(json!({ "title": title }))
}

fn text(director: &mut Director, request: &Conversation) -> String {
    director.direct(request).unwrap().answer.text
}

fn complaint(director: &mut Director, request: &Conversation) -> String {
    match director.direct(request).unwrap_err() {
        Refusal::BadRequest { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_different_planner_request_takes_the_next_plan() {
    let mut director = Director::new(Scenario::new().plan([plan("first"), plan("second")]));
    let title = |text: &str| format!(r#"{{"title":"{text}"}}"#);
    let (first, revised) = (planning("FL-1"), planning("FL-1, but with tests"));
    assert_eq!(text(&mut director, &first), title("first"));
    assert_eq!(text(&mut director, &first), title("first"), "sent again");
    assert_eq!(text(&mut director, &revised), title("second"));
    assert_eq!(
        text(&mut director, &first),
        title("first"),
        "sent again, late"
    );
    assert_eq!(
        text(&mut director, &planning("FL-1, once more")),
        title("second")
    );
}

#[test]
fn the_last_fitting_plan_wins_and_counts_for_itself() {
    let scenario = Scenario::new()
        .plan([plan("any")])
        .plan_when(&["FL-2"], [plan("two"), plan("two again")])
        .plan_when(&["FL-2", "smaller"], [plan("two, smaller")]);
    let mut director = Director::new(scenario);
    for (words, title) in [
        ("FL-1", "any"),
        ("FL-2", "two"),
        ("FL-2, smaller", "two, smaller"),
        ("FL-2, bigger", "two again"),
    ] {
        assert_eq!(
            text(&mut director, &planning(words)),
            format!(r#"{{"title":"{title}"}}"#)
        );
    }
}

#[test]
fn a_plan_that_breaks_the_schema_is_a_mistake_of_the_scenario() {
    let scenario = Scenario::new()
        .plan([PlanAnswer::json(json!({ "titel": "x" }))])
        .plan_when(&["raw"], [PlanAnswer::text("no JSON")]);
    let mut director = Director::new(scenario);
    let message = complaint(&mut director, &planning("FL-1"));
    assert!(
        message.contains("does not satisfy") && message.contains("title"),
        "{message}"
    );
    assert_eq!(text(&mut director, &planning("raw")), "no JSON");
}

#[test]
fn the_step_is_the_number_of_messages_that_the_model_has_said() {
    let scenario = Scenario::new().run([
        AgentStep::say("one").bash("ls"),
        AgentStep::say("two").bash("ls"),
        AgentStep::say("done"),
    ]);
    let mut director = Director::new(scenario);
    let mut messages = vec![Message::System("sys".into()), prompt("go")];
    for expected in ["one", "two", "done", "done"] {
        assert_eq!(
            text(&mut director, &conversation(messages.clone())),
            expected
        );
        messages.extend([said(expected), Message::ToolResults]);
    }
    messages.insert(4, prompt("You were interrupted. Look at the tree first."));
    assert_eq!(
        text(&mut director, &conversation(messages[..5].to_vec())),
        "two"
    );
}

#[test]
fn a_later_prompt_starts_another_run_in_the_same_session_or_a_new_one() {
    let scenario = Scenario::new()
        .run([AgentStep::say("work").bash("ls"), AgentStep::say("done")])
        .run_when(
            &["outside the scope"],
            [
                AgentStep::say("undo").bash("rm x"),
                AgentStep::say("mended"),
            ],
        );
    let mut director = Director::new(scenario);
    let feedback = prompt("These paths are outside the scope: x");
    let mut session = vec![
        prompt("go"),
        said("work"),
        Message::ToolResults,
        said("done"),
        feedback.clone(),
    ];
    assert_eq!(text(&mut director, &conversation(session.clone())), "undo");
    session.extend([said("undo"), Message::ToolResults]);
    assert_eq!(
        text(&mut director, &conversation(session.clone())),
        "mended"
    );
    // Killed and resumed within the second run: the run for every prompt does not take over again.
    session.push(prompt("You were interrupted."));
    assert_eq!(text(&mut director, &conversation(session)), "mended");
    assert_eq!(
        text(&mut director, &conversation(vec![feedback])),
        "undo",
        "a fresh session"
    );
}

#[test]
fn requests_without_an_answer_say_why() {
    let mut director =
        Director::new(Scenario::new().run_when(&["FL-1"], [AgentStep::default().bash("ls")]));
    let beyond = conversation(vec![prompt("FL-1"), said(""), Message::ToolResults]);
    let nobody = Conversation {
        offers_tools: false,
        ..conversation(vec![prompt("hello")])
    };
    for (request, words) in [
        (beyond, "run 0 has 1 steps, and step 1"),
        (conversation(vec![prompt("FL-2")]), "no run fits"),
        (planning("FL-1"), "no plan fits"),
        (nobody, "neither offers tools"),
    ] {
        let message = complaint(&mut director, &request);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn failures_are_used_up_one_after_the_other_for_each_answer() {
    let mut director = Director::new(Scenario::new());
    let before = Before {
        failures: vec![
            Failure {
                how: FailureKind::Cut,
                times: 2,
            },
            Failure {
                how: FailureKind::Hang,
                times: 1,
            },
        ],
        ..Before::default()
    };
    let (here, there) = (Cue::Step { run: 0, step: 0 }, Cue::Step { run: 0, step: 1 });
    let seen: Vec<_> = (0..4)
        .map(|_| director.next_failure(here, &before))
        .collect();
    assert_eq!(
        seen,
        [
            Some(FailureKind::Cut),
            Some(FailureKind::Cut),
            Some(FailureKind::Hang),
            None
        ]
    );
    assert_eq!(
        director.next_failure(there, &before),
        Some(FailureKind::Cut)
    );
}

#[test]
fn ids_repeat_for_the_same_request_only() {
    let mut director = Director::new(Scenario::new().run([
        AgentStep::default().bash("a").bash("b"),
        AgentStep::default().bash("c"),
    ]));
    let first = conversation(vec![prompt("go")]);
    let one = director.direct(&first).unwrap().answer;
    assert_eq!(one, director.direct(&first).unwrap().answer);
    let later = conversation(vec![prompt("go"), said(""), Message::ToolResults]);
    let two = director.direct(&later).unwrap().answer;
    let ids = [
        one.tool_id("t", 0),
        one.tool_id("t", 1),
        two.tool_id("t", 0),
    ];
    assert!(
        ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2],
        "{ids:?}"
    );
    assert_eq!((one.usage.input, one.usage.output), (100, 8));
}

#[test]
fn only_the_models_of_the_scenario_exist() {
    let mut director = Director::new(Scenario {
        models: vec!["other".into()],
        ..Scenario::new()
    });
    assert_eq!(
        director
            .direct(&conversation(vec![prompt("go")]))
            .unwrap_err(),
        Refusal::UnknownModel("model-1".into())
    );
}
