//! What a Temporal server and the SDK's core know of one workflow: pending timers and activities, updates and their
//! answers, search attributes, memo, the outcome. [`Server::apply`] takes the workflow's commands in;
//! [`Server::job`] makes an event into a job for the workflow, and refuses what a server could never send.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use temporalio_common::protos::{
    coresdk::{
        workflow_activation::{
            CancelWorkflow, DoUpdate, FireTimer, SignalWorkflow,
            workflow_activation_job::Variant as Job,
        },
        workflow_commands::{
            ActivityCancellationType, ContinueAsNewWorkflowExecution, UpdateResponse,
            WorkflowCommand, update_response::Response, workflow_command::Variant,
        },
    },
    temporal::api::{
        common::v1::{Payload, Payloads, RetryPolicy},
        enums::v1::TimeoutType,
        failure::v1::Failure,
    },
};

use crate::{
    error::SimulationError,
    events::{ActivityOutcome, Event, value},
};

/// A timer that has not fired.
#[derive(Clone, Debug)]
pub struct Timer {
    /// When it fires.
    pub due: DateTime<Utc>,
    /// The line that the Temporal UI shows.
    pub summary: String,
}

/// An activity that has no result yet.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The activity's type.
    pub name: String,
    /// Its input.
    pub input: Vec<Payload>,
    /// Where it is scheduled.
    pub task_queue: String,
    /// The line that the Temporal UI shows.
    pub summary: String,
    /// How often it is tried, and which errors are final. `maximum_attempts` 0 is for ever: only a final error, or the
    /// time from schedule to close, can fail it.
    pub retries: RetryPolicy,
    /// Whether it fails when no worker takes it for a while.
    pub must_start: bool,
    /// What a cancellation by the workflow does.
    pub cancellation: ActivityCancellationType,
    /// Whether the workflow cancelled it and waits for what becomes of it (`WaitCancellationCompleted`).
    pub cancel_requested: bool,
    /// Whether the task that scheduled it has ended. One that is cancelled before never reaches a worker.
    sent: bool,
}

/// An update that a client sent, and its answer so far.
#[derive(Clone, Debug)]
pub struct Update {
    /// The id that the client made.
    pub id: String,
    /// The run it was sent to, from 1.
    pub run: usize,
    /// The answer.
    pub answer: UpdateAnswer,
    protocol_instance_id: String,
}

/// What a client hears of its update.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateAnswer {
    /// The validator refused it; the history does not have it.
    Rejected(Box<Failure>),
    /// Its handler runs.
    Accepted,
    /// The handler's result.
    Completed(Payload),
    /// The handler failed.
    Failed(Box<Failure>),
    /// The run ended before the handler did: the client gets an error and never learns the outcome.
    Lost,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With a result.
    Completed(Payload),
    /// With a failure.
    Failed(Box<Failure>),
    /// As cancelled, with details.
    Cancelled(Option<Payloads>),
    /// It goes on in a new run: [`crate::driver::Driver::start_next_run`].
    ContinuedAsNew(Box<ContinueAsNewWorkflowExecution>),
}

/// One workflow, as the server and the SDK's core see it.
#[derive(Debug, Default)]
pub struct Server {
    /// The virtual time.
    pub now: DateTime<Utc>,
    /// The current run, from 1.
    pub run: usize,
    /// The timers that have not fired, by sequence number. They stay when the run ends.
    pub timers: BTreeMap<u32, Timer>,
    /// The activities without a result, by sequence number: the order in which they were scheduled. They stay when the
    /// run ends: nobody waited for them.
    pub activities: BTreeMap<u32, Activity>,
    /// All updates in the order in which they came, also those of earlier runs.
    pub updates: Vec<Update>,
    /// The search attributes.
    pub search_attributes: BTreeMap<String, Payload>,
    /// The memo.
    pub memo: BTreeMap<String, Payload>,
    /// The patches that this run is marked with.
    pub patches: BTreeSet<String>,
    /// Whether somebody cancelled the workflow.
    pub cancelled: bool,
    /// How the run ended.
    pub outcome: Option<Outcome>,
}

impl Server {
    /// The answer to the latest update of this id.
    pub fn answer(&self, update_id: &str) -> Option<&UpdateAnswer> {
        let mut latest = self.updates.iter().rev();
        let update = latest.find(|update| update.id == update_id)?;
        Some(&update.answer)
    }

    /// The timer that fires next.
    pub fn next_timer(&self) -> Option<(u32, &Timer)> {
        let timers = self.timers.iter().map(|(seq, timer)| (*seq, timer));
        timers.min_by_key(|(seq, timer)| (timer.due, *seq))
    }

    /// The job that tells the workflow of an event; nothing where a server would not send one.
    pub fn job(&mut self, event: Event) -> Result<Option<Job>, SimulationError> {
        match event {
            Event::Signal { name, input } => Ok(Some(Job::SignalWorkflow(SignalWorkflow {
                signal_name: name,
                input,
                ..Default::default()
            }))),
            Event::Update { id, name, input } => Ok(self.update(id, name, input)),
            Event::Cancel { reason } => {
                let first = !std::mem::replace(&mut self.cancelled, true);
                Ok(first.then_some(Job::CancelWorkflow(CancelWorkflow { reason })))
            }
            Event::Timer { seq } => {
                let timer = self.timers.remove(&seq);
                match timer.filter(|timer| timer.due <= self.now) {
                    Some(_) => Ok(Some(Job::FireTimer(FireTimer { seq }))),
                    None => Err(SimulationError::misuse(format!("timer {seq} is not due"))),
                }
            }
            Event::Activity { seq, outcome } => {
                let Some(activity) = self.activities.remove(&seq) else {
                    let what = format!("activity {seq} is not pending");
                    return Err(SimulationError::misuse(what));
                };
                activity.check(&outcome)?;
                Ok(Some(outcome.job(seq, &activity.name)))
            }
        }
    }

    /// Takes the commands of one activation in. Answers with the jobs that follow at once, in the same workflow task.
    pub fn apply(&mut self, commands: &[WorkflowCommand]) -> Result<Vec<Job>, SimulationError> {
        let mut follow_up = Vec::new();
        for command in commands {
            let Some(variant) = command.variant.clone() else {
                continue;
            };
            match variant {
                Variant::StartTimer(start) => {
                    let wait = start.start_to_fire_timeout.unwrap_or_default();
                    let wait = TimeDelta::new(wait.seconds, wait.nanos.unsigned_abs());
                    let timer = Timer {
                        due: self.now + wait.unwrap_or_default(),
                        summary: summary(command),
                    };
                    self.timers.insert(start.seq, timer);
                }
                // The SDK has told the workflow already.
                Variant::CancelTimer(cancel) => {
                    self.timers.remove(&cancel.seq);
                }
                Variant::ScheduleActivity(schedule) => {
                    let activity = Activity {
                        cancellation: schedule.cancellation_type(),
                        name: schedule.activity_type,
                        input: schedule.arguments,
                        task_queue: schedule.task_queue,
                        summary: summary(command),
                        must_start: schedule.schedule_to_start_timeout.is_some(),
                        retries: schedule.retry_policy.unwrap_or_default(),
                        cancel_requested: false,
                        sent: false,
                    };
                    self.activities.insert(schedule.seq, activity);
                }
                Variant::RequestCancelActivity(cancel) => {
                    follow_up.extend(self.cancel_activity(cancel.seq));
                }
                Variant::UpsertWorkflowSearchAttributes(upsert) => {
                    let fields = upsert.search_attributes.unwrap_or_default();
                    merge(&mut self.search_attributes, fields.indexed_fields);
                }
                Variant::ModifyWorkflowProperties(modify) => {
                    merge(
                        &mut self.memo,
                        modify.upserted_memo.unwrap_or_default().fields,
                    );
                }
                Variant::SetPatchMarker(marker) => {
                    self.patches.insert(marker.patch_id);
                }
                Variant::UpdateResponse(response) => self.answered(response),
                Variant::CompleteWorkflowExecution(end) => {
                    self.end(Outcome::Completed(end.result.unwrap_or_default()));
                }
                Variant::FailWorkflowExecution(end) => {
                    self.end(Outcome::Failed(Box::new(end.failure.unwrap_or_default())));
                }
                Variant::CancelWorkflowExecution(end) => self.end(Outcome::Cancelled(end.details)),
                Variant::ContinueAsNewWorkflowExecution(end) => {
                    self.end(Outcome::ContinuedAsNew(Box::new(end)));
                }
                other => return Err(SimulationError::Unsupported(other.to_string())),
            }
        }
        Ok(follow_up)
    }

    /// The workflow task has ended: what it scheduled is on its way.
    pub fn task_ended(&mut self) {
        for activity in self.activities.values_mut() {
            activity.sent = true;
        }
    }

    fn update(&mut self, id: String, name: String, input: Vec<Payload>) -> Option<Job> {
        let known = self.updates.iter().any(|update| {
            let refused = matches!(update.answer, UpdateAnswer::Rejected(_));
            update.run == self.run && update.id == id && !refused
        });
        if known {
            return None;
        }
        let protocol_instance_id = format!("{id}/{}", self.updates.len());
        self.updates.push(Update {
            id: id.clone(),
            run: self.run,
            // Until the workflow has answered, which it does in the same activation.
            answer: UpdateAnswer::Lost,
            protocol_instance_id: protocol_instance_id.clone(),
        });
        Some(Job::DoUpdate(DoUpdate {
            id,
            protocol_instance_id,
            name,
            input,
            run_validator: true,
            ..Default::default()
        }))
    }

    fn answered(&mut self, said: UpdateResponse) {
        let mut updates = self.updates.iter_mut();
        let update =
            updates.find(|update| update.protocol_instance_id == said.protocol_instance_id);
        let (Some(update), Some(response)) = (update, said.response) else {
            return;
        };
        update.answer = match response {
            Response::Accepted(()) => UpdateAnswer::Accepted,
            Response::Completed(result) => UpdateAnswer::Completed(result),
            // The protocol has one word for the validator's no and the handler's failure.
            Response::Rejected(why) if update.answer == UpdateAnswer::Accepted => {
                UpdateAnswer::Failed(Box::new(why))
            }
            Response::Rejected(why) => UpdateAnswer::Rejected(Box::new(why)),
        };
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        for update in &mut self.updates {
            if update.answer == UpdateAnswer::Accepted {
                update.answer = UpdateAnswer::Lost;
            }
        }
    }

    /// As core does: one that was never sent is dropped; one that the workflow does not wait for is reported as
    /// cancelled at once; for one that it waits for the outcome comes later.
    fn cancel_activity(&mut self, seq: u32) -> Option<Job> {
        let activity = self.activities.get_mut(&seq)?;
        let waits = ActivityCancellationType::WaitCancellationCompleted;
        if activity.sent && activity.cancellation == waits {
            activity.cancel_requested = true;
            return None;
        }
        let activity = self.activities.remove(&seq)?;
        Some(ActivityOutcome::Cancelled.job(seq, &activity.name))
    }
}

impl Activity {
    /// Whether a server could report this outcome.
    fn check(&self, outcome: &ActivityOutcome) -> Result<(), SimulationError> {
        let for_ever = self.retries.maximum_attempts == 0 && !self.cancel_requested;
        let why = match outcome {
            ActivityOutcome::Cancelled if !self.cancel_requested => "was not cancelled",
            ActivityOutcome::Failed(failure) if for_ever && !self.is_final(failure) => {
                "is tried for ever: only a final failure can end it"
            }
            ActivityOutcome::TimedOut(TimeoutType::StartToClose | TimeoutType::Heartbeat)
                if for_ever =>
            {
                "is tried for ever: a try that takes too long does not end it"
            }
            ActivityOutcome::TimedOut(TimeoutType::ScheduleToStart) if !self.must_start => {
                "waits for a worker as long as it takes"
            }
            _ => return Ok(()),
        };
        Err(SimulationError::misuse(format!(
            "activity {} {why}",
            self.name
        )))
    }

    fn is_final(&self, failure: &Failure) -> bool {
        failure.maybe_application_failure().is_some_and(|info| {
            info.non_retryable
                || self
                    .retries
                    .non_retryable_error_types
                    .contains(&info.r#type)
        })
    }
}

fn summary(command: &WorkflowCommand) -> String {
    let metadata = command.user_metadata.as_ref();
    let summary = metadata.and_then(|metadata| metadata.summary.as_ref());
    summary
        .and_then(|summary| value(summary).ok())
        .unwrap_or_default()
}

/// Takes changes in; a payload without data removes its key.
fn merge(
    into: &mut BTreeMap<String, Payload>,
    changes: impl IntoIterator<Item = (String, Payload)>,
) {
    for (key, payload) in changes {
        match payload.data.is_empty() {
            true => into.remove(&key),
            false => into.insert(key, payload),
        };
    }
}
