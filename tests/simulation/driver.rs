//! Runs real workflow code without a Temporal server: one workflow, its runs, virtual time. Nothing here knows tickets.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeZone, Utc};
use temporalio_common::{
    WorkflowDefinition,
    protos::{
        coresdk::{
            workflow_activation::{
                InitializeWorkflow, QueryWorkflow, WorkflowActivation, WorkflowActivationJob,
                workflow_activation_job::Variant as Job,
            },
            workflow_commands::{WorkflowCommand, query_result, workflow_command::Variant},
        },
        temporal::api::{
            common::v1::{Memo, Payload, SearchAttributes},
            enums::v1::ContinueAsNewInitiator,
            failure::v1::Failure,
        },
    },
};
use temporalio_workflow::__private::sdk::{WorkflowImplementation, WorkflowInit};
use uuid::Uuid;

use crate::{
    error::{Place, SimulationError},
    events::Event,
    instance::{Factory, Instance, TaskError, factory},
    recording::{Recorded, Recording, order},
    server::{Outcome, Server, UpdateAnswer},
};

/// More activations than this in one workflow task, or timers in one [`Driver::elapse`], never end.
const MOST_STEPS: usize = 10_000;

/// How large the history is, as the workflow is told. The test sets it: the simulator counts no events.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistorySize {
    /// Events.
    pub length: u32,
    /// Bytes.
    pub bytes: u64,
    /// Whether the server suggests to continue as new.
    pub continue_as_new_suggested: bool,
}

/// A workflow that runs under the test's hands. After an error it takes no more events.
pub struct Driver {
    /// What the next activations tell the workflow of its history; back to nothing when a new run starts.
    pub history: HistorySize,
    factory: Factory,
    workflow: WorkflowInit,
    instance: Instance,
    server: Server,
    recordings: Vec<Recording>,
    broken: bool,
}

impl Driver {
    /// Starts a workflow on Monday, 5 January 2026, 09:00 UTC. Events given here reach it together with its start, as
    /// when they came before a worker had time for it.
    pub fn start<W: WorkflowImplementation>(
        workflow_id: &str,
        task_queue: &str,
        input: Vec<Payload>,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Self, SimulationError>
    where
        <W::Run as WorkflowDefinition>::Input: Send,
    {
        let begin = Utc.with_ymd_and_hms(2026, 1, 5, 9, 0, 0);
        let now = begin.single().unwrap_or_default();
        let workflow = WorkflowInit {
            namespace: "default".to_owned(),
            task_queue: task_queue.to_owned(),
            run_id: run_id(1),
            initialize_workflow: InitializeWorkflow {
                workflow_type: W::name().to_owned(),
                workflow_id: workflow_id.to_owned(),
                arguments: input,
                randomness_seed: 1,
                first_execution_run_id: run_id(1),
                attempt: 1,
                start_time: Some(timestamp(now)),
                ..Default::default()
            },
        };
        let recording = Recording::begin(workflow.clone(), 1);
        let mut driver = Self {
            history: HistorySize::default(),
            factory: factory::<W>(),
            workflow,
            instance: recording.instance(factory::<W>())?,
            server: Server {
                now,
                run: 1,
                ..Server::default()
            },
            recordings: vec![recording],
            broken: false,
        };
        driver.first_task(events)?;
        Ok(driver)
    }

    /// What server and core know: timers, activities, updates, search attributes, memo, time, the outcome.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What each run did, the current one last.
    pub fn recordings(&self) -> &[Recording] {
        &self.recordings
    }

    /// What the Temporal UI shows as the current details.
    pub fn current_details(&self) -> String {
        self.instance.current_details()
    }

    /// Whether the current run has not ended.
    pub fn is_running(&self) -> bool {
        self.server.outcome.is_none()
    }

    /// Lets events reach the workflow together, in one workflow task, and the timers that are due with them (before
    /// them, unless an [`Event::Timer`] names their place). Returns when the workflow rests.
    pub fn deliver(
        &mut self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), SimulationError> {
        if self.broken || !self.is_running() {
            return Err(SimulationError::misuse("the run is over"));
        }
        self.task(Vec::new(), events.into_iter().collect())
    }

    /// Sends an update and answers how it stands when the workflow rests: its handler may still wait.
    pub fn update(
        &mut self,
        id: &str,
        name: &str,
        input: Payload,
    ) -> Result<UpdateAnswer, SimulationError> {
        self.deliver([Event::Update {
            id: id.to_owned(),
            name: name.to_owned(),
            input: vec![input],
        }])?;
        let answer = self.server.answer(id).cloned();
        answer.ok_or_else(|| SimulationError::misuse("the update was never sent"))
    }

    /// Asks the workflow; also after its end. The inner error is the query handler's.
    pub fn query(
        &mut self,
        name: &str,
        arguments: Vec<Payload>,
    ) -> Result<Result<Payload, Failure>, SimulationError> {
        let query = QueryWorkflow {
            query_type: name.to_owned(),
            arguments,
            ..Default::default()
        };
        let mut activation = self.activation(vec![Job::QueryWorkflow(query).into()], true);
        // A query sees the time of the last workflow task.
        let run = self.recordings.last();
        let last = run.and_then(|run| run.activations.last());
        activation.timestamp = last.and_then(|last| last.activation.timestamp);
        let commands = self.run(&activation)?;
        let answer = match &commands[..] {
            [command] => match &command.variant {
                Some(Variant::RespondToQuery(result)) => result.variant.clone(),
                _ => None,
            },
            _ => None,
        };
        match answer {
            Some(query_result::Variant::Succeeded(success)) => {
                Ok(Ok(success.response.unwrap_or_default()))
            }
            Some(query_result::Variant::Failed(failure)) => Ok(Err(failure)),
            None => {
                let error = TaskError::Failed(format!("a query led to {commands:?}"));
                Err(self.place(&activation).failed(error))
            }
        }
    }

    /// Lets time pass while a worker is there: each timer on the way fires at its own time.
    pub fn elapse(&mut self, time: Duration) -> Result<(), SimulationError> {
        let end = self.server.now + time;
        for _ in 0..MOST_STEPS {
            let next = self.server.next_timer().map(|(_, timer)| timer.due);
            let Some(due) = next.filter(|due| *due <= end && self.is_running()) else {
                self.server.now = end;
                return Ok(());
            };
            self.server.now = due.max(self.server.now);
            self.deliver([])?;
        }
        let what = format!("more than {MOST_STEPS} timers fire in {time:?}");
        Err(SimulationError::Endless(what))
    }

    /// Lets time pass while no worker is there: timers that fall due fire with the next [`Driver::deliver`].
    pub fn stall(&mut self, time: Duration) {
        self.server.now += time;
    }

    /// Goes on after continue-as-new: with the input that the last run left, at the same virtual time. Events given
    /// here came between the runs.
    pub fn start_next_run(
        &mut self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), SimulationError> {
        let Some(Outcome::ContinuedAsNew(request)) = self.server.outcome.clone() else {
            let what = "a new run where the last one did not continue as new";
            return Err(SimulationError::misuse(what));
        };
        let last = std::mem::take(&mut self.server);
        let run = last.run + 1;
        self.server = Server {
            now: last.now,
            run,
            updates: last.updates,
            memo: match request.memo.is_empty() {
                true => last.memo,
                false => request.memo.into_iter().collect(),
            },
            search_attributes: match request.search_attributes {
                Some(attributes) => attributes.indexed_fields.into_iter().collect(),
                None => last.search_attributes,
            },
            ..Server::default()
        };
        let fields = |map: &BTreeMap<_, _>| map.clone().into_iter().collect();
        let before = std::mem::replace(&mut self.workflow.run_id, run_id(run));
        let init = &mut self.workflow.initialize_workflow;
        init.arguments = request.arguments;
        init.headers = request.headers;
        init.randomness_seed = run as u64;
        init.start_time = Some(timestamp(last.now));
        init.continued_from_execution_run_id = before;
        init.continued_initiator = ContinueAsNewInitiator::Workflow.into();
        init.memo = Some(Memo {
            fields: fields(&self.server.memo),
        });
        init.search_attributes = Some(SearchAttributes {
            indexed_fields: fields(&self.server.search_attributes),
        });
        self.history = HistorySize::default();
        let recording = Recording::begin(self.workflow.clone(), run);
        self.instance = recording.instance(self.factory)?;
        self.recordings.push(recording);
        self.first_task(events)
    }

    /// Replays every run on fresh instances; the error names the first activation that differs.
    pub fn replay(&self) -> Result<(), SimulationError> {
        for recording in &self.recordings {
            recording.replay(self.factory)?;
        }
        Ok(())
    }

    /// Restarts the worker: the instance is thrown away, and a fresh one replays the run and goes on.
    pub fn restart(&mut self) -> Result<(), SimulationError> {
        if let Some(recording) = self.recordings.last() {
            self.instance = recording.replay(self.factory)?;
        }
        Ok(())
    }

    fn first_task(
        &mut self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), SimulationError> {
        let init = self.workflow.initialize_workflow.clone();
        let jobs = vec![Job::InitializeWorkflow(init).into()];
        self.task(jobs, events.into_iter().collect())
    }

    /// One workflow task: an activation, and those that follow from it at once.
    fn task(
        &mut self,
        mut jobs: Vec<WorkflowActivationJob>,
        events: Vec<Event>,
    ) -> Result<(), SimulationError> {
        // Until the task has ended well.
        self.broken = true;
        for event in self.due_timers(&events).into_iter().chain(events) {
            jobs.extend(self.server.job(event)?.map(WorkflowActivationJob::from));
        }
        jobs.sort_by_key(order);
        for _ in 0..MOST_STEPS {
            if jobs.is_empty() || !self.is_running() {
                self.server.task_ended();
                self.broken = false;
                return Ok(());
            }
            let activation = self.activation(jobs, false);
            let commands = self.run(&activation)?;
            let follow_up = self.server.apply(&commands)?;
            jobs = follow_up.into_iter().map(Into::into).collect();
            let waits = !self.server.timers.is_empty()
                || !self.server.activities.is_empty()
                || self.instance.has_handlers();
            if jobs.is_empty() && self.is_running() && !waits {
                return Err(SimulationError::Stuck(self.place(&activation)));
            }
            if let Some(recording) = self.recordings.last_mut() {
                recording.activations.push(Recorded {
                    activation,
                    commands,
                    details: self.instance.current_details(),
                });
            }
        }
        let place = self.place(&WorkflowActivation::default());
        Err(place.failed(TaskError::Endless))
    }

    /// The timers that fire by themselves, the earliest first.
    fn due_timers(&self, events: &[Event]) -> Vec<Event> {
        let is_named = |seq: &u32| {
            let named =
                |event: &Event| matches!(event, Event::Timer { seq: named } if named == seq);
            events.iter().any(named)
        };
        let timers = self.server.timers.iter();
        let mut due: Vec<_> = timers
            .filter(|(seq, timer)| timer.due <= self.server.now && !is_named(seq))
            .map(|(seq, timer)| (timer.due, *seq))
            .collect();
        due.sort();
        due.into_iter()
            .map(|(_, seq)| Event::Timer { seq })
            .collect()
    }

    fn run(
        &mut self,
        activation: &WorkflowActivation,
    ) -> Result<Vec<WorkflowCommand>, SimulationError> {
        let ran = self.instance.run(activation.clone());
        ran.map_err(|error| self.place(activation).failed(error))
    }

    fn activation(
        &self,
        jobs: Vec<WorkflowActivationJob>,
        is_replaying: bool,
    ) -> WorkflowActivation {
        WorkflowActivation {
            run_id: self.workflow.run_id.clone(),
            timestamp: Some(timestamp(self.server.now)),
            is_replaying,
            history_length: self.history.length,
            history_size_bytes: self.history.bytes,
            continue_as_new_suggested: self.history.continue_as_new_suggested,
            jobs,
            ..Default::default()
        }
    }

    fn place(&self, activation: &WorkflowActivation) -> Place {
        let ran = self
            .recordings
            .last()
            .map_or(0, |last| last.activations.len());
        Place::new(self.server.run, ran + 1, activation)
    }
}

fn run_id(run: usize) -> String {
    Uuid::from_u128(run as u128).to_string()
}

fn timestamp(time: DateTime<Utc>) -> prost_wkt_types::Timestamp {
    prost_wkt_types::Timestamp {
        seconds: time.timestamp(),
        nanos: time.timestamp_subsec_nanos().cast_signed(),
    }
}
