//! One Temporal server and one worker for all tests of this process; a ticket of its own for each test.

use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use sallyport_test_support::temporal::TemporalServer;
use sallyport_workflows::{
    MaintenanceWorkflow, State, TASK_QUEUE, TicketWorkflow,
    command::{Action, Command, CommandOutcome},
    decision::{Decision, DecisionOutcome, Verdict},
    gate::{Gate, OpenGate},
    policy::{Budget, BudgetRaise, InstallationPolicy},
    status::TicketStatus,
    ticket::{FLUX_LENS, Priority, TicketInput, TicketKey},
    workflow::TicketOutcome,
};
use serde_json::Value;
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, Url, WorkflowExecuteUpdateOptions,
    WorkflowHandle, WorkflowSignalOptions, WorkflowStartOptions,
    tonic::{Code, Request, Status},
};
use temporalio_common::{
    data_converters::{PayloadConverter, RawValue},
    protos::temporal::api::{
        common::v1::{FastForwardConfig, TimeSkippingConfig, WorkflowExecution},
        workflow::v1::WorkflowExecutionOptions,
        workflowservice::v1::{
            PollWorkflowExecutionTimeSkippingRequest, UpdateWorkflowExecutionOptionsRequest,
        },
    },
};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use uuid::Uuid;

use crate::{
    histories,
    maintenance::Caretaker,
    scripted::{Scripted, World, Worlds, lock},
};

/// How long a condition may take to come true; only reached when it never does.
const LIMIT: Duration = Duration::from_secs(60);

pub const ANN: &str = "ann@example.com";
pub const BOB: &str = "bob@example.com";
pub const ADMIN: &str = "admin@example.com";
pub use answers::REPORTER;

/// A ticket and everything that a test does with it.
pub struct Ticket {
    pub world: Arc<Mutex<World>>,
    pub handle: WorkflowHandle<Client, TicketWorkflow>,
    pub key: TicketKey,
    client: Client,
}

/// A policy with the product's deadlines that takes decisions without proof.
pub fn policy() -> InstallationPolicy {
    InstallationPolicy {
        accept_unproven_decisions: true,
        ..InstallationPolicy::default()
    }
}

impl Ticket {
    /// Starts a ticket's workflow in a world that `set_up` has arranged.
    pub async fn start(
        ticket_id: &str,
        policy: InstallationPolicy,
        set_up: impl FnOnce(&mut World),
    ) -> Self {
        Self::start_at(usual(), ticket_id, policy, set_up).await
    }

    /// The same at a place of the caller's choice.
    pub async fn start_at(
        place: &Place,
        ticket_id: &str,
        policy: InstallationPolicy,
        set_up: impl FnOnce(&mut World),
    ) -> Self {
        let world = place.worlds.of(ticket_id);
        set_up(&mut lock(&world));
        let client = connect(&place.address).await;
        let key = TicketKey::first(FLUX_LENS, ticket_id);
        let input = TicketInput {
            source: key.source.clone(),
            ticket_id: key.ticket_id.clone(),
            attempt: 1,
            repository_url: "file:///repository.git".to_owned(),
            priority: Priority::Normal,
            installation_policy: policy,
            carried: None,
        };
        let options = WorkflowStartOptions::new(TASK_QUEUE, key.workflow_id()).build();
        client
            .start_workflow(TicketWorkflow::run, input, options)
            .await
            .expect("the workflow starts");
        let handle = client.get_workflow_handle::<TicketWorkflow>(key.workflow_id());
        Self {
            world,
            handle,
            key,
            client,
        }
    }

    pub async fn status(&self) -> TicketStatus {
        let answer = self
            .handle
            .query(TicketWorkflow::status, (), Default::default())
            .await;
        match answer {
            Ok(status) => status,
            Err(error) => panic!("{error}; {}", self.failed_tasks().await),
        }
    }

    /// Why the workflow's tasks failed: a query says only that they did.
    async fn failed_tasks(&self) -> String {
        let text = String::from_utf8(self.history().await).unwrap_or_default();
        let failures = text.split("WorkflowTaskFailedEventAttributes").skip(1);
        failures
            .map(|text| text.chars().take(600).collect::<String>())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Asks for the status until it is as wanted.
    pub async fn until(
        &self,
        what: &str,
        mut wanted: impl FnMut(&TicketStatus) -> bool,
    ) -> TicketStatus {
        let waiting = async {
            let mut pace = tokio::time::interval(Duration::from_millis(40));
            loop {
                pace.tick().await;
                let status = self.status().await;
                if wanted(&status) {
                    return status;
                }
            }
        };
        match tokio::time::timeout(LIMIT, waiting).await {
            Ok(status) => status,
            Err(_) => panic!(
                "in vain waited until {what}; the status is {:#?}",
                self.status().await
            ),
        }
    }

    pub async fn until_state(&self, state: State) -> TicketStatus {
        self.until(state.as_str(), |status| status.state == state)
            .await
    }

    pub async fn until_gate(&self, gate: Gate) -> OpenGate {
        let open =
            |status: &TicketStatus| status.open_gate.clone().filter(|open| open.gate == gate);
        let status = self
            .until(&format!("gate {gate} is open"), |status| {
                open(status).is_some()
            })
            .await;
        open(&status).expect("it was open")
    }

    pub async fn decide(&self, decision: Decision) -> Result<DecisionOutcome, String> {
        let id = decision.id.map(|id| id.to_string()).unwrap_or_default();
        let options = WorkflowExecuteUpdateOptions::builder()
            .update_id(id)
            .build();
        let updated = self
            .handle
            .execute_update(TicketWorkflow::decide, decision, options)
            .await;
        updated.map_err(|error| format!("{error}: {error:?}"))
    }

    /// Sends a command as the starter does.
    pub async fn command(&self, command: Command) -> Result<CommandOutcome, String> {
        let id = command.id.map(|id| id.to_string()).unwrap_or_default();
        let options = WorkflowExecuteUpdateOptions::builder()
            .update_id(id)
            .build();
        let updated = self
            .handle
            .execute_update(TicketWorkflow::command, command, options)
            .await;
        updated.map_err(|error| format!("{error}: {error:?}"))
    }

    /// Sends a command as JSON, as the stock `temporal` CLI does.
    pub async fn signal_command(&self, json: Value) {
        let payload = RawValue::from_value(&json, &PayloadConverter::default());
        let options = WorkflowSignalOptions::default();
        self.handle
            .signal(TicketWorkflow::command_signal, payload, options)
            .await
            .expect("the signal is taken");
    }

    /// Sends JSON as the stock `temporal` CLI does.
    pub async fn signal(&self, json: Value) {
        let payload = RawValue::from_value(&json, &PayloadConverter::default());
        let options = WorkflowSignalOptions::default();
        self.handle
            .signal(TicketWorkflow::decide_signal, payload, options)
            .await
            .expect("the signal is taken");
    }

    /// Sends what the ticket system tells, as JSON.
    pub async fn tell(&self, news: Value) {
        let payload = RawValue::from_value(&news, &PayloadConverter::default());
        let options = WorkflowSignalOptions::default();
        self.handle
            .signal(TicketWorkflow::ticket_event, payload, options)
            .await
            .expect("the signal is taken");
    }

    pub async fn approve(&self, gate: Gate, by: &str) -> DecisionOutcome {
        let open = self.until_gate(gate).await;
        self.decide(decision(&open, Verdict::Approve, by))
            .await
            .expect("the approval is taken")
    }

    /// How the ticket ended. The history is saved for later replays where the environment asks for it.
    pub async fn outcome(&self) -> TicketOutcome {
        let outcome = self
            .handle
            .get_result(Default::default())
            .await
            .expect("the workflow completes");
        if let Some(folder) = std::env::var_os("SALLYPORT_SAVE_HISTORIES") {
            histories::save(
                Path::new(&folder),
                &self.key.ticket_id,
                &self.history().await,
            );
        }
        outcome
    }

    /// How many runs the workflow has had.
    pub async fn runs(&self) -> usize {
        let query = format!("WorkflowId = '{}'", self.key.workflow_id());
        let count = || async {
            let counted = self
                .client
                .count_workflows(&query, Default::default())
                .await;
            counted.expect("counted").count()
        };
        count().await as usize
    }

    /// The workflow's history, in the SDK's JSON.
    pub async fn history(&self) -> Vec<u8> {
        let history = self.handle.fetch_history(Default::default());
        history.to_json().await.expect("a history")
    }

    /// Lets the workflow's clock go forward by exactly this long. `mark` names the jump; each needs its own.
    pub async fn skip(&self, seconds: u64, mark: &str) {
        let service = self.client.connection().workflow_service();
        let execution = WorkflowExecution {
            workflow_id: self.key.workflow_id(),
            run_id: String::new(),
        };
        let jump = FastForwardConfig {
            id: mark.to_owned(),
            duration: Some(Duration::from_secs(seconds).try_into().expect("a duration")),
        };
        let skipping = TimeSkippingConfig {
            enabled: true,
            fast_forward_config: Some(jump),
            ..TimeSkippingConfig::default()
        };
        let request = UpdateWorkflowExecutionOptionsRequest {
            namespace: "default".to_owned(),
            workflow_execution: Some(execution.clone()),
            workflow_execution_options: Some(WorkflowExecutionOptions {
                time_skipping_config: Some(skipping),
                ..WorkflowExecutionOptions::default()
            }),
            update_mask: Some(prost_wkt_types::FieldMask {
                paths: vec!["time_skipping_config".to_owned()],
            }),
            ..UpdateWorkflowExecutionOptionsRequest::default()
        };
        answered("time skipping is on", || {
            let (mut service, request) = (service.clone(), request.clone());
            async move {
                service
                    .update_workflow_execution_options(Request::new(request))
                    .await
            }
        })
        .await;
        let poll = PollWorkflowExecutionTimeSkippingRequest {
            namespace: "default".to_owned(),
            workflow_execution: Some(execution),
            fast_forward_id: mark.to_owned(),
        };
        answered("the jump is made", || {
            let (mut service, poll) = (service.clone(), poll.clone());
            async move {
                service
                    .poll_workflow_execution_time_skipping(Request::new(poll))
                    .await
            }
        })
        .await;
    }

    /// The states on record, in order.
    pub fn recorded(&self) -> Vec<State> {
        lock(&self.world)
            .transitions
            .iter()
            .map(|record| record.to)
            .collect()
    }
}

/// Asks the server again where the connection was lost, which happens on a busy machine: the SDK's own calls do so, these
/// raw ones do not.
async fn answered<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, Status>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match ask().await {
            Ok(answer) => return answer,
            Err(status)
                if tries < 10 && matches!(status.code(), Code::Cancelled | Code::Unavailable) => {}
            Err(status) => panic!("{what}: {status:?}"),
        }
    }
}

/// A ticket that is parked with an open pull request, for a change was requested and none may be; and what gate 2 asked.
pub async fn parked_at_gate_2(ticket_id: &str) -> (Ticket, OpenGate) {
    let none = InstallationPolicy {
        budget: Budget {
            change_rounds: 0,
            ..Budget::default()
        },
        ..policy()
    };
    let ticket = Ticket::start(ticket_id, none, |_| {}).await;
    ticket.approve(Gate::Spec, ANN).await;
    let open = ticket.until_gate(Gate::Pr).await;
    ticket
        .decide(decision(&open, Verdict::Revise, BOB))
        .await
        .expect("it counts");
    ticket.until_state(State::Error).await;
    (ticket, open)
}

/// A command of an admin.
pub fn command(action: Action) -> Command {
    Command {
        id: Some(Uuid::new_v4()),
        action,
        from: None,
        raise: BudgetRaise::default(),
        seconds: None,
        by: ADMIN.to_owned(),
        reason: None,
        proof: None,
    }
}

/// A decision about exactly what the gate asks.
pub fn decision(open: &OpenGate, verdict: Verdict, by: &str) -> Decision {
    let comments = (verdict == Verdict::Revise).then(|| "Please name the test".to_owned());
    Decision {
        id: Some(Uuid::new_v4()),
        gate: open.gate,
        revision: open.revision.clone(),
        decision: verdict,
        by: by.to_owned(),
        comments,
        proof: None,
    }
}

pub async fn connect(address: &str) -> Client {
    let address: Url = address.parse().expect("an address");
    let connection = Connection::connect(
        ConnectionOptions::new(address)
            .identity("test".to_owned())
            .build(),
    )
    .await
    .expect("Temporal answers");
    Client::new(connection, ClientOptions::new("default").build()).expect("a client")
}

/// A Temporal server with a worker on it.
pub struct Place {
    address: String,
    worlds: Worlds,
    worker: Mutex<Option<RunningWorker>>,
}

/// A worker in a thread of its own, since workflow code is not `Send`.
struct RunningWorker {
    stop: Box<dyn Fn() + Send>,
    thread: JoinHandle<()>,
}

/// The place of nearly all tests.
pub fn usual() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| Place::new(&TemporalServer::shared().address))
}

impl Place {
    /// Starts a worker.
    pub fn new(address: &str) -> Self {
        let worlds = Worlds::default();
        Self {
            address: address.to_owned(),
            worker: Mutex::new(Some(RunningWorker::start(address, worlds.clone()))),
            worlds,
        }
    }

    /// Stops the worker and starts another one.
    pub fn restart_worker(&self) {
        let mut worker = lock(&self.worker);
        if let Some(running) = worker.take() {
            (running.stop)();
            running.thread.join().expect("the worker stops");
        }
        *worker = Some(RunningWorker::start(&self.address, self.worlds.clone()));
    }
}

impl RunningWorker {
    fn start(address: &str, worlds: Worlds) -> Self {
        let at = address.to_owned();
        let (ready, is_ready) = mpsc::channel::<Box<dyn Fn() + Send>>();
        let thread = std::thread::spawn(move || {
            let tokio = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build();
            tokio.expect("a runtime").block_on(async {
                let runtime =
                    Runtime::from_current_tokio(Default::default()).expect("Temporal's runtime");
                let options = WorkerOptions::new(TASK_QUEUE.to_owned())
                    .register_workflow::<TicketWorkflow>()
                    .expect("the workflow is registered")
                    .register_workflow::<MaintenanceWorkflow>()
                    .expect("the workflow is registered")
                    .register_activities(Scripted(worlds))
                    .register_activities(Caretaker)
                    // Tickets are thrown out of memory all the time, as if the worker had been restarted: what they do
                    // next comes from a replay.
                    .max_cached_workflows(2usize)
                    .build();
                let client = connect(&at).await;
                let mut worker = Worker::new(&runtime, client, options).expect("a worker");
                ready
                    .send(Box::new(worker.shutdown_handle()))
                    .expect("somebody waits");
                worker.run().await.expect("the worker runs");
            });
        });
        Self {
            stop: is_ready.recv().expect("the worker starts"),
            thread,
        }
    }
}
