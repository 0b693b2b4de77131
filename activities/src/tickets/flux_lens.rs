//! Flux Lens, as `docs/flux-lens.yaml` describes it.

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use sallyport_ledger::{config::FluxLensConfig, flux_lens::understand};
use sallyport_workflows::{activities::TicketStatusName, text::shorten};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{EventPage, FetchedTicket, ListedEvent, MAXIMUM_TITLE, TicketError, TicketSource};
use crate::failure::without_secret;

const SYSTEM: &str = "Flux Lens";

/// The largest answer that is read, in bytes.
const MAXIMUM_ANSWER: usize = 4 << 20;

/// How many events are asked for at once.
const EVENTS: &str = "500";
/// What errors say in the place of a ticket where all are meant.
const ALL_TICKETS: &str = "all tickets";

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A Flux Lens installation.
#[derive(Clone, Debug)]
pub struct FluxLens {
    http: reqwest::Client,
    base_url: Url,
    token: SecretString,
}

/// Flux Lens cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum FluxLensSetupError {
    /// The address is none.
    #[error("`flux_lens.base_url` is no address such as https://flux-lens.example.com: {0}")]
    Address(String),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] sallyport_ledger::secret::SecretError),
    /// The HTTP client cannot be made.
    #[error("cannot make the HTTP client for Flux Lens: {0}")]
    Client(#[source] reqwest::Error),
}

#[derive(Deserialize)]
struct Ticket {
    title: String,
    url: String,
    reporter: String,
}

#[derive(Deserialize)]
struct Events {
    events: Vec<Event>,
    next: String,
}

#[derive(Deserialize)]
struct Event {
    delivery_id: String,
    event: String,
    body: String,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

impl FluxLens {
    /// The configured installation.
    pub fn new(config: &FluxLensConfig) -> Result<Self, FluxLensSetupError> {
        let address = |reason: String| FluxLensSetupError::Address(reason);
        let base_url = Url::parse(&config.base_url).map_err(|error| address(error.to_string()))?;
        if !matches!(base_url.scheme(), "http" | "https") || base_url.cannot_be_a_base() {
            return Err(address("it must begin with http:// or https://".to_owned()));
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("sallyport/", env!("CARGO_PKG_VERSION")))
            // The token goes to the configured address and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(FluxLensSetupError::Client)?;
        Ok(Self {
            http,
            base_url,
            token: config.token()?,
        })
    }

    fn request(&self, method: Method, ticket: &str, part: Option<&str>) -> RequestBuilder {
        let url = self.url(["fluxlens", "ticket", ticket].into_iter().chain(part));
        self.request_to(method, url)
    }

    fn url<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            // Each is encoded, so an id cannot lead to another path.
            path.pop_if_empty().extend(parts);
        }
        url
    }

    fn request_to(&self, method: Method, url: Url) -> RequestBuilder {
        self.http
            .request(method, url)
            .bearer_auth(self.token.expose_secret())
    }

    /// Sends `request` and answers the body of a success.
    async fn send(
        &self,
        request: RequestBuilder,
        ticket: &str,
        action: &'static str,
    ) -> Result<Vec<u8>, TicketError> {
        let unavailable = |reason: String, retry_after| TicketError::Unavailable {
            system: SYSTEM,
            ticket: ticket.to_owned(),
            action,
            reason,
            retry_after,
        };
        let broken = |error: reqwest::Error| {
            // Without the URL: it says nothing that the sentence does not.
            let mut reason = error.without_url().to_string();
            reason = without_secret(&reason, &self.token);
            unavailable(shorten(&reason, 200), None)
        };
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAXIMUM_ANSWER {
                return Err(TicketError::Refused {
                    system: SYSTEM,
                    ticket: ticket.to_owned(),
                    status: status.as_u16(),
                    action,
                    reason: format!("its answer is larger than {MAXIMUM_ANSWER} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        let reason = shorten(&without_secret(&problem(&body), &self.token), 200);
        let ticket = ticket.to_owned();
        let code = status.as_u16();
        Err(match status {
            StatusCode::NOT_FOUND => TicketError::NotFound {
                system: SYSTEM,
                ticket,
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => TicketError::AccessDenied {
                system: SYSTEM,
                ticket,
                status: code,
                action,
            },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                unavailable(format!("{code}: {reason}"), retry_after)
            }
            _ if status.is_server_error() => unavailable(format!("{code}: {reason}"), retry_after),
            _ => TicketError::Refused {
                system: SYSTEM,
                ticket,
                status: code,
                action,
                reason,
            },
        })
    }
}

fn problem(body: &[u8]) -> String {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if !problem.detail.is_empty() => problem.detail,
        Ok(problem) if !problem.title.is_empty() => problem.title,
        _ => "no reason given".to_owned(),
    }
}

impl TicketSource for FluxLens {
    fn fetch<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Result<FetchedTicket, TicketError>> {
        Box::pin(async move {
            let action = "read tickets";
            let request = self.request(Method::GET, ticket, None);
            let content = self.send(request, ticket, action).await?;
            let found: Ticket =
                serde_json::from_slice(&content).map_err(|error| TicketError::Refused {
                    system: SYSTEM,
                    ticket: ticket.to_owned(),
                    status: 200,
                    action,
                    reason: format!("its answer is no ticket: {error}"),
                })?;
            let title: Vec<&str> = found.title.split_whitespace().collect();
            Ok(FetchedTicket {
                title: shorten(&title.join(" "), MAXIMUM_TITLE),
                url: found.url,
                reporter: found.reporter,
                content,
            })
        })
    }

    fn comment<'a>(
        &'a self,
        ticket: &'a str,
        key: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), TicketError>> {
        Box::pin(async move {
            let request = self
                .request(Method::POST, ticket, Some("comment"))
                .header("Idempotency-Key", key)
                .json(&json!({ "comment": text }));
            self.send(request, ticket, "comment on tickets").await?;
            Ok(())
        })
    }

    fn set_status<'a>(
        &'a self,
        ticket: &'a str,
        status: TicketStatusName,
    ) -> BoxFuture<'a, Result<(), TicketError>> {
        Box::pin(async move {
            let status = match status {
                TicketStatusName::InProgress => "In Progress",
                TicketStatusName::InReview => "In Review",
                TicketStatusName::Done => "Done",
            };
            let request = self
                .request(Method::PATCH, ticket, Some("status"))
                .json(&json!({ "status": status }));
            self.send(request, ticket, "set the status of tickets")
                .await?;
            Ok(())
        })
    }

    fn events<'a>(
        &'a self,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<EventPage, TicketError>> {
        Box::pin(async move {
            let action = "list events";
            let refused = |status, reason| TicketError::Refused {
                system: SYSTEM,
                ticket: ALL_TICKETS.to_owned(),
                status,
                action,
                reason,
            };
            let mut url = self.url(["fluxlens", "events"]);
            url.query_pairs_mut()
                .append_pair("limit", EVENTS)
                .extend_pairs(after.map(|after| ("after", after)));
            let request = self.request_to(Method::GET, url);
            let answer = match self.send(request, ALL_TICKETS, action).await {
                Err(TicketError::Refused { status: 410, .. }) if after.is_some() => {
                    return Err(TicketError::PlaceGone { system: SYSTEM });
                }
                Err(TicketError::NotFound { .. }) => {
                    return Err(refused(404, "it has no list of events; `maintenance.reconcile_minutes = 0` switches this off".to_owned()));
                }
                answer => answer?,
            };
            let found: Events = serde_json::from_slice(&answer).map_err(|error| {
                refused(200, format!("its answer is no list of events: {error}"))
            })?;
            if !found.events.is_empty() && after == Some(found.next.as_str()) {
                return Err(refused(
                    200,
                    "its list of events does not move on".to_owned(),
                ));
            }
            let events = found
                .events
                .into_iter()
                .map(|event| ListedEvent {
                    read: understand(
                        &event.delivery_id,
                        Some(event.event.as_bytes()),
                        event.body.as_bytes(),
                    ),
                    delivery_id: event.delivery_id,
                })
                .collect();
            Ok(EventPage {
                events,
                next: found.next,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use sallyport_test_support::flux_lens::{
        Fault, FluxLens as FakeFluxLens, FluxLensOptions, NewTicket, Operation, Priority, Status,
    };

    use super::*;

    fn start() -> (FakeFluxLens, FluxLens) {
        let fake = FakeFluxLens::start(FluxLensOptions::new("token", "secret")).unwrap();
        let client = client(fake.base_url(), "token");
        (fake, client)
    }

    fn client(base_url: &str, token: &str) -> FluxLens {
        FluxLens::new(&FluxLensConfig {
            token: Some(token.into()),
            ..FluxLensConfig::at(base_url)
        })
        .unwrap()
    }

    fn file(fake: &FakeFluxLens, title: &str) -> String {
        fake.create_ticket(NewTicket {
            title: title.into(),
            description: "It is broken.".into(),
            priority: Priority::Normal,
            reporter: "reporter@example.com".into(),
            project: "DEMO".into(),
            labels: vec!["bug".into()],
        })
        .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_ticket_is_read_whole() {
        let (fake, client) = start();
        let id = file(&fake, &"long ".repeat(50));
        let ticket = client.fetch(&id).await.unwrap();
        assert_eq!(ticket.title.chars().count(), MAXIMUM_TITLE);
        assert_eq!(ticket.reporter, "reporter@example.com");
        assert!(ticket.url.contains(&id));
        assert!(super::super::readable(&ticket.content).contains("It is broken."));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_comment_is_posted_once_for_each_key() {
        let (fake, client) = start();
        let id = file(&fake, "t");
        // The comment arrives, and its answer does not.
        fake.fail_next(Operation::AddComment, 1, Fault::status(500).after_effect());
        let key = "ticket:flux-lens:FL-1/3";
        let lost = client.comment(&id, key, "Hello").await.unwrap_err();
        assert!(matches!(lost, TicketError::Unavailable { .. }), "{lost}");
        client.comment(&id, key, "Hello").await.unwrap();
        client
            .comment(&id, "ticket:flux-lens:FL-1/4", "Bye")
            .await
            .unwrap();
        assert_eq!(fake.comments(&id).len(), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_status_is_set_and_a_final_one_stays() {
        let (fake, client) = start();
        let id = file(&fake, "t");
        for status in [
            TicketStatusName::InProgress,
            TicketStatusName::Done,
            TicketStatusName::Done,
        ] {
            client.set_status(&id, status).await.unwrap();
        }
        assert_eq!(fake.status(&id), Some(Status::Done));
        let refused = client
            .set_status(&id, TicketStatusName::InReview)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, TicketError::Refused { status: 409, .. }),
            "{refused}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_answer_is_what_the_contract_says() {
        let (fake, good) = start();
        let id = file(&fake, "t");
        for unknown in ["FL-999", "../../health", "FL-1/comment"] {
            let error = good.fetch(unknown).await.unwrap_err();
            assert!(
                matches!(error, TicketError::NotFound { .. }),
                "{unknown}: {error}"
            );
        }
        let denied = client(fake.base_url(), "hush")
            .fetch(&id)
            .await
            .unwrap_err();
        assert!(matches!(
            denied,
            TicketError::AccessDenied { status: 401, .. }
        ));
        assert!(!denied.to_string().contains("hush"));

        fake.fail_next(Operation::GetTicket, 1, Fault::rate_limit(17));
        let busy = good.fetch(&id).await.unwrap_err();
        assert!(
            matches!(busy, TicketError::Unavailable { retry_after: Some(delay), .. } if delay.as_secs() == 17),
            "{busy}"
        );
        fake.fail_next(Operation::GetTicket, 1, Fault::status(503));
        assert!(matches!(
            good.fetch(&id).await,
            Err(TicketError::Unavailable { .. })
        ));
        drop(fake);
        assert!(matches!(
            good.fetch(&id).await,
            Err(TicketError::Unavailable { .. })
        ));
    }
}
