//! Everything that speaks to Temporal. The client's generic code is slow to compile, so all of it is in this file.

use std::{future::Future, sync::Arc, time::Duration};

use sallyport_workflows::{
    TASK_QUEUE,
    command::{Command, CommandOutcome},
    decision::{Decision, DecisionOutcome},
    search_attributes,
    status::TicketStatus,
    ticket::{TicketInput, TicketNews},
    workflow::TicketWorkflow,
};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, RpcOptions, Url, WorkflowDescribeOptions,
    WorkflowExecuteUpdateOptions, WorkflowHandle, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
    errors::{
        WorkflowInteractionError, WorkflowQueryError, WorkflowStartError, WorkflowUpdateError,
    },
    tonic,
};
use temporalio_common::{
    HasWorkflowDefinition, MemoValues, Priority, SignalDefinition,
    data_converters::{PayloadConverter, RawValue},
    protos::temporal::api::workflowservice::v1::GetSystemInfoRequest,
    search_attributes::SearchAttributes,
};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// How long Temporal may take to answer what needs no worker.
const SERVER_LIMIT: Duration = Duration::from_secs(10);
/// How long a worker may take to judge a decision or a command.
const DECISION_LIMIT: Duration = Duration::from_secs(10);
/// How long a worker may take to say how a ticket stands; the ledger knows too.
const STATUS_LIMIT: Duration = Duration::from_secs(3);

/// Why Temporal did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketsError {
    /// Temporal is out of reach, or no worker answered in time. What was asked for may still happen.
    #[error("{0}")]
    NoAnswer(String),
    /// The workflow refused, and says why.
    #[error("{0}")]
    Refused(String),
    /// There is no such workflow, or it has ended.
    #[error("{0}")]
    NotRunning(String),
    /// Temporal will never do this.
    #[error("{0}")]
    Invalid(String),
}

/// What people see of a ticket in Temporal's UI before its workflow says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketCard {
    /// The ticket's title.
    pub title: String,
    /// The ticket's page, if it is known.
    pub url: Option<String>,
}

/// An activity that a workflow waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingActivity {
    /// Its name.
    pub name: String,
    /// The details of its last heartbeat; null if there were none.
    pub heartbeat: serde_json::Value,
}

/// The tickets' workflows. Cheap to clone. It connects on first use and as often as needed, so that Temporal may be down
/// while a starter starts.
#[derive(Clone, Debug)]
pub struct Tickets {
    connection: ConnectionOptions,
    options: ClientOptions,
    client: Arc<OnceCell<Client>>,
}

impl Tickets {
    /// The workflows of one namespace. Nothing is connected yet.
    pub fn new(connection: ConnectionOptions, options: ClientOptions) -> Self {
        Self {
            connection,
            options,
            client: Arc::default(),
        }
    }

    /// The same for a server without TLS, such as `http://127.0.0.1:7233`.
    pub fn at(address: Url, namespace: &str) -> Self {
        let connection = ConnectionOptions::new(address)
            .identity("sallyport-starter")
            .connect_timeout(Duration::from_secs(5))
            .build();
        Self::new(connection, ClientOptions::new(namespace).build())
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.options.namespace
    }

    /// Whether Temporal answers.
    pub async fn ping(&self) -> Result<(), TicketsError> {
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        let asked = service.get_system_info(tonic::Request::new(GetSystemInfoRequest::default()));
        within(SERVER_LIMIT, asked)
            .await?
            .map(|_| ())
            .map_err(|status| status_error(&status))
    }

    /// Starts a ticket's workflow. One that runs or ran under the same id already is success: it is never started twice.
    pub async fn start(&self, input: TicketInput, card: &TicketCard) -> Result<(), TicketsError> {
        let client = self.client().await?;
        let key = input.key();
        let mut memo = MemoValues::new();
        memo.insert("ticket", key.ticket_id.clone());
        if let Some(url) = &card.url {
            memo.insert("ticket_url", url.clone());
        }
        let options = WorkflowStartOptions::new(TASK_QUEUE, key.workflow_id())
            .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
            .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
            .search_attributes(SearchAttributes::new([
                search_attributes::STATE
                    .value_set(sallyport_workflows::State::Pending.as_str().to_owned()),
                search_attributes::SOURCE.value_set(key.source.clone()),
                search_attributes::TICKET.value_set(key.ticket_id.clone()),
                search_attributes::REPOSITORY.value_set(input.repository_url.clone()),
            ]))
            .priority(
                Priority::builder()
                    .priority_key(input.priority.key())
                    .build(),
            )
            .static_summary(summary(&key.ticket_id, card))
            .static_details(details(&input, card))
            .memo(memo)
            .rpc_options(rpc(SERVER_LIMIT))
            .build();
        let started = client.start_workflow(TicketWorkflow::run, input, options);
        match within(SERVER_LIMIT, started).await? {
            Ok(_) | Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(()),
            Err(WorkflowStartError::Rpc(status)) => Err(status_error(&status)),
            Err(other) => Err(TicketsError::Invalid(other.to_string())),
        }
    }

    /// Asks a workflow how it stands.
    pub async fn status(&self, workflow_id: &str) -> Result<TicketStatus, TicketsError> {
        let handle = self.handle(workflow_id).await?;
        let options = WorkflowQueryOptions::builder()
            .rpc_options(rpc(STATUS_LIMIT))
            .build();
        within(
            STATUS_LIMIT,
            handle.query(TicketWorkflow::status, (), options),
        )
        .await?
        .map_err(|error| match error {
            WorkflowQueryError::NotFound(status) => not_running(&status),
            WorkflowQueryError::Rpc(status) => status_error(&status),
            other => TicketsError::Invalid(other.to_string()),
        })
    }

    /// Puts a decision before its workflow and waits for the judgement. The decision's id is the update's id: sent again,
    /// it gets the same answer.
    pub async fn decide(
        &self,
        workflow_id: &str,
        decision: &Decision,
    ) -> Result<DecisionOutcome, TicketsError> {
        let handle = self.handle(workflow_id).await?;
        let options = update_options(decision.id.unwrap_or_default());
        let update = handle.execute_update(TicketWorkflow::decide, decision.clone(), options);
        within(DECISION_LIMIT, update).await?.map_err(update_error)
    }

    /// Leaves a decision with Temporal, to be judged when a worker runs again. The decision's id keeps it from arriving
    /// twice.
    pub async fn leave_decision(
        &self,
        workflow_id: &str,
        decision: &Decision,
    ) -> Result<(), TicketsError> {
        let payload = RawValue::from_value(decision, &PayloadConverter::default());
        let signal = TicketWorkflow::decide_signal;
        let id = decision.id.unwrap_or_default().to_string();
        self.leave(workflow_id, signal, id, payload).await
    }

    /// Puts a command before its workflow and waits for the answer. The command's id is the update's id: sent again, it
    /// gets the same answer.
    pub async fn command(
        &self,
        workflow_id: &str,
        command: &Command,
    ) -> Result<CommandOutcome, TicketsError> {
        let handle = self.handle(workflow_id).await?;
        let options = update_options(command.id.unwrap_or_default());
        let update = handle.execute_update(TicketWorkflow::command, command.clone(), options);
        within(DECISION_LIMIT, update).await?.map_err(update_error)
    }

    /// Leaves a command with Temporal, as [`Tickets::leave_decision`] does with a decision.
    pub async fn leave_command(
        &self,
        workflow_id: &str,
        command: &Command,
    ) -> Result<(), TicketsError> {
        let payload = RawValue::from_value(command, &PayloadConverter::default());
        let signal = TicketWorkflow::command_signal;
        let id = command.id.unwrap_or_default().to_string();
        self.leave(workflow_id, signal, id, payload).await
    }

    /// Tells a workflow what the ticket system says of its ticket meanwhile. `delivery` keeps it from being told twice.
    pub async fn tell(
        &self,
        workflow_id: &str,
        news: &TicketNews,
        delivery: &str,
    ) -> Result<(), TicketsError> {
        let payload = RawValue::from_value(news, &PayloadConverter::default());
        let signal = TicketWorkflow::ticket_event;
        self.leave(workflow_id, signal, delivery.to_owned(), payload)
            .await
    }

    async fn leave<S>(
        &self,
        workflow_id: &str,
        signal: S,
        request_id: String,
        payload: RawValue,
    ) -> Result<(), TicketsError>
    where
        S: SignalDefinition<
                Workflow = <TicketWorkflow as HasWorkflowDefinition>::Run,
                Input = RawValue,
            >,
    {
        let handle = self.handle(workflow_id).await?;
        let options = WorkflowSignalOptions::builder()
            .request_id(request_id)
            .rpc_options(rpc(SERVER_LIMIT))
            .build();
        within(SERVER_LIMIT, handle.signal(signal, payload, options))
            .await?
            .map_err(|error| interaction_error(&error))
    }

    /// The activities that a workflow waits for.
    pub async fn pending_activities(
        &self,
        workflow_id: &str,
    ) -> Result<Vec<PendingActivity>, TicketsError> {
        let handle = self.handle(workflow_id).await?;
        let options = WorkflowDescribeOptions::builder()
            .rpc_options(rpc(STATUS_LIMIT))
            .build();
        let description = within(STATUS_LIMIT, handle.describe(options))
            .await?
            .map_err(|error| interaction_error(&error))?;
        let pending = description.into_raw().pending_activities;
        Ok(pending
            .into_iter()
            .map(|activity| PendingActivity {
                name: activity
                    .activity_type
                    .map(|kind| kind.name)
                    .unwrap_or_default(),
                heartbeat: activity
                    .heartbeat_details
                    .and_then(|details| details.payloads.into_iter().next())
                    .and_then(|payload| serde_json::from_slice(&payload.data).ok())
                    .unwrap_or_default(),
            })
            .collect())
    }

    async fn handle(
        &self,
        workflow_id: &str,
    ) -> Result<WorkflowHandle<Client, TicketWorkflow>, TicketsError> {
        let client = self.client().await?;
        Ok(client.get_workflow_handle::<TicketWorkflow>(workflow_id))
    }

    async fn client(&self) -> Result<&Client, TicketsError> {
        let connect = || async {
            let connected = Connection::connect(self.connection.clone());
            let connection = within(SERVER_LIMIT, connected).await?.map_err(|error| {
                TicketsError::NoAnswer(format!(
                    "cannot connect to Temporal at {}: {error}",
                    self.connection.target
                ))
            })?;
            Client::new(connection, self.options.clone())
                .map_err(|error| TicketsError::Invalid(error.to_string()))
        };
        self.client.get_or_try_init(connect).await
    }
}

/// The workflow's one line in Temporal's UI.
fn summary(ticket_id: &str, card: &TicketCard) -> String {
    sallyport_workflows::text::shorten(&format!("{ticket_id}: {}", card.title), 200)
}

/// The workflow's description in Temporal's UI, Markdown.
fn details(input: &TicketInput, card: &TicketCard) -> String {
    let ticket = match &card.url {
        Some(url) => format!(
            "[{}]({})",
            input.ticket_id,
            url.replace(['(', ')', ' ', '\n'], "")
        ),
        None => input.ticket_id.clone(),
    };
    format!(
        "- **Ticket:** {ticket}\n- **Repository:** `{}`\n- **Attempt:** {}",
        input.repository_url.replace('`', ""),
        input.attempt
    )
}

fn rpc(limit: Duration) -> RpcOptions {
    RpcOptions::builder().timeout(limit).build()
}

fn update_options(id: Uuid) -> WorkflowExecuteUpdateOptions {
    WorkflowExecuteUpdateOptions::builder()
        .update_id(id.to_string())
        .rpc_options(rpc(DECISION_LIMIT))
        .build()
}

/// Gives up waiting after `limit`: without a worker, Temporal itself keeps a caller waiting.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, TicketsError> {
    tokio::time::timeout(limit, work).await.map_err(|_| {
        TicketsError::NoAnswer(format!("no answer within {} seconds", limit.as_secs()))
    })
}

fn update_error(error: WorkflowUpdateError) -> TicketsError {
    match error {
        // Both a refusal by the validator and a failed update come as this; the message is the workflow's own.
        WorkflowUpdateError::Failed(failure) => TicketsError::Refused(failure.message),
        WorkflowUpdateError::NotFound(status) => not_running(&status),
        WorkflowUpdateError::Rpc(status) => status_error(&status),
        other => TicketsError::Invalid(other.to_string()),
    }
}

fn interaction_error(error: &WorkflowInteractionError) -> TicketsError {
    match error {
        WorkflowInteractionError::NotFound(status) => not_running(status),
        WorkflowInteractionError::Rpc(status) => status_error(status),
        other => TicketsError::Invalid(other.to_string()),
    }
}

fn not_running(status: &tonic::Status) -> TicketsError {
    TicketsError::NotRunning(status.message().to_owned())
}

/// Whether a status is the request's own fault. All others may pass, or need somebody to put Temporal right; the
/// request itself stays good.
fn status_error(status: &tonic::Status) -> TicketsError {
    let message = format!(
        "Temporal answered {:?}: {}",
        status.code(),
        status.message()
    );
    match status.code() {
        tonic::Code::InvalidArgument
        | tonic::Code::FailedPrecondition
        | tonic::Code::OutOfRange => TicketsError::Invalid(message),
        _ => TicketsError::NoAnswer(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sallyport_workflows::{policy::InstallationPolicy, ticket};

    #[test]
    fn the_card_is_readable_and_harmless() {
        let input = TicketInput {
            source: "flux-lens".into(),
            ticket_id: "FL-1".into(),
            attempt: 1,
            repository_url: "file:///demo.git".into(),
            priority: ticket::Priority::Normal,
            installation_policy: InstallationPolicy::default(),
            carried: None,
        };
        let mut card = TicketCard {
            title: "Totals are wrong".into(),
            url: Some("https://flux-lens.example.com/FL-1".into()),
        };
        assert_eq!(summary("FL-1", &card), "FL-1: Totals are wrong");
        assert_eq!(
            details(&input, &card),
            "- **Ticket:** [FL-1](https://flux-lens.example.com/FL-1)\n- **Repository:** `file:///demo.git`\n- **Attempt:** 1"
        );
        card.title = "x".repeat(500);
        assert_eq!(summary("FL-1", &card).chars().count(), 200);
    }

    #[test]
    fn only_the_requests_own_faults_are_final() {
        for code in [
            tonic::Code::Unavailable,
            tonic::Code::DeadlineExceeded,
            tonic::Code::NotFound,
            tonic::Code::Unknown,
        ] {
            let error = status_error(&tonic::Status::new(code, "x"));
            assert!(matches!(error, TicketsError::NoAnswer(_)), "{code:?}");
        }
        let wrong = status_error(&tonic::Status::invalid_argument("x"));
        assert!(matches!(wrong, TicketsError::Invalid(_)));
    }

    #[tokio::test]
    async fn a_temporal_that_is_down_is_no_answer() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("http://127.0.0.1:{port}").parse().unwrap();
        let tickets = Tickets::at(address, "default");
        let error = tickets.ping().await.unwrap_err();
        assert!(
            matches!(&error, TicketsError::NoAnswer(why) if why.contains(&port.to_string())),
            "{error}"
        );
    }
}
