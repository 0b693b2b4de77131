//! One instance of workflow code, run as `temporalio-sdk` runs it on a worker: the jobs of an activation are applied,
//! then handlers and main routine are polled in rounds until nothing moves, and the commands are handed over.
//!
//! This follows `workflow_future.rs` of `temporalio-sdk` 1.1.1 line by line; read that when the SDK changes.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use temporalio_common::{
    WorkflowDefinition,
    data_converters::DataConverter,
    protos::coresdk::{
        workflow_activation::workflow_activation_job::Variant as Job,
        workflow_commands::{
            CancelWorkflowExecution, CompleteWorkflowExecution, FailWorkflowExecution, QueryResult,
            QuerySuccess, UpdateResponse, WorkflowCommand, query_result, update_response::Response,
            workflow_command::Variant,
        },
    },
};
use temporalio_workflow::{
    __private::sdk::{
        ActivationJobResult, GuestWorkflowInstance, MAIN_ROUTINE_ID, MainRoutineCompletion,
        RoutineCompletion, RoutineId, RoutineKind, RoutinePollResult, TerminalOutcome,
        UpdateRoutineCompletion, WorkflowActivation, WorkflowFailure, WorkflowHost,
        WorkflowImplementation, WorkflowInit, WorkflowInstance, is_sdk_wake,
    },
    BaseWorkflowContext,
};

/// More rounds than this in one activation mean that two routines keep each other busy for ever.
const MOST_ROUNDS: usize = 10_000;

/// Makes an instance of one workflow type; see [`factory`].
pub type Factory =
    fn(WorkflowInit, Rc<dyn WorkflowHost>) -> Result<Box<dyn WorkflowInstance>, WorkflowFailure>;

/// How instances of the workflow type `W` are made.
pub fn factory<W: WorkflowImplementation>() -> Factory
where
    <W::Run as WorkflowDefinition>::Input: Send,
{
    |init, host| {
        let arguments = init.initialize_workflow.arguments.clone();
        let data = DataConverter::default();
        let payloads = data.payload_converter().clone();
        let context = BaseWorkflowContext::from_raw(init, data, host, None, Vec::new());
        GuestWorkflowInstance::<W>::instantiate(arguments, payloads, context)
            .map_err(|error| Box::new(format!("the input does not fit: {error}").into()))
    }
}

/// Why a worker would fail the workflow task, and try it again for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// Workflow code panicked.
    #[error("the workflow code panicked: {0}")]
    Panicked(String),
    /// The SDK refused to go on, such as for a signal whose payload does not fit.
    #[error("the workflow task failed: {0}")]
    Failed(String),
    /// Something else than the SDK woke the workflow: it awaits a future of another library, a channel, a thread.
    #[error("[TMPRL1100] the workflow was woken by something that is not the SDK")]
    ForeignWake,
    /// The activation never comes to rest.
    #[error("handlers and main routine kept each other busy for {MOST_ROUNDS} rounds")]
    Endless,
}

/// Workflow code that runs, and its handlers that have not ended.
pub struct Instance {
    guest: Box<dyn WorkflowInstance>,
    host: Rc<Host>,
    handlers: Vec<RoutineId>,
    wakes: Arc<WakeWatch>,
    waker: Waker,
}

impl Instance {
    /// Makes a new instance: the workflow's `#[init]` runs, its main routine does not yet.
    pub fn new(factory: Factory, init: WorkflowInit) -> Result<Self, TaskError> {
        let host = Rc::new(Host::default());
        let wakes = Arc::new(WakeWatch::default());
        Ok(Self {
            guest: guarded(|| factory(init, host.clone()))?,
            host,
            handlers: Vec::new(),
            waker: Waker::from(wakes.clone()),
            wakes,
        })
    }

    /// Runs one activation and answers with the commands, in the order in which a worker sends them.
    pub fn run(
        &mut self,
        activation: WorkflowActivation,
    ) -> Result<Vec<WorkflowCommand>, TaskError> {
        self.wakes.check()?;
        // The updates' and the queries' ids, since their results do not carry them.
        let mut ids = Vec::with_capacity(activation.jobs.len());
        let mut polls = false;
        for job in &activation.jobs {
            polls |= !matches!(job.variant, Some(Job::QueryWorkflow(_)));
            ids.push(match &job.variant {
                Some(Job::DoUpdate(update)) => update.protocol_instance_id.clone(),
                Some(Job::QueryWorkflow(query)) => query.query_id.clone(),
                _ => String::new(),
            });
        }
        let applied = guarded(|| self.guest.activate(activation, &self.waker))?;
        self.wakes.check()?;
        let mut commands = Vec::new();
        for (id, result) in ids.into_iter().zip(applied.job_results) {
            match result {
                ActivationJobResult::None => {}
                ActivationJobResult::StartedRoutine(routine) => {
                    if let RoutineKind::Update(update) = routine.kind {
                        commands.push(answer(update.protocol_instance_id, Response::Accepted(())));
                    }
                    self.handlers.push(routine.routine_id);
                }
                ActivationJobResult::UpdateRejected(failure) => {
                    commands.push(answer(id, Response::Rejected(*failure)));
                }
                ActivationJobResult::QueryResponse(response) => {
                    let variant = match response.result {
                        Ok(payload) => query_result::Variant::Succeeded(QuerySuccess {
                            response: Some(payload),
                        }),
                        Err(failure) => query_result::Variant::Failed(failure),
                    };
                    let result = QueryResult {
                        query_id: id,
                        variant: Some(variant),
                    };
                    commands.push(Variant::RespondToQuery(result).into());
                }
            }
        }
        if polls {
            self.poll(&mut commands)?;
        }
        commands.extend(self.host.commands.take());
        Ok(commands)
    }

    /// Whether a signal's or an update's handler has not ended.
    pub fn has_handlers(&self) -> bool {
        !self.handlers.is_empty()
    }

    /// What the Temporal UI shows as the current details.
    pub fn current_details(&self) -> String {
        self.host.details.borrow().clone()
    }

    /// Polls handlers, then the main routine, in rounds until a whole round moves nothing or the workflow ends.
    fn poll(&mut self, commands: &mut Vec<WorkflowCommand>) -> Result<(), TaskError> {
        for _ in 0..MOST_ROUNDS {
            let mut moved = false;
            for routine in std::mem::take(&mut self.handlers) {
                let polled = self.poll_routine(routine)?;
                moved |= polled.made_progress;
                match polled.completion {
                    None => self.handlers.push(routine),
                    Some(RoutineCompletion::Signal(result)) => result.map_err(failed)?,
                    Some(RoutineCompletion::Update(UpdateRoutineCompletion::Completed {
                        protocol_instance_id,
                        result,
                    })) => commands.push(answer(protocol_instance_id, Response::Completed(result))),
                    Some(RoutineCompletion::Update(UpdateRoutineCompletion::Rejected {
                        protocol_instance_id,
                        failure,
                    })) => {
                        commands.push(answer(protocol_instance_id, Response::Rejected(*failure)))
                    }
                    Some(other) => {
                        return Err(TaskError::Failed(format!("a handler ended as {other:?}")));
                    }
                }
            }
            let polled = self.poll_routine(MAIN_ROUTINE_ID)?;
            moved |= polled.made_progress;
            match polled.completion {
                Some(RoutineCompletion::Main(MainRoutineCompletion::Blocked)) => {}
                Some(RoutineCompletion::Main(MainRoutineCompletion::Terminal(outcome))) => {
                    self.host.push_command(terminal(*outcome).into());
                    return Ok(());
                }
                Some(RoutineCompletion::Main(MainRoutineCompletion::TaskFailed(failure))) => {
                    return Err(failed(failure.failure));
                }
                other => {
                    return Err(TaskError::Failed(format!(
                        "the main routine came to {other:?}"
                    )));
                }
            }
            if !moved {
                return Ok(());
            }
        }
        Err(TaskError::Endless)
    }

    fn poll_routine(&mut self, routine: RoutineId) -> Result<RoutinePollResult, TaskError> {
        let polled = guarded(|| self.guest.poll_routine(routine, &self.waker))?;
        self.wakes.check()?;
        Ok(polled)
    }
}

/// Where workflow code leaves its commands.
#[derive(Default)]
struct Host {
    commands: RefCell<Vec<WorkflowCommand>>,
    details: RefCell<String>,
}

impl WorkflowHost for Host {
    fn set_current_details(&self, details: String) {
        self.details.replace(details);
    }

    fn push_command(&self, command: WorkflowCommand) {
        self.commands.borrow_mut().push(command);
    }
}

/// Notices when something else than the SDK wakes the workflow, from whichever thread.
#[derive(Default)]
struct WakeWatch {
    foreign: AtomicBool,
}

impl WakeWatch {
    fn check(&self) -> Result<(), TaskError> {
        match self.foreign.load(Ordering::Acquire) {
            true => Err(TaskError::ForeignWake),
            false => Ok(()),
        }
    }
}

impl Wake for WakeWatch {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !is_sdk_wake() {
            self.foreign.store(true, Ordering::Release);
        }
    }
}

fn terminal(outcome: TerminalOutcome) -> Variant {
    match outcome {
        TerminalOutcome::Completed(result) => {
            Variant::CompleteWorkflowExecution(CompleteWorkflowExecution {
                result: Some(result),
            })
        }
        TerminalOutcome::Failed(failure) => Variant::FailWorkflowExecution(FailWorkflowExecution {
            failure: Some(*failure),
        }),
        TerminalOutcome::Cancelled(details) => {
            Variant::CancelWorkflowExecution(CancelWorkflowExecution { details })
        }
        TerminalOutcome::ContinueAsNew(request) => {
            Variant::ContinueAsNewWorkflowExecution(*request)
        }
    }
}

fn answer(protocol_instance_id: String, response: Response) -> WorkflowCommand {
    let response = UpdateResponse {
        protocol_instance_id,
        response: Some(response),
    };
    Variant::UpdateResponse(response).into()
}

fn guarded<T>(code: impl FnOnce() -> Result<T, WorkflowFailure>) -> Result<T, TaskError> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(result) => result.map_err(failed),
        Err(panic) => Err(TaskError::Panicked(panic_message(&*panic))),
    }
}

fn failed(failure: WorkflowFailure) -> TaskError {
    TaskError::Failed(failure.message)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
