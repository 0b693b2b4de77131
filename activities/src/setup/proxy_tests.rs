use std::net::SocketAddr;

use axum::{Router, extract::Request as Asked, routing::any};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixStream},
};

use super::{super::Registry, *};

/// A server on loopback that says what it is asked.
async fn server(name: &'static str) -> SocketAddr {
    let answer = move |request: Asked| async move {
        let headers: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        format!(
            "{name} {} {}\n{}",
            request.method(),
            request.uri(),
            headers.join("\n")
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

struct World {
    _folder: tempfile::TempDir,
    proxy: RegistryProxy,
    registry: SocketAddr,
    other: SocketAddr,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (registry, other) = (server("registry").await, server("other").await);
        let registries = Registry::try_from(format!("http://{registry}"))
            .into_iter()
            .collect();
        Self {
            proxy: RegistryProxy::open(&folder.path().join("run"), registries).unwrap(),
            _folder: folder,
            registry,
            other,
        }
    }

    /// What the proxy answers to these bytes; the connection is kept open until it ends.
    async fn ask(&self, bytes: &str) -> String {
        let mut stream = UnixStream::connect(self.proxy.folder().join(SOCKET))
            .await
            .unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, address: &str, host: &str) -> String {
        self.ask(&format!("GET {address} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nProxy-Authorization: x\r\n\r\n"))
            .await
    }
}

#[tokio::test]
async fn a_registry_is_reached_by_its_address_and_by_a_tunnel() {
    let world = World::new().await;
    let registry = world.registry;
    // The address counts, and not what the header says.
    let answer = world
        .get(&format!("http://{registry}/a?b=1"), "other.example.com")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("registry GET /a?b=1"), "{answer}");
    assert!(
        answer.contains(&format!("host: {registry}")) && !answer.contains("proxy-authorization"),
        "{answer}"
    );

    let tunnelled = format!(
        "CONNECT {registry} HTTP/1.1\r\nHost: {registry}\r\n\r\nGET /in HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n"
    );
    let answer = world.ask(&tunnelled).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("registry GET /in"),
        "{answer}"
    );
    assert_eq!(world.proxy.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_else_is_reached() {
    // All of these lead to loopback, also where nothing refuses them.
    let world = World::new().await;
    let (registry, other) = (world.registry, world.other);
    let port = registry.port();
    for address in [
        format!("http://{other}/"),
        format!("http://localhost:{port}/"),
        format!("http://{registry}@{other}/"),
        format!("https://{registry}/"),
        format!("http://[::1]:{port}/"),
        format!("http://127.1:{port}/"),
    ] {
        let answer = world.get(&address, &registry.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{address}: {answer}");
    }
    for authority in [
        other.to_string(),
        format!("127.0.0.1:{}", port ^ 1),
        format!("[::1]:{port}"),
    ] {
        let answer = world
            .ask(&format!(
                "CONNECT {authority} HTTP/1.1\r\nHost: {registry}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{authority}: {answer}");
    }
    // A path is no address, whatever the header says.
    let answer = world.get("/", &other.to_string()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let post = format!(
        "POST http://{registry}/ HTTP/1.1\r\nHost: r\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
    );
    let answer = world.ask(&post).await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");

    let refused = world.proxy.refused();
    assert_eq!(refused.len(), MOST_REFUSED.min(refused.len()));
    assert!(refused.contains(&other.to_string()), "{refused:?}");
}

#[tokio::test]
async fn a_closed_proxy_cuts_what_goes_through_it() {
    let world = World::new().await;
    let mut stream = UnixStream::connect(world.proxy.folder().join(SOCKET))
        .await
        .unwrap();
    let connect = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", world.registry);
    stream.write_all(connect.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    drop(world.proxy);
    let mut rest = Vec::new();
    // Ends: nobody holds the other side any more.
    let _ = stream.read_to_end(&mut rest).await;
}
