//! What happens to a workflow from outside, as the jobs of an activation; and the payloads and failures they carry.

use serde::{Serialize, de::DeserializeOwned};
use temporalio_common::protos::{
    coresdk::{
        activity_result::{
            ActivityResolution, Cancellation, Failure as FailedActivity, Success,
            activity_resolution::Status,
        },
        workflow_activation::{ResolveActivity, workflow_activation_job::Variant as Job},
    },
    temporal::api::{
        common::v1::{ActivityType, Payload, Payloads},
        enums::v1::{RetryState, TimeoutType},
        failure::v1::{
            ActivityFailureInfo, ApplicationFailureInfo, CanceledFailureInfo, Failure,
            TimeoutFailureInfo, failure::FailureInfo,
        },
    },
};

use crate::error::SimulationError;

/// Something that happens to a workflow.
#[derive(Clone, Debug)]
pub enum Event {
    /// A signal arrives.
    Signal { name: String, input: Vec<Payload> },
    /// An update arrives. As on a server, one with the id of an update that this run accepted is not sent again.
    Update {
        id: String,
        name: String,
        input: Vec<Payload>,
    },
    /// The workflow is cancelled. As on a server, a second time changes nothing.
    Cancel { reason: String },
    /// A due timer fires. Only needed to choose its place among other events: due timers fire by themselves.
    Timer { seq: u32 },
    /// An activity ends.
    Activity { seq: u32, outcome: ActivityOutcome },
}

/// What an activity came to, after all its tries.
#[derive(Clone, Debug)]
pub enum ActivityOutcome {
    /// It has a result.
    Completed(Payload),
    /// It failed with an error of its own.
    Failed(Box<Failure>),
    /// It ran out of time.
    TimedOut(TimeoutType),
    /// It heeded the workflow's cancellation.
    Cancelled,
}

impl Event {
    /// A signal with this argument.
    pub fn signal(name: &str, input: &impl Serialize) -> Self {
        Self::Signal {
            name: name.to_owned(),
            input: vec![json(input)],
        }
    }

    /// An update with this argument; the client makes the id.
    pub fn update(id: &str, name: &str, input: &impl Serialize) -> Self {
        Self::Update {
            id: id.to_owned(),
            name: name.to_owned(),
            input: vec![json(input)],
        }
    }

    /// A cancellation.
    pub fn cancel(reason: &str) -> Self {
        Self::Cancel {
            reason: reason.to_owned(),
        }
    }

    /// The end of an activity.
    pub fn ended(seq: u32, outcome: ActivityOutcome) -> Self {
        Self::Activity { seq, outcome }
    }
}

impl ActivityOutcome {
    /// A result, as JSON.
    pub fn completed(result: &impl Serialize) -> Self {
        Self::Completed(json(result))
    }

    /// A failure as `ApplicationFailure` makes it: a type that code can tell apart, a message, and whether it is final
    /// (`non_retryable`).
    pub fn failed(kind: &str, message: &str, is_final: bool) -> Self {
        let info = ApplicationFailureInfo {
            r#type: kind.to_owned(),
            non_retryable: is_final,
            ..Default::default()
        };
        let info = FailureInfo::ApplicationFailureInfo(info);
        Self::Failed(Box::new(failure(message, info)))
    }

    /// The same with details, as JSON.
    pub fn failed_with(
        kind: &str,
        message: &str,
        is_final: bool,
        details: &impl Serialize,
    ) -> Self {
        let info = ApplicationFailureInfo {
            r#type: kind.to_owned(),
            non_retryable: is_final,
            details: Some(Payloads {
                payloads: vec![json(details)],
            }),
            ..Default::default()
        };
        let info = FailureInfo::ApplicationFailureInfo(info);
        Self::Failed(Box::new(failure(message, info)))
    }

    /// The job that tells the workflow, with failures wrapped as the SDK's core wraps them.
    pub fn job(self, seq: u32, activity: &str) -> Job {
        let wrapped = |message: &str, cause: Failure, retry_state: RetryState| {
            let info = ActivityFailureInfo {
                activity_type: Some(ActivityType {
                    name: activity.to_owned(),
                }),
                activity_id: seq.to_string(),
                retry_state: retry_state.into(),
                ..Default::default()
            };
            let failed = failure(message, FailureInfo::ActivityFailureInfo(info));
            let cause = Some(Box::new(cause));
            Some(Failure { cause, ..failed })
        };
        let failed = |failure| {
            Status::Failed(FailedActivity {
                failure,
                ..Default::default()
            })
        };
        let status = match self {
            Self::Completed(result) => Status::Completed(Success {
                result: Some(result),
            }),
            Self::Failed(cause) => {
                let info = cause.maybe_application_failure();
                let retries = match info.is_some_and(|info| info.non_retryable) {
                    true => RetryState::NonRetryableFailure,
                    false => RetryState::MaximumAttemptsReached,
                };
                failed(wrapped("Activity task failed", *cause, retries))
            }
            Self::TimedOut(timeout) => {
                let info = TimeoutFailureInfo {
                    timeout_type: timeout.into(),
                    ..Default::default()
                };
                let cause = failure("activity timeout", FailureInfo::TimeoutFailureInfo(info));
                failed(wrapped(
                    "Activity task timed out",
                    cause,
                    RetryState::Timeout,
                ))
            }
            Self::Cancelled => {
                let info = CanceledFailureInfo::default();
                let cause = failure("", FailureInfo::CanceledFailureInfo(info));
                let retries = RetryState::CancelRequested;
                Status::Cancelled(Cancellation {
                    failure: wrapped("Activity cancelled", cause, retries),
                })
            }
        };
        Job::ResolveActivity(ResolveActivity {
            seq,
            result: Some(ActivityResolution {
                status: Some(status),
            }),
            ..Default::default()
        })
    }
}

fn failure(message: &str, info: FailureInfo) -> Failure {
    Failure {
        message: message.to_owned(),
        failure_info: Some(info),
        ..Default::default()
    }
}

/// A value as the JSON payload that the SDK's data converter makes of it.
pub fn json(value: &impl Serialize) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: serde_json::to_vec(value).expect("test values are JSON"),
        ..Default::default()
    }
}

/// The value in a JSON payload; one of no bytes is `null`.
pub fn value<T: DeserializeOwned>(payload: &Payload) -> Result<T, SimulationError> {
    let data: &[u8] = if payload.data.is_empty() {
        b"null"
    } else {
        &payload.data
    };
    serde_json::from_slice(data).map_err(|error| {
        let text = String::from_utf8_lossy(data);
        SimulationError::misuse(format!("{text} is of another type: {error}"))
    })
}
