//! A proxy for TCP on 127.0.0.1 that can be cut: to see what happens when a connection breaks off.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A running proxy. It ends with the runtime that it was started on.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    cuts: watch::Sender<u64>,
    is_open: Arc<AtomicBool>,
    target: Arc<watch::Sender<u16>>,
}

impl Proxy {
    /// Starts a proxy for a port on 127.0.0.1, which may be told later ([`Proxy::lead_to`]); 0 for none yet.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(target: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no free port for a proxy")?;
        let port = listener.local_addr()?.port();
        let cuts = watch::Sender::new(0);
        let is_open = Arc::new(AtomicBool::new(true));
        let target = Arc::new(watch::Sender::new(target));
        tokio::spawn(accept(
            listener,
            cuts.subscribe(),
            is_open.clone(),
            target.clone(),
        ));
        Ok(Self {
            port,
            cuts,
            is_open,
            target,
        })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets where new connections lead.
    pub fn lead_to(&self, port: u16) {
        self.target.send_replace(port);
    }

    /// Breaks all connections off, and refuses new ones until [`Proxy::mend`].
    pub fn cut(&self) {
        self.is_open.store(false, Ordering::SeqCst);
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Takes connections again.
    pub fn mend(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

async fn accept(
    listener: TcpListener,
    cuts: watch::Receiver<u64>,
    is_open: Arc<AtomicBool>,
    target: Arc<watch::Sender<u16>>,
) {
    while let Ok((mut client, _)) = listener.accept().await {
        if !is_open.load(Ordering::SeqCst) {
            continue;
        }
        let port = *target.borrow();
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                return;
            };
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_cut_connection_breaks_off_and_none_is_taken_until_it_is_mended() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::start(echo.local_addr().unwrap().port())
            .await
            .unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()));
        let mut stream = connect().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        proxy.cut();
        assert!(stream.read_u8().await.is_err());
        let mut refused = connect().await.unwrap();
        assert!(refused.read_u8().await.is_err());
        proxy.mend();
        let mut again = connect().await.unwrap();
        again.write_all(b"y").await.unwrap();
        assert_eq!(again.read_u8().await.unwrap(), b'y');
    }
}
