//! How a step fails: one error type for all activities, which says whether trying again can help.
//!
//! Modules have typed errors of their own where somebody tells them apart; at the edge of an activity each of them
//! becomes a [`StepError`], and that becomes Temporal's application failure with a stable type name.

use std::{fmt, time::Duration};

use sallyport_ledger::{LedgerError, ObjectError};
use sallyport_workflows::{
    failure::{MAXIMUM_MESSAGE, kind},
    text::shorten,
    usage::Spent,
};
use secrecy::{ExposeSecret as _, SecretString};
use temporalio_common::error::ApplicationFailure;

use crate::{git::GitError, mirror::MirrorError, qa::QaError, workspace::WorkspaceError};

/// A failed step.
///
/// It is on purpose no [`std::error::Error`]: then `?` in an activity would turn it into a failure without a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepError {
    kind: &'static str,
    message: String,
    is_final: bool,
    retry_after: Option<Duration>,
    // Boxed: every step's result has room for an error.
    spent: Option<Box<Spent>>,
}

impl StepError {
    /// A failure that trying again does not mend. `kind` is one of [`kind`]'s names.
    pub fn fatal(kind: &'static str, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: readable(&message.to_string()),
            is_final: true,
            retry_after: None,
            spent: None,
        }
    }

    /// A failure that may be gone at the next try.
    pub fn transient(kind: &'static str, message: impl fmt::Display) -> Self {
        Self {
            is_final: false,
            ..Self::fatal(kind, message)
        }
    }

    /// A failure of our own machinery, such as a full disk: may be gone at the next try.
    pub fn step(message: impl fmt::Display) -> Self {
        Self::transient(kind::STEP_FAILED, message)
    }

    /// The same, to be tried again only after `delay`.
    #[must_use]
    pub fn retry_after(self, delay: Option<Duration>) -> Self {
        Self {
            retry_after: delay,
            ..self
        }
    }

    /// The same with what the step spent until it failed, so that it counts all the same: all tries together, since the
    /// workflow only sees the last one's failure.
    #[must_use]
    pub fn spent(self, spent: Spent) -> Self {
        Self {
            spent: Some(Box::new(spent)),
            ..self
        }
    }

    /// The stable name.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What was tried, on what, and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether trying again is useless.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// What the step spent until it failed, as far as it said so.
    pub fn details(&self) -> Option<Spent> {
        self.spent.as_deref().copied()
    }

    /// How long the other side asked us to wait.
    pub fn delay(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

// By way of `anyhow`, since that is what Temporal's activity error converts from; it finds the failure again in there.
impl From<StepError> for anyhow::Error {
    fn from(error: StepError) -> Self {
        let failure = ApplicationFailure::builder(anyhow::anyhow!(error.message))
            .type_name(error.kind.to_owned())
            .non_retryable(error.is_final)
            .maybe_next_retry_delay(error.retry_after)
            .maybe_details(error.spent.map(|spent| *spent))
            .build();
        Self::new(failure)
    }
}

impl From<MirrorError> for StepError {
    fn from(error: MirrorError) -> Self {
        match &error {
            // A folder that is missing now will be missing in a second; a host may be back.
            MirrorError::Unreachable { url, .. }
                if url.starts_with("file:") || url.starts_with('/') =>
            {
                Self::fatal(kind::REPOSITORY_UNAVAILABLE, &error)
            }
            MirrorError::Unreachable { .. } => {
                Self::transient(kind::REPOSITORY_UNAVAILABLE, &error)
            }
            MirrorError::NoBranch { .. } => Self::fatal(kind::REPOSITORY_UNAVAILABLE, &error),
            MirrorError::Missing { .. } => Self::fatal(kind::WORKSPACE_LOST, &error),
            MirrorError::TooLarge { .. } | MirrorError::Git(_) | MirrorError::Io { .. } => {
                Self::step(&error)
            }
        }
    }
}

impl From<WorkspaceError> for StepError {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::Mirror(error) => error.into(),
            WorkspaceError::TooManyFiles { .. } => Self::fatal(kind::AGENT_FAILED, error),
            WorkspaceError::Git(_) | WorkspaceError::File(_) | WorkspaceError::Io { .. } => {
                Self::step(error)
            }
        }
    }
}

impl From<GitError> for StepError {
    fn from(error: GitError) -> Self {
        Self::step(error)
    }
}

impl From<LedgerError> for StepError {
    fn from(error: LedgerError) -> Self {
        // Also what the database refuses is tried again: what cannot be recorded must not go on.
        Self::step(error)
    }
}

impl From<ObjectError> for StepError {
    fn from(error: ObjectError) -> Self {
        if error.is_temporary() {
            Self::step(error)
        } else {
            Self::fatal(kind::STEP_FAILED, error)
        }
    }
}

impl From<QaError> for StepError {
    fn from(error: QaError) -> Self {
        match error {
            QaError::Workspace(error) => error.into(),
            QaError::Setup(error) => error.into(),
            QaError::Git(error) => error.into(),
            QaError::Object(error) => error.into(),
            QaError::Sandbox(_) | QaError::Folder(_) => Self::step(error),
        }
    }
}

/// `text` without credentials in URLs and without anything that looks like a key or a token.
pub fn scrub(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for piece in text.split_inclusive(|letter: char| letter.is_whitespace()) {
        clean.push_str(&without_user_information(piece));
    }
    crate::agent::redact(&clean)
}

fn without_user_information(word: &str) -> String {
    let Some(scheme_end) = word.find("://") else {
        return word.to_owned();
    };
    let rest = &word[scheme_end + 3..];
    let authority_end = rest.find(['/', '?', '#', '\'', '"']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{}://{}", &word[..scheme_end], &rest[at + 1..]),
        None => word.to_owned(),
    }
}

/// `text` without `secret`, word for word.
pub fn without_secret(text: &str, secret: &SecretString) -> String {
    let secret = secret.expose_secret();
    if secret.is_empty() {
        return text.to_owned();
    }
    text.replace(secret, "[secret]")
}

fn readable(message: &str) -> String {
    shorten(&scrub(message), MAXIMUM_MESSAGE)
}

#[cfg(test)]
mod tests {
    use sallyport_workflows::usage::Usage;
    use temporalio_common::{
        data_converters::{
            ActivitySerializationContext, DefaultFailureConverter, FailureConverter as _,
            PayloadConverter, SerializationContextData,
        },
        error::{IncomingError, OutgoingActivityError, OutgoingError},
    };
    use temporalio_sdk::activities::ActivityError;

    use super::*;

    #[test]
    fn an_activity_error_keeps_kind_finality_and_delay() {
        let error = StepError::transient(kind::MODEL_REFUSED, "too many requests")
            .retry_after(Some(Duration::from_secs(7)));
        let ActivityError::Application(failure) = ActivityError::from(error) else {
            panic!("no application failure");
        };
        assert_eq!(failure.type_name(), Some(kind::MODEL_REFUSED));
        assert!(!failure.is_non_retryable());
        assert_eq!(failure.next_retry_delay(), Some(Duration::from_secs(7)));
        assert_eq!(failure.to_string(), "too many requests");

        let error = StepError::fatal(kind::PLAN_INVALID, "no");
        let ActivityError::Application(failure) = ActivityError::from(error) else {
            panic!("no application failure");
        };
        assert!(failure.is_non_retryable());
    }

    /// What the workflow makes of a failure that `error` became, on its way through Temporal.
    fn as_the_workflow_sees_it(error: StepError) -> ApplicationFailure {
        let ActivityError::Application(failure) = ActivityError::from(error) else {
            panic!("no application failure");
        };
        let converter = DefaultFailureConverter::default();
        let payloads = PayloadConverter::default();
        let context = SerializationContextData::Activity(ActivitySerializationContext::new());
        let outgoing = OutgoingError::Activity(OutgoingActivityError::Application(failure));
        let failure = converter.to_failure(outgoing, &payloads, &context);
        match converter.to_error(failure, &payloads, &context) {
            Ok(IncomingError::Application(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_spent_reaches_the_workflow() {
        let spent = Spent {
            usage: Usage {
                requests: 3,
                cost_micro_usd: 70_000,
                ..Usage::default()
            },
            agent_seconds: 42,
        };
        let seen = as_the_workflow_sees_it(StepError::fatal(kind::BUDGET, "no more").spent(spent));
        assert_eq!(seen.details::<Spent>().unwrap(), Some(spent));
        assert_eq!(seen.type_name(), Some(kind::BUDGET));
        let free = as_the_workflow_sees_it(StepError::fatal(kind::BUDGET, "no more"));
        assert_eq!(free.details::<Spent>().unwrap(), None);
    }

    #[test]
    fn messages_carry_no_credentials() {
        for (dirty, clean) in [
            (
                "cloning https://user:token@host/x.git failed",
                "cloning https://host/x.git failed",
            ),
            (
                "'https://user:p@ss@host/x': denied",
                "'https://host/x': denied",
            ),
            ("key sk-ant-REDACTED.", "key [secret]."),
            ("mail a@example.com", "mail a@example.com"),
            ("https://host/@scope/x", "https://host/@scope/x"),
            ("a task-list", "a task-list"),
        ] {
            assert_eq!(scrub(dirty), clean);
        }
        let long = StepError::step("x".repeat(10_000));
        assert_eq!(long.message().chars().count(), MAXIMUM_MESSAGE);
        assert_eq!(without_secret("a hush b", &"hush".into()), "a [secret] b");
    }
}
