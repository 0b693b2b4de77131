//! Temporal's dev server for tests: one for each test process, with a namespace of its own for whoever wants one.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Child,
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    child::{Output, dies_with_us, spawn},
    tools::TestTools,
};

/// How long the server may take to answer; only reached when it does not start at all.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running dev server.
#[derive(Debug)]
pub struct TemporalServer {
    /// The frontend's address, `http://127.0.0.1:PORT`.
    pub address: String,
    /// The web UI's address.
    pub ui_url: String,
    _child: Child,
    _logs: tempfile::TempDir,
}

impl TemporalServer {
    /// The server of this test process, started by the first who asks. It can skip time, one workflow at a time.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<TemporalServer> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(&[]).expect("Temporal's dev server starts"))
    }

    /// A server of one's own, for tests whose worker must not serve the others.
    pub fn own() -> anyhow::Result<Self> {
        Self::start(&[])
    }

    /// A server that suggests to continue as new after so many events of history.
    pub fn that_suggests_renewal_after(events: u32) -> anyhow::Result<Self> {
        Self::start(&[
            "--dynamic-config-value",
            &format!("limit.historyCount.suggestContinueAsNew={events}"),
        ])
    }

    fn start(more: &[&str]) -> anyhow::Result<Self> {
        let tools = TestTools::load()?;
        let logs = tempfile::tempdir().context("cannot make a folder for Temporal's log")?;
        let log = logs.path().join("temporal.log");
        let (port, ui_port) = (free_port()?, free_port()?);
        let mut command = dies_with_us(&tools.temporal);
        command.args([
            "server",
            "start-dev",
            "--ip",
            "127.0.0.1",
            "--log-level",
            "warn",
        ]);
        command.args([
            "--port",
            &port.to_string(),
            "--ui-port",
            &ui_port.to_string(),
        ]);
        command.args([
            "--dynamic-config-value",
            "frontend.WorkflowTimeSkippingEnabled=true",
        ]);
        command.args(more);
        for attribute in [
            "SallyportState=Keyword",
            "SallyportSource=Keyword",
            "SallyportTicket=Keyword",
            "SallyportRepository=Keyword",
            "SallyportAssignee=KeywordList",
            "SallyportWaitingSince=Datetime",
        ] {
            command.args(["--search-attribute", attribute]);
        }
        let mut child = spawn(command, &Output::Log(log.clone()))?;
        let started = Instant::now();
        // The UI's server comes up after the frontend, so an answer of it means that both are there.
        while !answers_http(ui_port) {
            if let Some(status) = child.try_wait()? {
                bail!(
                    "Temporal's dev server ended with {status}: {}",
                    std::fs::read_to_string(&log)?
                );
            }
            if started.elapsed() > START_LIMIT {
                bail!(
                    "Temporal's dev server does not answer: {}",
                    std::fs::read_to_string(&log)?
                );
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(Self {
            address: format!("http://127.0.0.1:{port}"),
            ui_url: format!("http://127.0.0.1:{ui_port}"),
            _child: child,
            _logs: logs,
        })
    }
}

/// A port on 127.0.0.1 that nobody uses now, and that nobody else is given: neither another test here, nor a program
/// that asks the kernel for any port (Temporal's server takes several), since those come from a higher range.
pub fn free_port() -> anyhow::Result<u16> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    let next = NEXT.get_or_init(|| {
        // Processes that run at the same time start at different places.
        AtomicU16::new((RandomState::new().build_hasher().finish() % u64::from(COUNT)) as u16)
    });
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!(
        "no port is free on 127.0.0.1 between {FIRST} and {}",
        FIRST + COUNT
    )
}

fn answers_http(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let asked = stream.write_all(b"GET / HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n");
    let mut answer = [0; 4];
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"HTTP"
}
