//! Who may do what: every route with every kind of token.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use sallyport_ledger::tokens::{self, NewToken, Role, Token};
use sallyport_starter::openapi::description;
use serde_json::json;
use uuid::Uuid;

use crate::{ADMIN, APPROVER, Starter, VIEWER, answer, message, problems, starter};

/// Each route, and the lowest role that may use it; nothing where no token is asked for.
const TABLE: [(&str, &str, Option<Role>); 26] = [
    ("GET", "/health", None),
    ("GET", "/openapi.json", None),
    ("POST", "/webhooks/flux-lens", None),
    ("GET", "/workflows", Some(Role::Viewer)),
    ("GET", "/workflows/stream", Some(Role::Viewer)),
    ("GET", "/approvals/subscribe", Some(Role::Viewer)),
    ("POST", "/workflows/start", Some(Role::Admin)),
    ("GET", "/workflows/{id}", Some(Role::Viewer)),
    ("GET", "/workflows/{id}/timeline", Some(Role::Viewer)),
    ("GET", "/workflows/{id}/spec", Some(Role::Viewer)),
    ("GET", "/workflows/{id}/context", Some(Role::Viewer)),
    ("GET", "/workflows/{id}/diff", Some(Role::Viewer)),
    ("GET", "/workflows/{id}/qa-report", Some(Role::Viewer)),
    ("GET", "/workflows/{id}/transcript", Some(Role::Viewer)),
    ("POST", "/workflows/{id}/transition", Some(Role::Approver)),
    ("GET", "/agent/logs/{id}", Some(Role::Viewer)),
    ("GET", "/agent/status/{id}", Some(Role::Viewer)),
    ("GET", "/approvals/pending", Some(Role::Viewer)),
    ("GET", "/approvals/{id}/content", Some(Role::Viewer)),
    ("GET", "/approvals/{id}/changes", Some(Role::Viewer)),
    ("POST", "/approvals/{id}/decision", Some(Role::Approver)),
    ("GET", "/api/approvals/pending", Some(Role::Viewer)),
    ("POST", "/api/approvals/{id}/decide", Some(Role::Approver)),
    ("GET", "/api/workflows/{id}/timeline", Some(Role::Viewer)),
    ("GET", "/api/metrics", Some(Role::Viewer)),
    ("GET", "/api/reports/models", Some(Role::Viewer)),
];

/// A token of the database; the number makes it another one each time.
async fn token(
    starter: &Starter,
    number: u8,
    role: Role,
    lifetime: Option<TimeDelta>,
) -> (Uuid, Token) {
    let token = Token::new([number; 32]);
    let new = NewToken {
        id: Uuid::from_u128(number.into()),
        person: "stored@example.com".into(),
        role,
        name: None,
        created_by: "root".into(),
        expires_at: lifetime.map(|lifetime| Utc::now() + lifetime),
    };
    tokens::create(&starter.database, &token, &new)
        .await
        .unwrap();
    (new.id, token)
}

/// A token whose time is over: made an hour ago for half an hour.
async fn expired(starter: &Starter, number: u8) -> Token {
    let (id, token) = token(starter, number, Role::Admin, Some(TimeDelta::hours(1))).await;
    let sql = "UPDATE api_tokens SET created_at = now() - interval '1 hour', expires_at = now() - interval '30 minutes'
               WHERE id = $1";
    let done = sqlx::query(sql)
        .bind(id)
        .execute(starter.database.pool())
        .await;
    assert_eq!(done.unwrap().rows_affected(), 1);
    token
}

/// Each operation of the API's description, which is made of the routes, with the role that it names.
fn described() -> BTreeSet<(String, String, Option<String>)> {
    let description = serde_json::to_value(description()).unwrap();
    let mut operations = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["security"][0]["bearer"][0].as_str();
            let role = role.map(str::to_owned);
            operations.insert((method.to_uppercase(), path.clone(), role));
        }
    }
    operations
}

#[tokio::test]
async fn every_route_asks_for_its_role_and_for_no_other() {
    let in_table: BTreeSet<(String, String, Option<String>)> = TABLE
        .iter()
        .map(|(method, path, role)| {
            let role = role.map(|role| role.to_string());
            ((*method).to_owned(), (*path).to_owned(), role)
        })
        .collect();
    assert_eq!(
        described(),
        in_table,
        "put the new route into the table, with who may use it"
    );

    let starter = starter().await;
    let (id, revoked) = token(&starter, 1, Role::Admin, None).await;
    assert!(tokens::revoke(&starter.database, id).await.unwrap());
    let expired = expired(&starter, 2).await;
    let mut stored = Vec::new();
    for (number, role) in (3..).zip(Role::ALL) {
        stored.push((
            role,
            token(&starter, number, role, Some(TimeDelta::days(1)))
                .await
                .1,
        ));
    }
    let known = [
        (Role::Viewer, VIEWER),
        (Role::Approver, APPROVER),
        (Role::Admin, ADMIN),
    ]
    .into_iter()
    .chain(stored.iter().map(|(role, token)| (*role, token.text())));
    let known: Vec<(Role, &str)> = known.collect();
    let bad = [
        "",
        "no-such-token-0123",
        "sp_",
        "sp_0000000000000000000000000000000000000000000000000000000000000000",
        revoked.text(),
        expired.text(),
    ];
    for (method, path, lowest) in TABLE {
        let url = format!("{}{}", starter.base, path.replace("{id}", "FL-1"));
        let request = || {
            starter
                .http
                .request(method.parse::<Method>().unwrap(), &url)
                .json(&json!({}))
        };
        let Some(lowest) = lowest else {
            let status = request().send().await.unwrap().status();
            // A webhook is asked for its signature instead.
            assert!(
                matches!(status, StatusCode::OK | StatusCode::UNAUTHORIZED),
                "{path}"
            );
            continue;
        };
        let mut answers = BTreeSet::new();
        for token in bad {
            let response = request().bearer_auth(token).send().await.unwrap();
            assert_eq!(
                response.status(),
                StatusCode::UNAUTHORIZED,
                "{method} {path} {token}"
            );
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            answers.insert(problems::document(response).await["detail"].to_string());
        }
        let (status, said) = answer(request()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
        answers.insert(said["detail"].to_string());
        // Which of them it is is nobody's business.
        assert_eq!(answers.len(), 1, "{answers:?}");
        for (role, token) in &known {
            let response = request().bearer_auth(token).send().await.unwrap();
            let status = response.status();
            if *role < lowest {
                assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path} as {role}");
            } else {
                assert_ne!(status, StatusCode::FORBIDDEN, "{method} {path} as {role}");
                assert_ne!(
                    status,
                    StatusCode::UNAUTHORIZED,
                    "{method} {path} as {role}"
                );
                assert!(
                    !status.is_server_error(),
                    "{method} {path} as {role}: {status}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_token_acts_for_its_person_until_it_is_revoked_and_its_use_is_seen() {
    let starter = starter().await;
    let (id, token) = token(&starter, 7, Role::Viewer, None).await;
    let row = || async { tokens::list(&starter.database).await.unwrap().remove(0) };
    assert_eq!(row().await.last_used_at, None);
    let (status, said) = answer(starter.post("/workflows/start", token.text(), &json!({}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        message(&said).starts_with("stored@example.com has the role viewer"),
        "{said}"
    );
    let used = row().await.last_used_at.unwrap();
    answer(starter.get("/workflows", token.text())).await;
    assert_eq!(
        row().await.last_used_at,
        Some(used),
        "at most once a minute"
    );

    assert!(tokens::revoke(&starter.database, id).await.unwrap());
    assert_eq!(
        answer(starter.get("/workflows", token.text())).await.0,
        StatusCode::UNAUTHORIZED
    );
    let since = row().await.revoked_at;
    assert!(!tokens::revoke(&starter.database, id).await.unwrap());
    assert_eq!(row().await.revoked_at, since);
    assert!(
        tokens::revoke(&starter.database, Uuid::nil())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_database_does_not_hold_the_token() {
    let starter = starter().await;
    let (_, token) = token(&starter, 9, Role::Admin, None).await;
    let row: String = sqlx::query_scalar("SELECT api_tokens::text FROM api_tokens")
        .fetch_one(starter.database.pool())
        .await
        .unwrap();
    assert!(
        !row.contains(token.text()) && !row.contains(&"09".repeat(32)),
        "{row}"
    );
    assert!(!format!("{token:?}").contains("0909"));
}

#[tokio::test]
async fn without_the_database_stored_tokens_are_503_and_those_of_the_configuration_are_known() {
    let starter = starter().await;
    let (_, token) = token(&starter, 9, Role::Admin, None).await;
    starter.database.close().await;
    let (status, said) = answer(starter.get("/nowhere", token.text())).await;
    assert_eq!(
        (status, &said["code"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
    let (status, said) = answer(starter.get("/workflows", token.text())).await;
    assert_eq!(
        (status, &said["code"]),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            &json!("database_unavailable")
        )
    );
    let forbidden = starter.post("/workflows/start", VIEWER, &json!({}));
    assert_eq!(answer(forbidden).await.0, StatusCode::FORBIDDEN);
}
