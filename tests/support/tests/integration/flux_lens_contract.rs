//! The fake Flux Lens answers as `docs/flux-lens.yaml` says: every answer that is declared there is provoked
//! once and held against it.

use std::collections::BTreeSet;

use sallyport_test_support::flux_lens::{
    Fault, FluxLens, FluxLensOptions, NewTicket, Operation, Priority, Status,
};
use serde_json::{Value, json};

use crate::contract_document::Contract;

const TOKEN: &str = "flux-token";

pub fn a_ticket() -> NewTicket {
    NewTicket {
        title: "It is broken".into(),
        description: "Very **broken**.".into(),
        priority: Priority::High,
        reporter: "reporter@example.com".into(),
        project: "demo".into(),
        labels: vec!["bug".into()],
    }
}

/// A request that is to be made, and the status that it must get.
struct Case {
    operation: &'static str,
    ticket: &'static str,
    query: &'static str,
    token: &'static str,
    key: Option<&'static str>,
    body: Option<Value>,
    status: u16,
}

fn case(operation: &'static str, status: u16) -> Case {
    Case {
        operation,
        ticket: "FL-1",
        query: "",
        token: TOKEN,
        key: (operation == "addComment").then_some("key-1"),
        body: match operation {
            "addComment" => Some(json!({ "comment": "Planning." })),
            "setStatus" => Some(json!({ "status": "In Progress" })),
            _ => None,
        },
        status,
    }
}

#[tokio::test]
async fn every_declared_answer_is_given_as_declared() {
    let contract = Contract::load();
    let lens = FluxLens::start(FluxLensOptions::new(TOKEN, "secret")).unwrap();
    lens.create_ticket(a_ticket()).unwrap();
    for (operation, fault) in [
        (Operation::GetTicket, Fault::rate_limit(7)),
        (Operation::GetTicket, Fault::status(500)),
        (Operation::AddComment, Fault::rate_limit(0)),
        (Operation::AddComment, Fault::status(503)),
        (Operation::SetStatus, Fault::rate_limit(1)),
        (Operation::SetStatus, Fault::status(502)),
        (Operation::ListEvents, Fault::rate_limit(2)),
        (Operation::ListEvents, Fault::status(504)),
    ] {
        lens.fail_next(operation, 1, fault);
    }
    let comment = |text: Value, status| Case {
        body: Some(text),
        ..case("addComment", status)
    };
    let set = |status: &str, answer| Case {
        body: Some(json!({ "status": status })),
        ..case("setStatus", answer)
    };
    let list = |query, status| Case {
        query,
        ..case("listEvents", status)
    };
    let cases = [
        case("getTicket", 429),
        case("getTicket", 500),
        case("getTicket", 200),
        Case {
            ticket: "FL-9",
            ..case("getTicket", 404)
        },
        Case {
            token: "wrong",
            ..case("getTicket", 401)
        },
        Case {
            token: "",
            ..case("getTicket", 401)
        },
        case("addComment", 429),
        case("addComment", 503),
        case("addComment", 201),
        case("addComment", 200),
        Case {
            key: Some("key-2"),
            ..case("addComment", 201)
        },
        Case {
            ticket: "FL-9",
            ..case("addComment", 404)
        },
        Case {
            token: "wrong",
            ..case("addComment", 401)
        },
        Case {
            key: None,
            ..case("addComment", 400)
        },
        comment(json!({ "comment": "" }), 400),
        comment(json!({ "comment": "x".repeat(65_537) }), 400),
        comment(json!({ "text": "x" }), 400),
        comment(json!({ "comment": "x", "author": "me" }), 400),
        case("setStatus", 429),
        case("setStatus", 502),
        case("setStatus", 200),
        case("setStatus", 200),
        Case {
            ticket: "FL-9",
            ..case("setStatus", 404)
        },
        Case {
            token: "wrong",
            ..case("setStatus", 401)
        },
        set("Finished", 400),
        set("In Review", 200),
        set("Done", 200),
        set("Done", 200),
        set("Rejected", 409),
        list("", 429),
        list("", 504),
        list("", 200),
        list("?after=after-1&limit=500", 200),
        list("?limit=0", 400),
        list("?limit=501", 400),
        list("?limit=x", 400),
        list("?after=after-2", 410),
        list("?after=unheard-of", 410),
        Case {
            token: "wrong",
            ..case("listEvents", 401)
        },
    ];
    let mut seen = BTreeSet::new();
    for case in cases {
        seen.insert((
            case.operation.to_owned(),
            play(&contract, &lens, &case).await,
        ));
    }
    let missed: Vec<_> = contract
        .declared_answers()
        .difference(&seen)
        .cloned()
        .collect();
    assert!(
        missed.is_empty(),
        "declared in the contract, but not provoked here: {missed:?}"
    );

    assert_eq!(lens.status("FL-1"), Some(Status::Done));
    let comments = lens.comments("FL-1");
    assert_eq!(
        comments
            .iter()
            .map(|comment| comment.id.as_str())
            .collect::<Vec<_>>(),
        ["C-1", "C-2"]
    );
}

/// Makes the request, holds the answer against the contract, and returns the declared status.
async fn play(contract: &Contract, lens: &FluxLens, case: &Case) -> String {
    let (method, path) = contract.request_line(case.operation, case.ticket);
    let mut request =
        reqwest::Client::new().request(method, format!("{}{path}{}", lens.base_url(), case.query));
    if !case.token.is_empty() {
        request = request.bearer_auth(case.token);
    }
    if let Some(key) = case.key {
        request = request.header("idempotency-key", key);
    }
    if let Some(body) = &case.body {
        // The fake and the contract must agree on what a good body is.
        let good = contract.allows_body(case.operation, body);
        assert!(
            good || case.status == 400,
            "{}: the contract refuses {body}",
            case.operation
        );
        assert!(
            !good || case.status != 400 || case.key.is_none(),
            "{}: {body} is good",
            case.operation
        );
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, case.status, "{}: {body}", case.operation);
    contract.check_answer(case.operation, status, &headers, &body)
}

#[tokio::test]
async fn what_the_contract_does_not_have_is_not_there() {
    let lens = FluxLens::start(FluxLensOptions::new(TOKEN, "secret")).unwrap();
    lens.create_ticket(a_ticket()).unwrap();
    for (method, path, status) in [
        (reqwest::Method::DELETE, "/fluxlens/ticket/FL-1", 405),
        (reqwest::Method::POST, "/fluxlens/ticket/FL-1/status", 405),
        (reqwest::Method::GET, "/fluxlens/tickets", 404),
    ] {
        let url = format!("{}{path}", lens.base_url());
        let answer = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(TOKEN)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_lost_answer_has_had_its_effect_and_the_log_tells_both_tries() {
    let lens = FluxLens::start(FluxLensOptions::new(TOKEN, "secret")).unwrap();
    lens.create_ticket(a_ticket()).unwrap();
    lens.fail_next(Operation::AddComment, 1, Fault::status(504).after_effect());
    let contract = Contract::load();
    play(&contract, &lens, &case("addComment", 504)).await;
    assert_eq!(lens.comments("FL-1").len(), 1);
    play(&contract, &lens, &case("addComment", 200)).await;
    assert_eq!(lens.comments("FL-1").len(), 1);

    let log: Vec<_> = lens
        .requests()
        .into_iter()
        .map(|request| {
            (
                request.operation,
                request.idempotency_key,
                request.body,
                request.status,
            )
        })
        .collect();
    let comment = json!({ "comment": "Planning." });
    let tried = |status| {
        (
            Some(Operation::AddComment),
            Some("key-1".to_owned()),
            comment.clone(),
            status,
        )
    };
    assert_eq!(log, [tried(504), tried(200)]);
}
