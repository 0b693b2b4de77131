use chrono::TimeDelta;
use clap::Parser as _;

use super::{words::done, *};
use crate::{
    arguments::{Arguments, Command},
    client::test_server::TestServer,
    commands::fixtures,
};

fn wish(action: Action) -> Wish {
    let arguments = Arguments::try_parse_from(["sallyport", "reopen", "FL-1"]).unwrap();
    match arguments.command {
        Command::Reopen(arguments) => Wish::new(action, arguments.action),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repeat_is_told_what_came_of_the_first() {
    // Retried from EXECUTING, and merged meanwhile.
    let mut view = fixtures::merged_by_somebody_else();
    let at = view.commands[1].at;
    let status = view.status.as_mut().unwrap();
    status.state = State::QaRunning;
    let retry = wish(Action::Retry);
    assert_eq!(
        earlier(&view, &retry).unwrap().goes_to,
        Some(State::Executing)
    );
    for other in [
        Wish {
            from: Some(State::Planning),
            ..wish(Action::Retry)
        },
        Wish {
            raise: BudgetRaise {
                repairs: 1,
                ..BudgetRaise::default()
            },
            ..wish(Action::Retry)
        },
        wish(Action::Abandon),
        wish(Action::Extend),
    ] {
        assert_eq!(earlier(&view, &other), None);
    }
    // Parked anew: that is another retry.
    let status = view.status.as_mut().unwrap();
    status.state = State::Error;
    status.since = at + TimeDelta::seconds(9);
    assert_eq!(earlier(&view, &retry), None);
    // Parked still: the first is under way.
    let status = view.status.as_mut().unwrap();
    status.since = at - TimeDelta::seconds(9);
    assert!(earlier(&view, &retry).is_some());
    // Over: nothing is taken up again.
    let status = view.status.as_mut().unwrap();
    status.state = State::Completed;
    status.since = at + TimeDelta::seconds(9);
    assert_eq!(earlier(&view, &retry), None);
}

#[test]
fn an_extension_is_never_a_repeat() {
    let mut view = fixtures::merged_by_somebody_else();
    view.commands.truncate(1);
    let command = &view.commands[0];
    assert_eq!((command.action, &command.refused), (Action::Extend, &None));
    assert_eq!(earlier(&view, &wish(Action::Extend)), None);
}

#[test]
fn what_is_done_is_shown_before() {
    let view = fixtures::parked();
    let retry = Wish {
        from: Some(State::Planning),
        raise: BudgetRaise {
            cost_micro_usd: 2_500_000,
            tokens: 1000,
            agent_seconds: 1800,
            repairs: 1,
            revisions: 2,
            change_rounds: 1,
            scope_requests: 3,
        },
        ..wish(Action::Retry)
    };
    insta::assert_snapshot!(what_is_done(&view, &retry, Painter::plain()));
    let mut view = fixtures::at_gate_2_without_a_worker();
    view.workflow.state = State::QaFailed;
    let both = [wish(Action::Abandon), wish(Action::Cancel)]
        .map(|wish| what_is_done(&view, &wish, Painter::plain()));
    insta::assert_snapshot!(both.join("\n"));
}

#[test]
fn what_came_of_it_is_told() {
    let view = fixtures::merged_by_somebody_else();
    let mut outcomes = view.status.unwrap().commands;
    for action in [Action::Abandon, Action::Cancel, Action::Reopen] {
        let mut other = outcomes[0].clone();
        other.record.action = action;
        other.deadline = None;
        outcomes.push(other);
    }
    let outcomes = outcomes.iter();
    let told: Vec<String> = outcomes
        .map(|outcome| done(outcome, "FL-1", fixtures::now()))
        .collect();
    insta::assert_snapshot!(told.concat());
}

/// Runs a command at a server that gives these answers; answers with how it ended and what was sent.
async fn run(
    words: &[&str],
    answers: Vec<(u16, serde_json::Value)>,
) -> (Result<(), Problem>, Vec<serde_json::Value>) {
    let server = TestServer::start(answers);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "token").unwrap();
    let token_file = token.path().to_str().unwrap();
    let connection = ["--url", &server.url, "--token-file", token_file, "--json"];
    let all = ["sallyport"].iter().chain(words).chain(&connection);
    let arguments = Arguments::try_parse_from(all).unwrap();
    let ended = crate::commands::run(arguments.command).await;
    let asked = server.asked().into_iter();
    let sent = asked.filter(|(what, _)| what.starts_with("POST"));
    let sent = sent.map(|(what, body)| {
        let id = fixtures::parked().workflow.id;
        assert_eq!(what, format!("POST /workflows/{id}/transition"));
        body
    });
    (ended, sent.collect())
}

fn answer(view: &WorkflowView) -> (u16, serde_json::Value) {
    (200, serde_json::to_value(view).unwrap())
}

#[tokio::test]
async fn a_command_says_what_was_typed() {
    let pending = || (202, json!({ "pending": true }));
    let words = [
        "retry",
        "FL-1",
        "--from",
        "planning",
        "--add-cost",
        "2",
        "-m",
        "it is back",
        "--yes",
    ];
    let (ended, sent) = run(&words, vec![answer(&fixtures::parked()), pending()]).await;
    ended.unwrap();
    let expected = json!({
        "id": sent[0]["id"], "action": "retry", "from": "PLANNING", "reason": "it is back",
        "raise": {
            "cost_micro_usd": 2_000_000, "tokens": 0, "agent_seconds": 0, "repairs": 0, "revisions": 0,
            "change_rounds": 0, "scope_requests": 0,
        },
    });
    assert_eq!(sent, [expected]);

    let words = ["extend", "FL-1", "--by", "1d"];
    let (ended, sent) = run(&words, vec![answer(&fixtures::closed()), pending()]).await;
    ended.unwrap();
    let expected = json!({ "id": sent[0]["id"], "action": "extend", "seconds": 86_400 });
    assert_eq!(sent, [expected]);
}

#[tokio::test]
async fn a_refusal_says_why_and_a_race_with_the_same_is_success() {
    let said = json!({ "code": "refused", "detail": "the ticket is being cancelled" });
    let parked = || answer(&fixtures::parked());
    let (ended, _) = run(
        &["abandon", "FL-1"],
        vec![parked(), (409, said.clone()), parked()],
    )
    .await;
    let problem = ended.unwrap_err();
    assert_eq!(problem.exit, Exit::Conflict);
    assert_eq!(problem.message, "the ticket is being cancelled");
    assert!(problem.hint.unwrap().contains("sallyport status FL-1"));

    let mut abandoned = fixtures::merged_by_somebody_else();
    abandoned.commands[2].refused = None;
    let late = answer(&abandoned);
    let (ended, _) = run(
        &["abandon", "FL-1"],
        vec![parked(), (409, said), late.clone()],
    )
    .await;
    ended.unwrap();
    // Seen at once, it is not even sent.
    let (ended, sent) = run(&["abandon", "FL-1"], vec![late]).await;
    ended.unwrap();
    assert!(sent.is_empty());
}

#[test]
fn a_long_message_is_refused_here() {
    let long = "x".repeat(MAXIMUM_COMMENT_BYTES + 1);
    assert_eq!(check_message(Some(&long)).unwrap_err().exit, Exit::Usage);
    check_message(None).unwrap();
}
