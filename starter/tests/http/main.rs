//! The starter on a real socket, against a real Postgres and, where it matters, a real Temporal.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod authorization;
mod commanding;
mod dispatching;
mod live;
#[expect(dead_code, reason = "the macro makes a constant for each activity")]
mod planner;
mod problems;
mod properties;
mod races;
mod reading;
mod schemathesis;
mod storm;
mod webhook;
#[expect(dead_code, reason = "the macro makes a constant for each activity")]
mod worker;

use std::net::{Ipv4Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, RequestBuilder, StatusCode};
use sallyport_ledger::{
    Database, Objects,
    approvals::{self, Opening},
    config::{
        AuditConfig, DatabaseConfig, DecisionsConfig, FluxLensConfig, ObjectsConfig,
        RepositoryConfig,
    },
    notifications::Notice,
};
use sallyport_starter::{
    StarterConfig, StarterParts, StarterState, api::auth::Role, config::TokenConfig,
    dispatcher::dispatch_next, server::service, temporal::Tickets,
};
use sallyport_test_support::postgres::Postgres;
use sallyport_workflows::{activities::OpenGateRequest, policy::InstallationPolicy};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use uuid::Uuid;

const SECRET: &str = "It's a Secret to Everybody";
const VIEWER: &str = "the-viewers-token";
const APPROVER: &str = "the-approvers-token";
const ADMIN: &str = "the-admins-token";
const SEAL_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const DECISION_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A starter that answers requests. Its dispatcher runs only where a test runs it.
struct Starter {
    state: StarterState,
    database: Database,
    objects: Objects,
    base: String,
    http: Client,
    _folder: tempfile::TempDir,
}

/// A starter whose Temporal is down.
async fn starter() -> Starter {
    starter_from(|_| ()).await
}

/// The same, with other parts.
async fn starter_from(change: impl FnOnce(&mut StarterParts)) -> Starter {
    let nobody = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    start(&format!("http://{address}"), change).await
}

async fn starter_at(temporal: &str) -> Starter {
    start(temporal, |_| ()).await
}

async fn start(temporal: &str, change: impl FnOnce(&mut StarterParts)) -> Starter {
    let url = Postgres::shared().database().await.unwrap();
    let database = Database::connect(&DatabaseConfig::with_url(url))
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let objects = Objects::open(&ObjectsConfig::folder(path)).unwrap();
    let token = |person: &str, role, token: &str| TokenConfig {
        person: person.into(),
        role,
        token: Some(token.into()),
        token_file: None,
    };
    let mut parts = StarterParts {
        config: StarterConfig {
            tokens: vec![
                token("viewer@example.com", Role::Viewer, VIEWER),
                token("approver@example.com", Role::Approver, APPROVER),
                token("admin@example.com", Role::Admin, ADMIN),
            ],
            temporal_ui_url: Some("http://127.0.0.1:8233/".into()),
            ..StarterConfig::default()
        },
        flux_lens: FluxLensConfig {
            webhook_secret: Some(SECRET.into()),
            ..FluxLensConfig::at("http://127.0.0.1:1")
        },
        repositories: vec![RepositoryConfig {
            project: "DEMO".into(),
            url: "file:///demo.git".into(),
            base_branch: None,
            planner: None,
        }],
        decisions: DecisionsConfig {
            key: Some(DECISION_KEY.into()),
            key_file: None,
            accept_unproven: false,
        },
        audit: AuditConfig {
            key: Some(SEAL_KEY.into()),
            ..AuditConfig::default()
        },
        policy: InstallationPolicy::default(),
        database: database.clone(),
        objects: objects.clone(),
        tickets: Tickets::at(temporal.parse().unwrap(), "default"),
    };
    change(&mut parts);
    let state = StarterState::new(parts).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let routes = service(state.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Starter {
        state,
        database,
        objects,
        base: format!("http://{address}"),
        http: Client::builder().no_proxy().build().unwrap(),
        _folder: folder,
    }
}

impl Starter {
    fn get(&self, path: &str, token: &str) -> RequestBuilder {
        self.http
            .get(format!("{}{path}", self.base))
            .bearer_auth(token)
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.base))
            .bearer_auth(token)
            .json(body)
    }

    /// A webhook with a right signature.
    fn webhook(&self, delivery: &str, body: &str) -> RequestBuilder {
        self.http
            .post(format!("{}/webhooks/flux-lens", self.base))
            .header("x-fluxlens-delivery", delivery)
            .header("x-fluxlens-signature", signature(body.as_bytes()))
            .body(body.to_owned())
    }

    /// Works the inbox off; returns how many events there were.
    async fn dispatch_all(&self) -> usize {
        let mut count = 0;
        while dispatch_next(&self.state).await.unwrap() {
            count += 1;
        }
        count
    }

    /// Sends a webhook that must be taken. The delivery's id is signed with the body, as Flux Lens does.
    async fn deliver(&self, delivery: &str, body: &Value) -> Value {
        let mut body = body.clone();
        body["delivery_id"] = delivery.into();
        let (status, answer) = answer(self.webhook(delivery, &body.to_string())).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// The inbox: event, status and note of each row, oldest first.
    async fn inbox(&self) -> Vec<(String, String, Option<String>)> {
        sqlx::query_as("SELECT event, status, note FROM inbox ORDER BY id")
            .fetch_all(self.database.pool())
            .await
            .unwrap()
    }
}

/// The answer's status and JSON. Whatever is no success must be a problem document.
async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    if status.is_success() {
        return (status, response.json().await.unwrap());
    }
    (status, problems::document(response).await)
}

/// The sentence of an answer that is no success.
fn message(answer: &Value) -> &str {
    answer["detail"].as_str().unwrap()
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn event(name: &str, ticket: &str) -> Value {
    json!({
        "event": name,
        "occurred_at": "2026-11-23T10:00:00Z",
        "ticket": {
            "id": ticket,
            "project": "DEMO",
            "title": "Totals are wrong",
            "url": format!("https://flux-lens.example.com/{ticket}"),
            "priority": "high",
            "reporter": "reporter@example.com",
        },
    })
}

/// Puts a gate on record that closes by itself after its time on the clock.
async fn open_gate(starter: &Starter, request: &OpenGateRequest) -> Uuid {
    let seconds = request.policy.timeout_seconds;
    let notice = Notice {
        key: "gate".to_owned(),
        subject: "A gate asks".to_owned(),
        body: "Please decide.".to_owned(),
    };
    let opening = Opening {
        request,
        deadline: request.opened_at + std::time::Duration::from_secs(seconds),
        reminders: &[],
        notice: &notice,
    };
    let opened = approvals::open_gate(&starter.database, &opening).await;
    opened.unwrap().approval_id
}
