//! What attacks reach for: listeners of our own, in the network namespace of the attacks. Nobody may ever be heard there.

use std::{
    io::{Read, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddress, UnixListener},
    },
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context;

use super::namespace::METADATA;

/// The name of the abstract socket.
pub const ABSTRACT: &str = "sallyport-attack";

/// How long somebody who connects may take to say who he is.
const PATIENCE: Duration = Duration::from_millis(200);

/// The listeners. Their threads end with the process.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Over IPv4.
    pub tcp: u16,
    /// Over IPv6.
    pub tcp6: u16,
    /// Datagrams.
    pub udp: u16,
    /// A registry: the one target that may be heard, and only by way of the proxy.
    pub registry: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Targets {
    /// Listens everywhere. `socket` is where a Unix socket like Docker's goes.
    ///
    /// # Errors
    /// If an address cannot be had: outside of the attacks' namespace.
    pub fn listen(socket: &Path) -> anyhow::Result<Self> {
        let heard = Arc::default();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tcp6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0))?;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let dns = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).context("no port for DNS")?;
        let metadata: IpAddr = METADATA.parse()?;
        let metadata = TcpListener::bind(SocketAddr::new(metadata, 80))
            .context("no address for the metadata service")?;
        let docker = UnixListener::bind(socket)?;
        let hidden = UnixListener::bind_addr(&UnixAddress::from_abstract_name(ABSTRACT)?)?;
        let targets = Self {
            tcp: tcp.local_addr()?.port(),
            tcp6: tcp6.local_addr()?.port(),
            udp: udp.local_addr()?.port(),
            registry: serve_registry()?,
            heard,
        };
        for (name, listener) in [
            ("TCP", tcp),
            ("TCP over IPv6", tcp6),
            ("metadata", metadata),
        ] {
            let heard = Arc::clone(&targets.heard);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    note(&heard, name, stream);
                }
            });
        }
        for (name, listener) in [("a Unix socket", docker), ("an abstract socket", hidden)] {
            let heard = Arc::clone(&targets.heard);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    note(&heard, name, stream);
                }
            });
        }
        for (name, socket) in [("UDP", udp), ("DNS", dns)] {
            let heard = Arc::clone(&targets.heard);
            thread::spawn(move || {
                let mut said = [0; 512];
                while let Ok(length) = socket.recv(&mut said) {
                    note(&heard, name, &said[..length]);
                }
            });
        }
        Ok(targets)
    }

    /// None at all, for cases that are only looked at.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            tcp: 0,
            tcp6: 0,
            udp: 0,
            registry: 0,
            heard: Arc::default(),
        }
    }

    /// Who was heard since the last time that this was asked.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts a registry that has everything. Answers its port.
fn serve_registry() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes");
        }
    });
    Ok(port)
}

fn note(heard: &Mutex<Vec<String>>, name: &str, from: impl Read) {
    let mut said = Vec::new();
    let _ = from.take(200).read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).escape_default().to_string();
    heard
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(format!("{name} was reached: {said}"));
}
