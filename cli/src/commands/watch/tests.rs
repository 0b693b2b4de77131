use clap::Parser as _;
use sallyport_ledger::agent_logs::LogLevel;
use serde_json::{Value, json};

use super::{screen::text, *};
use crate::{
    arguments::{Arguments, Command},
    client::test_server::TestServer,
    commands::fixtures,
    terminal::Painter,
};

fn log(id: u64, at: &str, message: &str) -> LogRow {
    LogRow {
        id,
        at: at.parse().unwrap(),
        level: LogLevel::Info,
        message: message.into(),
        tool: None,
        path: None,
    }
}

fn shown(events: &[Event]) -> String {
    let texts = events
        .iter()
        .map(|event| text(event, fixtures::now(), Painter::plain()));
    texts.collect()
}

#[test]
fn what_happened_is_told_in_order_and_then_what_is_asked() {
    let logs = vec![
        log(1, "2026-11-23T19:10:02Z", "reads the ticket"),
        log(2, "2026-11-23T19:10:05Z", "\u{1b}[2Jtwo\nlines"),
    ];
    let mut news = News::default();
    let view = fixtures::at_gate_1();
    insta::assert_snapshot!(shown(&news.of(&view, logs)));
    assert_eq!(news.of(&view, Vec::new()), [], "nothing is told twice");
}

#[test]
fn only_what_is_new_is_told() {
    let mut news = News::default();
    news.of(&fixtures::at_gate_1(), Vec::new());
    let mut later = fixtures::at_the_scope_gate();
    later.decisions = fixtures::at_gate_1().decisions;
    let events = news.of(&later, Vec::new());
    assert!(
        matches!(events.as_slice(), [Event::Question { question, .. }] if question.scope_request.is_some()),
        "{events:#?}"
    );
}

#[test]
fn what_the_planner_asks_is_told_once() {
    let mut news = News::default();
    let view = fixtures::asking();
    let events = news.of(&view, Vec::new());
    insta::assert_snapshot!(shown(&events[events.len() - 1..]));
    assert_eq!(news.of(&view, Vec::new()), [], "nothing is told twice");
}

#[test]
fn a_wait_is_told_once_with_what_ends_it() {
    let mut news = News::default();
    let mut view = fixtures::closed();
    let first = news.of(&view, Vec::new());
    insta::assert_snapshot!(shown(&first));
    assert_eq!(news.of(&view, Vec::new()), []);
    // Parked later on: that is another wait.
    view.workflow.state = State::Error;
    view.status.as_mut().unwrap().state = State::Error;
    view.workflow.failure = fixtures::parked().workflow.failure;
    let mut transition = view.transitions[1].clone();
    transition.sequence = 3;
    transition.to = State::Error;
    view.transitions.push(transition);
    let events = news.of(&view, Vec::new());
    insta::assert_snapshot!(shown(&events));
}

#[test]
fn the_end_comes_last_and_decides_how_the_program_ends() {
    let mut view = fixtures::merged_by_somebody_else();
    let events = News::default().of(&view, Vec::new());
    let Some(Event::End {
        state, unapproved, ..
    }) = events.last()
    else {
        panic!("{events:#?}");
    };
    assert_eq!((*state, *unapproved), (State::Completed, true));
    assert!(
        shown(&events).contains("merged without the approval"),
        "{}",
        shown(&events)
    );
    verdict(&view, State::Completed, None).unwrap();

    view.workflow.state = State::Cancelled;
    let problem = verdict(&view, State::Cancelled, Some("abandoned\u{1b}")).unwrap_err();
    assert_eq!(problem.exit, Exit::Failed);
    assert_eq!(problem.message, "FL-1 ended as CANCELLED: abandoned");
}

#[test]
fn each_event_is_one_line_of_json() {
    let events = News::default().of(&fixtures::at_gate_1(), Vec::new());
    let names: Vec<String> = events
        .iter()
        .map(|event| {
            let text = crate::commands::json_line(event).unwrap();
            assert_eq!(text.matches('\n').count(), 1);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            if value["event"] == "question" {
                assert_eq!(value["gate"], "SPEC");
                assert_eq!(value["next"][0]["command"], "sallyport spec FL-1");
            }
            value["event"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        names,
        [
            "transition",
            "transition",
            "transition",
            "decision",
            "note",
            "question"
        ]
    );
}

#[test]
fn how_it_stands_fits_one_line() {
    let now = fixtures::now();
    for (view, expected) in [
        (
            fixtures::at_the_scope_gate(),
            "FL-1  AWAITING_SCOPE_APPROVAL for 3 min · 23 h 57 min left · $1.42 · agent 12 min 5 s",
        ),
        (
            fixtures::at_gate_2_without_a_worker(),
            "FL-1  AWAITING_PR_APPROVAL for 3 min · no worker answers now · 23 h 57 min left · $0.42",
        ),
    ] {
        assert_eq!(screen::standing(&view, now), expected);
    }
}

/// Watches at a server that gives these answers; answers with how it ended and what was shown.
async fn watched(more: &[&str], answers: Vec<(u16, Value)>) -> (Result<(), Problem>, String) {
    let server = TestServer::start(answers);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "token").unwrap();
    let token_file = token.path().to_str().unwrap();
    let connection = ["--url", &server.url, "--token-file", token_file];
    let all = ["sallyport", "watch", "FL-1"].iter().chain(&connection);
    let Command::Watch(arguments) = Arguments::try_parse_from(all.chain(more)).unwrap().command
    else {
        panic!("it is `sallyport watch`");
    };
    let mut screen = Screen::kept(arguments.json);
    let ended = follow(&arguments, &mut screen).await;
    for (asked, _) in server.asked() {
        assert!(asked.starts_with("GET /"), "{asked}");
    }
    (ended, screen.shown().to_owned())
}

fn answer(view: &WorkflowView) -> (u16, Value) {
    (200, serde_json::to_value(view).unwrap())
}

fn lines(count: u64) -> (u16, Value) {
    let line = |id| {
        let row = log(id, "2026-11-23T19:10:02Z", &format!("line {id}"));
        serde_json::to_value(row).unwrap()
    };
    let lines: Vec<Value> = (1..=count).map(line).collect();
    (200, json!({ "logs": lines, "next": count }))
}

#[tokio::test]
async fn a_starter_that_goes_away_for_a_while_is_waited_for() {
    let away =
        json!({ "code": "database_unavailable", "detail": "the database cannot be reached" });
    let (ended, shown) = watched(
        &["--json"],
        vec![
            answer(&fixtures::closed()),
            lines(0),
            (503, away.clone()),
            // The ticket is known, the lines are not: nothing of this look is taken.
            answer(&fixtures::merged_by_somebody_else()),
            (503, away),
            answer(&fixtures::merged_by_somebody_else()),
            lines(1),
        ],
    )
    .await;
    ended.unwrap();
    let events: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    let expected = [
        "transition",
        "transition",
        "decision",
        "waiting",
        "unreachable",
        "reachable",
        "log",
        "transition",
        "command",
        "command",
        "command",
        "end",
    ];
    assert_eq!(names, expected, "{shown}");
    assert_eq!(events[4]["message"], "the database cannot be reached");
}

#[tokio::test]
async fn whoever_joins_late_sees_the_agents_last_lines() {
    let completed = || answer(&fixtures::merged_by_somebody_else());
    let (_, shown) = watched(&[], vec![completed(), lines(25)]).await;
    assert!(
        shown.contains("15 lines of the agent came before"),
        "{shown}"
    );
    assert!(
        shown.contains("line 16\n") && !shown.contains("line 15\n"),
        "{shown}"
    );
    let (_, shown) = watched(&["--json"], vec![completed(), lines(25)]).await;
    assert!(shown.contains("\"line 1\""), "{shown}");
}

#[tokio::test]
async fn a_ticket_that_is_not_there_is_no_ticket_to_wait_for() {
    let said =
        json!({ "code": "not_found", "detail": "there is no workflow `FL-1` in the ledger" });
    let (ended, _) = watched(&[], vec![(404, said)]).await;
    assert_eq!(ended.unwrap_err().exit, Exit::NotFound);
}
