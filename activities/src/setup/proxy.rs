//! The one way out of a setup's room: an HTTP proxy on a Unix socket that reaches the configured registries and nothing
//! else. A package manager tunnels through it with `CONNECT` (RFC 9110, section 9.3.6), or asks it for an `http://` address
//! itself; only reading is passed on there.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn, upgrade,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::copy_bidirectional,
    net::{TcpStream, UnixListener},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::registries::Registries;
use crate::{
    sandbox::socket,
    walls::{Wall, stands},
};

/// The socket's name in its folder.
pub(super) const SOCKET: &str = "registries.sock";

/// How long a connection to a registry may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How many hosts are remembered that were asked for in vain.
const MOST_REFUSED: usize = 10;

/// Headers that are about one connection and are not passed on (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A proxy for one setup. Dropped, it is closed, with all that goes through it.
#[derive(Debug)]
pub(super) struct RegistryProxy {
    folder: PathBuf,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    registries: Registries,
    client: reqwest::Client,
    refused: Mutex<BTreeSet<String>>,
    closed: CancellationToken,
    connections: TaskTracker,
}

impl RegistryProxy {
    /// Opens one, with its socket in the new folder `folder`.
    pub(super) fn open(folder: &Path, registries: Registries) -> io::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A setup's environment is none of ours, and ours is none of its.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(io::Error::other)?;
        let listener = socket::listen(folder, SOCKET)?;
        let shared = Arc::new(Shared {
            registries,
            client,
            refused: Mutex::default(),
            closed: CancellationToken::new(),
            connections: TaskTracker::new(),
        });
        let server = tokio::spawn(Arc::clone(&shared).serve(listener));
        Ok(Self {
            folder: folder.to_owned(),
            shared,
            server,
        })
    }

    /// The folder with the socket.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Hosts that were asked for and are no registry, readable.
    pub(super) fn refused(&self) -> Vec<String> {
        let refused = self.shared.refused.lock();
        let refused = refused.unwrap_or_else(PoisonError::into_inner);
        refused.iter().cloned().collect()
    }
}

impl Drop for RegistryProxy {
    fn drop(&mut self) {
        self.shared.closed.cancel();
        self.server.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, listener: UnixListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&self);
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, std::convert::Infallible>(shared.answer(request).await) }
            });
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let closed = self.closed.clone();
            self.connections.spawn(async move {
                // A client that hangs up is no error of ours.
                closed.run_until_cancelled(connection).await
            });
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let uri = request.uri();
        let is_tunnel = request.method() == Method::CONNECT;
        let port = match (uri.port_u16(), is_tunnel) {
            (Some(port), _) => port,
            (None, true) => 443,
            (None, false) => 80,
        };
        let Some(host) = uri.host().map(str::to_owned) else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "this is a proxy; ask it for a whole address",
            );
        };
        let plain = uri.scheme_str() == Some("http");
        let is_open = match is_tunnel {
            true => self.registries.has_host(&host, port),
            false => plain && self.registries.has_plain(&host, port),
        };
        if !is_open && stands(Wall::Registries) {
            self.note_refused(&host, port);
            let message =
                format!("{host}:{port} is no registry that this installation lets a setup reach");
            return refusal(StatusCode::FORBIDDEN, &message);
        }
        if is_tunnel {
            return self.tunnel(request, host, port).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "a setup may only read from a registry",
            );
        }
        self.pass_on(request).await
    }

    fn note_refused(&self, host: &str, port: u16) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < MOST_REFUSED {
            let host: String = host
                .chars()
                .filter(|letter| !letter.is_control())
                .take(80)
                .collect();
            refused.insert(format!("{host}:{port}"));
        }
    }

    async fn tunnel(&self, request: Request<Incoming>, host: String, port: u16) -> Response<Body> {
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await;
        let mut registry = match connected {
            Ok(Ok(registry)) => registry,
            Ok(Err(problem)) => return refusal(StatusCode::BAD_GATEWAY, &problem.to_string()),
            Err(_) => return refusal(StatusCode::GATEWAY_TIMEOUT, "the registry does not answer"),
        };
        let closed = self.closed.clone();
        self.connections.spawn(async move {
            let Ok(client) = upgrade::on(request).await else {
                return;
            };
            let mut client = TokioIo::new(client);
            let copy = copy_bidirectional(&mut client, &mut registry);
            let _ = closed.run_until_cancelled(copy).await;
        });
        Response::new(Body::empty())
    }

    async fn pass_on(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, _) = request.into_parts();
        let mut asked = self.client.request(head.method, head.uri.to_string());
        for (name, value) in &head.headers {
            if !HOP_BY_HOP.contains(&name.as_str())
                && name != header::HOST
                && name != header::CONTENT_LENGTH
            {
                asked = asked.header(name, value);
            }
        }
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(problem) => {
                return refusal(StatusCode::BAD_GATEWAY, &problem.without_url().to_string());
            }
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        for (name, value) in answer.headers() {
            if !HOP_BY_HOP.contains(&name.as_str()) {
                response.headers_mut().append(name, value.clone());
            }
        }
        *response.body_mut() = Body::from_stream(answer.bytes_stream());
        response
    }
}

fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("sallyport: {message}\n")));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
