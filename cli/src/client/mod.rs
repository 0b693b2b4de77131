//! The starter's API, as the people's commands use it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use sallyport_workflows::{command::CommandOutcome, decision::DecisionOutcome};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use sallyport_ledger::model_report::{ModelCalls, ModelReport, PlannerOutcome};
pub use sallyport_starter::api::types::*;

use crate::{
    exit::{Exit, Problem},
    instance::Instance,
};

/// How long one request may take. The starter itself waits 10 s for a worker.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most tickets that one answer lists.
const PAGE: u32 = 500;
/// The pauses before a decision or a command is sent again that may not have arrived. It carries the same id each time, so
/// it counts once however often it arrives.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// Speaks to one Sallyport.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    instance: Instance,
}

/// A text to read, exactly as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What a gate asks about, where the text is that.
    pub revision: Option<String>,
    /// The text, which may hold bytes that are no UTF-8: a diff of somebody's files.
    pub bytes: Vec<u8>,
}

impl Document {
    /// The text for reading; what is no UTF-8 shows as a replacement character.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// What became of a decision or a command that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent<T> {
    /// The workflow has judged it.
    Judged(Box<T>),
    /// No worker runs; the workflow judges it as soon as one does.
    Pending,
}

impl Client {
    /// A client of `instance`. Nothing is sent yet.
    pub fn new(instance: Instance) -> Result<Self, Problem> {
        let base = Url::parse(&instance.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && !url.cannot_be_a_base())
            .ok_or_else(|| {
                Problem::new(
                    Exit::Usage,
                    format!("`{}` is no address; write http://HOST:PORT", instance.url),
                )
            })?;
        let mut http = reqwest::Client::builder().timeout(TIMEOUT);
        if matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            // A proxy could only get in the way of what is on this machine.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            Problem::new(Exit::Failed, format!("cannot make requests: {error}"))
        })?;
        Ok(Self {
            http,
            base,
            instance,
        })
    }

    /// The tickets that `filters` ask for, each a parameter's name and its value: at most `limit`, newest first, read page
    /// by page.
    pub async fn list(
        &self,
        filters: &[(&str, String)],
        limit: u32,
    ) -> Result<WorkflowList, Problem> {
        let mut list: Option<WorkflowList> = None;
        loop {
            let had = list.as_ref().map_or(0, |list| list.workflows.len());
            let left = limit.saturating_sub(u32::try_from(had).unwrap_or(u32::MAX));
            let mut url = self.url(&["workflows"]);
            {
                let mut query = url.query_pairs_mut();
                query.extend_pairs(filters);
                query.append_pair("limit", &left.min(PAGE).to_string());
                if let Some(next) = list.as_ref().and_then(|list| list.next.as_ref()) {
                    query.append_pair("cursor", next);
                }
            }
            let page: WorkflowList = self.read(url).await?;
            let got = u32::try_from(page.workflows.len()).unwrap_or(u32::MAX);
            let is_last = page.next.is_none() || got == 0 || got >= left;
            let list = match &mut list {
                None => list.insert(page),
                Some(list) => {
                    list.workflows.extend(page.workflows);
                    list.next = page.next;
                    list
                }
            };
            if is_last {
                return Ok(list.clone());
            }
        }
    }

    /// All that is known of a ticket.
    pub async fn view(&self, id: &str) -> Result<WorkflowView, Problem> {
        self.read(self.url(&["workflows", id])).await
    }

    /// How planners and their models do with tickets that began within so many days.
    pub async fn model_report(&self, days: u32) -> Result<ModelReport, Problem> {
        let mut url = self.url(&["api", "reports", "models"]);
        url.query_pairs_mut().append_pair("days", &days.to_string());
        self.read(url).await
    }

    /// A ticket's `spec`, `context`, `diff`, `qa-report` or `transcript`.
    pub async fn document(&self, id: &str, which: &str) -> Result<Document, Problem> {
        self.text(self.url(&["workflows", id, which])).await
    }

    /// Exactly what a gate asks about.
    pub async fn content(&self, approval: Uuid) -> Result<Document, Problem> {
        let url = self.url(&["approvals", &approval.to_string(), "content"]);
        self.text(url).await
    }

    /// What changed on the base branch, where a gate asks again because of it.
    pub async fn changes(&self, approval: Uuid) -> Result<Document, Problem> {
        let url = self.url(&["approvals", &approval.to_string(), "changes"]);
        self.text(url).await
    }

    async fn text(&self, url: Url) -> Result<Document, Problem> {
        let response = self.send(self.request(Method::GET, url)).await?;
        let revision = response
            .headers()
            .get("x-sallyport-revision")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let bytes = response
            .bytes()
            .await
            .map_err(|error| self.broken(&error))?;
        Ok(Document {
            revision,
            bytes: bytes.into(),
        })
    }

    /// The agent's log lines after the one with the id `after`.
    pub async fn logs(&self, id: &str, after: u64, limit: u32) -> Result<LogPage, Problem> {
        let mut url = self.url(&["agent", "logs", id]);
        url.query_pairs_mut()
            .append_pair("after", &after.to_string())
            .append_pair("limit", &limit.to_string());
        self.read(url).await
    }

    /// Sends a decision about an open gate, again if it may not have arrived.
    pub async fn decide(
        &self,
        approval: Uuid,
        decision: &DecisionRequest,
    ) -> Result<Sent<DecisionOutcome>, Problem> {
        let url = self.url(&["approvals", &approval.to_string(), "decision"]);
        self.send_for_judgement(url, decision).await
    }

    /// Sends a command to a ticket, again if it may not have arrived.
    pub async fn command(
        &self,
        id: &str,
        command: &CommandRequest,
    ) -> Result<Sent<CommandOutcome>, Problem> {
        let url = self.url(&["workflows", id, "transition"]);
        self.send_for_judgement(url, command).await
    }

    async fn send_for_judgement<T: DeserializeOwned>(
        &self,
        url: Url,
        body: &impl serde::Serialize,
    ) -> Result<Sent<T>, Problem> {
        let response = self
            .send_surely(|| self.request(Method::POST, url.clone()).json(body))
            .await?;
        if response.status() == StatusCode::ACCEPTED {
            return Ok(Sent::Pending);
        }
        Ok(Sent::Judged(Box::new(self.parse(response).await?)))
    }

    /// The path's parts are escaped, whatever is in them.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http
            .request(method, url)
            .bearer_auth(self.instance.token.expose_secret())
            .header(header::ACCEPT, "*/*")
    }

    async fn read<T: DeserializeOwned>(&self, url: Url) -> Result<T, Problem> {
        let response = self.send(self.request(Method::GET, url)).await?;
        self.parse(response).await
    }

    async fn parse<T: DeserializeOwned>(&self, response: Response) -> Result<T, Problem> {
        let bytes = response
            .bytes()
            .await
            .map_err(|error| self.broken(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Problem::new(
                Exit::Failed,
                format!("the answer of {} is not understood: {error}", self.base),
            )
            .hint("are this `sallyport` and the one that runs of the same version?")
        })
    }

    async fn send_surely(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, Problem> {
        let mut pauses = PAUSES.iter();
        let mut may_have_arrived = false;
        loop {
            let problem = match self.send(request()).await {
                Err(problem) if problem.exit == Exit::Unreachable => problem,
                other => return other,
            };
            // Without a connection, `broken` gave its hint.
            may_have_arrived |= problem.hint.is_none();
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None if may_have_arrived => {
                    return Err(problem.hint(
                        "whether it arrived is not known; look with `sallyport status`, and repeat the command if it did \
                         not",
                    ));
                }
                None => return Err(problem),
            }
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Problem> {
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        Err(refusal(status, &body, &self.base))
    }

    fn broken(&self, error: &reqwest::Error) -> Problem {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why = cause.to_string();
            source = cause.source();
        }
        let problem = Problem::new(
            Exit::Unreachable,
            format!("{} does not answer: {why}", self.base),
        );
        if error.is_connect() {
            problem.hint("is it running? `sallyport dev` starts it; `--url URL` names another")
        } else {
            problem
        }
    }
}

/// What is read of a problem document. A code that this version does not know is no reason to keep the sentence back.
#[derive(serde::Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    detail: String,
}

/// What an answer that is no success means for the caller.
fn refusal(status: StatusCode, body: &[u8], base: &Url) -> Problem {
    let said: Option<Said> = serde_json::from_slice(body).ok();
    let (code, said) = said.map_or_else(
        || (String::new(), format!("{base} answered {status}")),
        |said| (said.code, said.detail),
    );
    let exit = match status.as_u16() {
        400 | 422 => Exit::Usage,
        404 => Exit::NotFound,
        409 => Exit::Conflict,
        502..=504 => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let problem = Problem::new(exit, said);
    match status.as_u16() {
        401 => problem
            .hint("the token is not known there; name the file of yours with `--token-file FILE`"),
        403 => problem.hint("your role does not allow this; ask an admin of this Sallyport"),
        404 if code == "not_there_yet" => {
            problem.hint("`sallyport status` shows how the ticket stands")
        }
        404 => problem.hint("`sallyport list` shows every ticket"),
        _ => problem,
    }
}

#[cfg(test)]
pub mod test_server;
#[cfg(test)]
mod tests;
