//! The starter's API as a stranger sees it: plain JSON over HTTP.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::child::until;

/// How long a ticket may take to get anywhere; only reached when it never does.
const LIMIT: Duration = Duration::from_secs(240);

/// A client with one person's token.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client,
    base_url: String,
    token: String,
}

impl Api {
    /// A client of the starter at `base_url`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(base_url: &str, token: &str) -> anyhow::Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()?;
        Ok(Self {
            client,
            base_url: base_url.to_owned(),
            token: token.to_owned(),
        })
    }

    /// Asks and answers whatever came back.
    ///
    /// # Errors
    /// If nothing came back.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Response> {
        let url = format!("{}{path}", self.base_url);
        let mut request = self.client.request(method, &url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request
            .send()
            .await
            .with_context(|| format!("no answer from {url}"))
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// If there is no answer, or it is no success.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let text = self.text(path).await?;
        serde_json::from_str(&text).with_context(|| format!("{path} answered no JSON: {text}"))
    }

    /// Reads text.
    ///
    /// # Errors
    /// If there is no answer, or it is no success.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let response = self.request(Method::GET, path, None).await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("GET {path} answered {status}: {text}");
        }
        Ok(text)
    }

    /// A ticket's whole view.
    ///
    /// # Errors
    /// If there is no answer, or it is no success.
    pub async fn ticket(&self, id: &str) -> anyhow::Result<Value> {
        self.get(&format!("/workflows/{id}")).await
    }

    /// Waits until the ticket's view is as wanted.
    ///
    /// # Errors
    /// If it never is; with the last view.
    pub async fn until(
        &self,
        id: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        let found = until(LIMIT, what, async || {
            last = self.ticket(id).await.unwrap_or(Value::Null);
            wanted(&last).then(|| last.clone())
        })
        .await;
        found.with_context(|| format!("{id} was last: {last:#}"))
    }

    /// Waits until the ticket is in `state`.
    ///
    /// # Errors
    /// If it never is.
    pub async fn until_state(&self, id: &str, state: &str) -> anyhow::Result<Value> {
        self.until(id, &format!("{id} is {state}"), |view| {
            view["workflow"]["state"] == state
        })
        .await
    }

    /// Waits until `gate` is open and answers it, as the workflow shows it.
    ///
    /// # Errors
    /// If it never opens.
    pub async fn until_gate(&self, id: &str, gate: &str) -> anyhow::Result<Value> {
        let view = self
            .until(id, &format!("gate {gate} of {id} is open"), |view| {
                view["status"]["open_gate"]["gate"] == gate
            })
            .await?;
        Ok(view["status"]["open_gate"].clone())
    }

    /// Waits until `gate` is open under another request than `asked`, and answers it.
    ///
    /// # Errors
    /// If it never opens.
    pub async fn until_other_gate(
        &self,
        id: &str,
        gate: &str,
        asked: &str,
    ) -> anyhow::Result<Value> {
        let what = format!("gate {gate} of {id} asks again");
        let view = self
            .until(id, &what, |view| {
                let open = &view["status"]["open_gate"];
                open["gate"] == gate && open["approval_id"] != asked
            })
            .await?;
        Ok(view["status"]["open_gate"].clone())
    }

    /// Decides about exactly what the open gate asks.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn decide(
        &self,
        gate: &Value,
        decision: &str,
        comments: Option<&str>,
    ) -> anyhow::Result<Value> {
        let path = format!(
            "/approvals/{}/decision",
            gate["approval_id"].as_str().unwrap_or_default()
        );
        let body = json!({
            "id": Uuid::new_v4(),
            "revision": gate["revision"],
            "decision": decision,
            "comments": comments,
        });
        let response = self.request(Method::POST, &path, Some(body)).await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{decision} was answered with {status}: {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }
}
