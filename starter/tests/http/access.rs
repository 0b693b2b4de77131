use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::{ADMIN, APPROVER, VIEWER, answer, message, starter};

const READING: [&str; 13] = [
    "/workflows",
    "/workflows/FL-1",
    "/workflows/FL-1/spec",
    "/workflows/FL-1/diff",
    "/workflows/FL-1/context",
    "/workflows/FL-1/qa-report",
    "/workflows/FL-1/transcript",
    "/agent/logs/FL-1",
    "/agent/status/FL-1",
    "/api/reports/models",
    "/approvals/pending",
    "/approvals/x/content",
    "/approvals/x/changes",
];

#[tokio::test]
async fn another_scheme_is_no_token() {
    let starter = starter().await;
    let basic = starter
        .http
        .get(format!("{}/workflows", starter.base))
        .basic_auth("x", Some(VIEWER));
    assert_eq!(answer(basic).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_viewer_reads_and_does_no_more() {
    let starter = starter().await;
    assert_eq!(
        answer(starter.get("/workflows", VIEWER)).await.0,
        StatusCode::OK
    );
    let decision = format!("/approvals/{}/decision", Uuid::nil());
    for path in [decision.as_str(), "/workflows/FL-1/transition"] {
        let (status, said) = answer(starter.post(path, VIEWER, &json!({}))).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(
            message(&said),
            "viewer@example.com has the role viewer, and this needs approver; ask an admin of this Sallyport"
        );
        let (status, _) = answer(starter.post(path, APPROVER, &json!({}))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    for path in READING {
        let (status, _) = answer(starter.get(path, VIEWER)).await;
        assert!(
            matches!(status, StatusCode::OK | StatusCode::NOT_FOUND),
            "{path}"
        );
    }
    let start = json!({"ticket_id": "FL-1"});
    assert_eq!(
        answer(starter.post("/workflows/start", APPROVER, &start))
            .await
            .0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        answer(starter.post("/workflows/start", ADMIN, &start))
            .await
            .0,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn an_approver_reopens_and_an_admin_does_all_else() {
    let starter = starter().await;
    let path = "/workflows/FL-1/transition";
    for action in ["retry", "abandon", "cancel", "extend", "reopen"] {
        let mut wish = json!({"id": Uuid::from_u128(1), "action": action});
        if action == "extend" {
            wish["seconds"] = json!(60);
        }
        assert_eq!(
            answer(starter.post(path, VIEWER, &wish)).await.0,
            StatusCode::FORBIDDEN
        );
        let (status, said) = answer(starter.post(path, APPROVER, &wish)).await;
        // Whoever may do it is told that there is no such ticket.
        if action == "reopen" {
            assert_eq!(status, StatusCode::NOT_FOUND, "{said}");
        } else {
            assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
            assert!(message(&said).contains("this needs admin"), "{said}");
        }
        assert_eq!(
            answer(starter.post(path, ADMIN, &wish)).await.0,
            StatusCode::NOT_FOUND
        );
    }
}

#[tokio::test]
async fn a_malformed_command_is_refused_with_what_is_wrong() {
    let starter = starter().await;
    let path = "/workflows/FL-1/transition";
    let id = Uuid::from_u128(1);
    for (wish, word) in [
        (json!({"action": "retry"}), "`id`"),
        (json!({"id": id}), "`action`"),
        (json!({"id": id, "action": "explode"}), "`action`"),
        (
            json!({"id": id, "action": "retry", "from": "NOWHERE"}),
            "`from`",
        ),
        (
            json!({"id": id, "action": "retry", "raise": {"repair": 1}}),
            "repair",
        ),
        (
            json!({"id": id, "action": "retry", "raise": {"repairs": -1}}),
            "`raise.repairs`",
        ),
        (
            json!({"id": id, "action": "retry", "by": "other@example.com"}),
            "by",
        ),
        (json!({"id": id, "action": "extend"}), "`seconds`"),
        (
            json!({"id": id, "action": "extend", "seconds": 0}),
            "`seconds`",
        ),
        (
            json!({"id": id, "action": "cancel", "seconds": 5}),
            "`seconds`",
        ),
        (
            json!({"id": id, "action": "abandon", "from": "PLANNING"}),
            "`from`",
        ),
        (
            json!({"id": id, "action": "cancel", "reason": "x".repeat(2049)}),
            "reason",
        ),
    ] {
        let (status, said) = answer(starter.post(path, ADMIN, &wish)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wish}: {said}");
        assert!(message(&said).contains(word), "{wish}: {said}");
    }
    let broken = starter.http.post(format!("{}{path}", starter.base));
    let broken = broken.bearer_auth(ADMIN).body("{");
    assert_eq!(answer(broken).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn unknown_things_are_404() {
    let starter = starter().await;
    for path in READING.iter().filter(|path| path.contains("FL-1")) {
        let (status, said) = answer(starter.get(path, VIEWER)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(message(&said), "there is no workflow `FL-1` in the ledger");
    }
    let body = json!({"id": Uuid::nil(), "revision": "0123abcd", "decision": "APPROVE"});
    for id in [Uuid::nil().to_string(), "no-uuid".to_owned()] {
        let path = format!("/approvals/{id}/decision");
        assert_eq!(
            answer(starter.post(&path, APPROVER, &body)).await.0,
            StatusCode::NOT_FOUND
        );
        for what in ["content", "changes"] {
            let path = format!("/approvals/{id}/{what}");
            let (status, said) = answer(starter.get(&path, VIEWER)).await;
            assert_eq!(status, StatusCode::NOT_FOUND);
            assert!(message(&said).contains(&id), "{said}");
        }
    }
    assert_eq!(
        answer(starter.get("/nowhere", VIEWER)).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn bodies_and_queries_are_checked() {
    let starter = starter().await;
    let path = format!("/approvals/{}/decision", Uuid::nil());
    let extra = json!({"id": Uuid::nil(), "revision": "0123abcd", "decision": "APPROVE", "by": "other@example.com"});
    let (status, said) = answer(starter.post(&path, APPROVER, &extra)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(message(&said).contains("by"), "{said}");
    let broken = starter
        .http
        .post(format!("{}{path}", starter.base))
        .bearer_auth(APPROVER)
        .body("{");
    assert_eq!(answer(broken).await.0, StatusCode::BAD_REQUEST);
    let (status, said) = answer(starter.get("/workflows?state=DONE", VIEWER)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(message(&said).contains("COMPLETED"), "{said}");
    assert_eq!(
        answer(starter.get("/workflows?limit=-1", VIEWER)).await.0,
        StatusCode::BAD_REQUEST
    );
    let wrong = json!({"ticket_id": "nonsense"});
    assert_eq!(
        answer(starter.post("/workflows/start", ADMIN, &wrong))
            .await
            .0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let unknown = json!({"ticket_id": "FL-1", "project": "OTHER"});
    let (_, said) = answer(starter.post("/workflows/start", ADMIN, &unknown)).await;
    assert!(message(&said).contains("project = \"OTHER\""), "{said}");
}

#[tokio::test]
async fn starting_by_hand_twice_with_one_id_is_one_event() {
    let starter = starter().await;
    let wish = json!({"id": Uuid::from_u128(7), "ticket_id": "FL-1"});
    let (_, first) = answer(starter.post("/workflows/start", ADMIN, &wish)).await;
    let (_, second) = answer(starter.post("/workflows/start", ADMIN, &wish)).await;
    assert_eq!(
        (&first["duplicate"], &second["duplicate"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(starter.inbox().await.len(), 1);
}
