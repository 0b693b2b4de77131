//! Where the worker stands: it asks here at each boundary of an activity, and waits for the answer.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use super::plan::{Plan, Strike};

/// What the worker says.
#[derive(Debug, Deserialize)]
struct Stand {
    activity: String,
    workflow: String,
    /// Names the call, the same for each of its tries.
    call: String,
    phase: String,
}

/// A strike that is due: the worker stands at its boundary until it is answered.
#[derive(Debug)]
pub struct Due {
    /// The strike.
    pub strike: Strike,
    /// Lets the worker go on; dropped, the worker goes on too, if it is still there.
    pub go_on: oneshot::Sender<()>,
}

/// The calls that reached each boundary, by activity and phase; each once, however often it was tried.
pub type Reached = BTreeMap<(String, String), Vec<String>>;

/// Takes the worker's questions.
#[derive(Debug)]
pub struct Boundaries {
    /// Where the worker asks.
    pub address: SocketAddr,
    reached: Arc<Mutex<Reached>>,
}

impl Boundaries {
    /// Starts listening; strikes that are due come out of the channel.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn watch(plan: &Plan) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<Due>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no free port for the boundaries")?;
        let address = listener.local_addr()?;
        let (due, strikes) = mpsc::unbounded_channel();
        let reached = Arc::new(Mutex::new(Reached::new()));
        let plan = Arc::new(plan.clone());
        let counts = reached.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (plan, counts, due) = (plan.clone(), counts.clone(), due.clone());
                tokio::spawn(async move { answer(stream, &plan, &counts, &due).await });
            }
        });
        Ok((Self { address, reached }, strikes))
    }

    /// How often each boundary was reached so far.
    #[must_use]
    pub fn reached(&self) -> Reached {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn answer(
    stream: TcpStream,
    plan: &Plan,
    counts: &Mutex<Reached>,
    due: &mpsc::UnboundedSender<Due>,
) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    if let Ok(stand) = serde_json::from_str::<Stand>(&line)
        && stand.workflow.starts_with("ticket:")
    {
        let call = {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            let calls = counts
                .entry((stand.activity.clone(), stand.phase.clone()))
                .or_default();
            // A further try of a call that was here before is no further blow.
            (!calls.contains(&stand.call)).then(|| {
                calls.push(stand.call.clone());
                calls.len()
            })
        };
        let strike = plan.strikes.iter().find(|strike| {
            strike.activity == stand.activity
                && strike.phase.as_str() == stand.phase
                && usize::try_from(strike.call).ok() == call
        });
        if let Some(strike) = strike {
            let (go_on, gone_on) = oneshot::channel();
            let strike = *strike;
            if due.send(Due { strike, go_on }).is_ok() {
                let _ = gone_on.await;
            }
        }
    }
    // It may be dead by now.
    let _ = stream.get_mut().write_all(b"go on\n").await;
}
