//! A web server on 127.0.0.1 with threads of its own, which is gone when its handle is dropped.

use std::future::Future;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use tokio::runtime::{Builder, Runtime};

/// How long a stopping server waits for its threads; connections are cut, so this is never used up in practice.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long a port may stay taken after its server has gone: a process that another thread is just starting holds a copy
/// of every socket until its program runs.
const HANDOVER_LIMIT: Duration = Duration::from_secs(2);
/// The pause between two tries to take such a port.
const HANDOVER_PAUSE: Duration = Duration::from_millis(10);

/// A listening socket that is not served yet, so that a fake can learn its own address first.
pub(crate) struct BoundSocket {
    listener: TcpListener,
    address: SocketAddr,
}

impl BoundSocket {
    /// Binds `port` on 127.0.0.1; port 0 means any free one.
    pub(crate) fn bind(port: u16) -> anyhow::Result<Self> {
        let deadline = Instant::now() + HANDOVER_LIMIT;
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    std::thread::sleep(HANDOVER_PAUSE);
                }
                bound => break bound,
            }
        }
        .with_context(|| {
            format!(
                "cannot listen on 127.0.0.1:{port}; stop the program that uses the port, or choose another"
            )
        })?;
        listener
            .set_nonblocking(true)
            .context("cannot make the listening socket non-blocking")?;
        let address = listener
            .local_addr()
            .context("a bound socket has no address")?;
        Ok(Self { listener, address })
    }

    /// The base URL of what will be served here, without a slash at its end.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A running server. It has a runtime of its own: a test that blocks does not stop it, and dropping it
/// cuts every connection and frees the port.
#[derive(Debug)]
pub(crate) struct LocalServer {
    runtime: Option<Runtime>,
    base_url: String,
}

impl LocalServer {
    /// Serves `router` on `socket`; `name` is what its threads are called.
    pub(crate) fn start(name: &str, socket: BoundSocket, router: Router) -> anyhow::Result<Self> {
        let base_url = socket.base_url();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()
            .with_context(|| format!("cannot start the threads of {name}"))?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(socket.listener)
                .context("cannot hand the listening socket to the server")?
        };
        runtime.spawn(async move {
            // Ends only with the runtime: axum's serve loop handles its own accept errors.
            axum::serve(listener, router).await
        });
        Ok(Self {
            runtime: Some(runtime),
            base_url,
        })
    }

    /// The address as a URL, without a slash at its end.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Runs `work` on the server's threads until it ends or the server stops.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not be dropped on a thread of another one, so a thread of its own does it; joined, since
            // whoever starts the next server on this port relies on its being free.
            let _ = std::thread::spawn(move || runtime.shutdown_timeout(STOP_LIMIT)).join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_dropped_server_frees_its_port_and_cuts_its_connections() {
        let socket = BoundSocket::bind(0).unwrap();
        let port = socket.address.port();
        let router = Router::new().route("/", get(async || "here")).route(
            "/never",
            get(async || std::future::pending::<String>().await),
        );
        let server = LocalServer::start("test-server", socket, router).unwrap();
        let base_url = server.base_url().to_owned();
        let answer = reqwest::get(&base_url).await.unwrap().text().await.unwrap();
        assert_eq!(answer, "here");

        let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap();
        connection
            .write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        drop(server);
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
        BoundSocket::bind(port).expect("the port is free again");
    }
}
