//! A Temporal server with a worker, for what only a workflow can answer. Its tickets are unknown to their ticket system,
//! so that each is parked as soon as it was taken in.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, mpsc},
};

use sallyport_ledger::{
    Database,
    proof::{DecisionKey, Proof},
    transitions,
};
use sallyport_test_support::temporal::TemporalServer;
use sallyport_workflows::{
    TASK_QUEUE, TicketWorkflow,
    activities::{Admission, AdmitCommand, RecordCommand, TransitionRecord, definitions},
    failure::kind,
    ticket::{TicketKey, TicketSummary},
};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use temporalio_common::error::ApplicationFailure;
use temporalio_macros::activities;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    activities::{ActivityContext, ActivityError, ActivityImplementer},
};

use crate::{DECISION_KEY, Starter, starter_at};

/// The ledgers that tickets are recorded in, by ticket id.
#[derive(Clone, Default)]
pub struct Ledgers(Arc<Mutex<BTreeMap<String, Database>>>);

/// A starter on the server with the worker, which records what happens to `ticket` in the starter's ledger.
pub async fn starter_with_worker(ticket: &str) -> Starter {
    static SERVER: OnceLock<(TemporalServer, Ledgers)> = OnceLock::new();
    let (server, ledgers) = SERVER.get_or_init(|| {
        let server = TemporalServer::own().unwrap();
        let ledgers = Ledgers::default();
        work(&server.address, Steps(ledgers.clone()));
        (server, ledgers)
    });
    let starter = starter_at(&server.address).await;
    let ledger = starter.database.clone();
    ledgers.0.lock().unwrap().insert(ticket.to_owned(), ledger);
    starter
}

/// Starts a worker with these activities in a thread of its own, since workflow code is not `Send`, and waits until it is
/// ready.
pub fn work(address: &str, activities: impl ActivityImplementer + Send + 'static) {
    let address: Url = address.parse().unwrap();
    let (ready, is_ready) = mpsc::channel();
    std::thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        tokio.unwrap().block_on(async {
            let options = ConnectionOptions::new(address);
            let connection = Connection::connect(options.identity("test").build()).await;
            let client = Client::new(connection.unwrap(), ClientOptions::new("default").build());
            let runtime = Runtime::from_current_tokio(Default::default()).unwrap();
            let options = WorkerOptions::new(TASK_QUEUE.to_owned())
                .register_workflow::<TicketWorkflow>()
                .unwrap()
                .register_activities(activities)
                .build();
            let mut worker = Worker::new(&runtime, client.unwrap(), options).unwrap();
            ready.send(()).unwrap();
            worker.run().await.unwrap();
        });
    });
    is_ready.recv().unwrap();
}

pub struct Steps(Ledgers);

/// Whether the command is proven; nothing else is asked.
pub fn admitted(input: &AdmitCommand) -> Admission {
    let key = DecisionKey::new(&DECISION_KEY.into()).unwrap();
    let proof = key.check_command(&input.command, &input.ticket.workflow_id());
    Admission {
        proven: proof == Proof::Valid,
        refused: None,
        comments: None,
    }
}

#[activities]
impl Steps {
    #[activity(definition = definitions::RecordTransition)]
    pub async fn record_transition(
        self: Arc<Self>,
        _ctx: ActivityContext,
        record: TransitionRecord,
    ) -> Result<(), ActivityError> {
        let ledger = self.0.0.lock().unwrap()[&record.ticket.ticket_id].clone();
        transitions::record_transition(&ledger, &record)
            .await
            .unwrap();
        Ok(())
    }

    #[activity(definition = definitions::FetchTicket)]
    pub async fn fetch_ticket(
        self: Arc<Self>,
        _ctx: ActivityContext,
        _ticket: TicketKey,
    ) -> Result<TicketSummary, ActivityError> {
        let unknown = std::io::Error::other("there is no such ticket");
        Err(ApplicationFailure::builder(unknown)
            .type_name(kind::TICKET_NOT_FOUND.to_owned())
            .non_retryable(true)
            .build()
            .into())
    }

    #[activity(definition = definitions::AdmitCommand)]
    pub async fn admit_command(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: AdmitCommand,
    ) -> Result<Admission, ActivityError> {
        Ok(admitted(&input))
    }

    #[activity(definition = definitions::RecordCommand)]
    pub async fn record_command(
        self: Arc<Self>,
        _ctx: ActivityContext,
        _input: RecordCommand,
    ) -> Result<(), ActivityError> {
        Ok(())
    }
}
