//! Whether a policy can be kept: what the installation's configuration is checked with at its start, what a repository's
//! `.sallyport.toml` is checked with at planning, and what a gate is checked with when it opens. Pure.

use sallyport_workflows::{
    decision::MAXIMUM_PERSON_BYTES,
    gate::Gate,
    policy::{GatePolicy, InstallationPolicy, MAXIMUM_APPROVERS, MAXIMUM_WAIT_SECONDS},
};

use crate::calendar::{self, CalendarProblem};

/// The most reminders that one gate may send.
pub const MAXIMUM_REMINDERS: usize = 5;

/// The largest policy, as JSON in bytes: it is in a ticket's history several times.
pub const MAXIMUM_POLICY_BYTES: usize = 2048;

/// A policy that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}`: {problem}", path(key))]
pub struct PolicyError {
    /// The key in the section `[policy]`, such as `spec_gate.approvers[1]`; empty where it is about all of the section.
    pub key: String,
    /// What is wrong with its value.
    pub problem: Problem,
}

fn path(key: &str) -> String {
    join("policy", key)
}

/// What is wrong with a value of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A wait that is none or too long.
    #[error(
        "{0} is no time that people get: at least 1 second, at most {MAXIMUM_WAIT_SECONDS} (90 days)"
    )]
    Seconds(u64),
    /// Nobody would have to approve.
    #[error("at least 1 person must approve")]
    NoApprovals,
    /// More approvals than people who may approve.
    #[error("{needed} people must approve, and {able} of those named in `approvers` may{because}")]
    TooFewApprovers {
        /// How many must approve.
        needed: u32,
        /// How many may.
        able: usize,
        /// Why some may not, or nothing.
        because: String,
    },
    /// More people than are taken.
    #[error("it names {0} people; at most {MAXIMUM_APPROVERS} are taken")]
    TooManyApprovers(usize),
    /// A list of nobody.
    #[error("it names nobody, so nobody could approve; leave it out to name no one in particular")]
    NobodyNamed,
    /// Nobody is left whom both policies name.
    #[error(
        "nobody whom it names may decide at this installation, which names {0}; name at least one of them"
    )]
    NobodyInBoth(String),
    /// Not a person.
    #[error("`{0}` is no email address")]
    NoAddress(String),
    /// The same person again.
    #[error("`{0}` is named twice")]
    NamedTwice(String),
    /// A reminder at no time of the wait.
    #[error("{0} is no reminder's part of the time: at least 1 per cent, at most 99")]
    Percent(u8),
    /// Reminders out of order.
    #[error(
        "{later} comes after {earlier}; reminders must be in order, each later than the one before"
    )]
    Descending {
        /// The one in front.
        earlier: u8,
        /// The one behind it, which is not later.
        later: u8,
    },
    /// More reminders than are sent.
    #[error("it asks for {0} reminders; at most {MAXIMUM_REMINDERS} are sent")]
    TooManyReminders(usize),
    /// The business hours are none.
    #[error(transparent)]
    Calendar(#[from] CalendarProblem),
    /// Too much text in all.
    #[error(
        "it has {0} bytes as JSON and at most {MAXIMUM_POLICY_BYTES} are taken; name fewer people or holidays"
    )]
    TooLarge(usize),
}

impl Problem {
    pub(crate) fn at(self, key: impl Into<String>) -> PolicyError {
        PolicyError {
            key: key.into(),
            problem: self,
        }
    }
}

/// Checks a whole policy.
pub fn check(policy: &InstallationPolicy) -> Result<(), PolicyError> {
    for (gate, rules) in [
        (Gate::Spec, &policy.spec_gate),
        (Gate::Scope, &policy.scope_gate),
        (Gate::Pr, &policy.pr_gate),
    ] {
        check_gate(gate, rules)?;
    }
    check_seconds(policy.parked_seconds, "parked_seconds")?;
    check_seconds(policy.reopen_seconds, "reopen_seconds")?;
    check_seconds(policy.questions_seconds, "questions_seconds")?;
    check_seconds(policy.answer_pause_seconds, "answer_pause_seconds")?;
    // What has a fixed form always has a JSON form.
    let bytes = serde_json::to_vec(policy).map_or(0, |json| json.len());
    if bytes > MAXIMUM_POLICY_BYTES {
        return Err(Problem::TooLarge(bytes).at(""));
    }
    Ok(())
}

/// Checks how one gate is decided, whoever filed the ticket.
pub fn check_gate(gate: Gate, rules: &GatePolicy) -> Result<(), PolicyError> {
    let key = |name: &str| join(section(gate), name);
    check_seconds(rules.timeout_seconds, &key("timeout_seconds"))?;
    check_approvers(&rules.approvers, &key("approvers"))?;
    let needed = rules.approvals;
    if needed == 0 {
        return Err(Problem::NoApprovals.at(key("approvals")));
    }
    let able = rules.approvers.len();
    if able > 0 && (needed as usize) > able {
        let because = String::new();
        let problem = Problem::TooFewApprovers {
            needed,
            able,
            because,
        };
        return Err(problem.at(key("approvals")));
    }
    check_reminders(&rules.reminders_percent, &key("reminders_percent"))?;
    if let Some(calendar) = &rules.calendar {
        calendar::check(calendar, rules.timeout_seconds).map_err(|problem| {
            let place = join(&key("calendar"), problem.key());
            Problem::from(problem).at(place)
        })?;
    }
    Ok(())
}

/// Checks that enough people may approve what `reporter` asked for. Empty: nobody knows who that is.
pub fn check_reporter(gate: Gate, rules: &GatePolicy, reporter: &str) -> Result<(), PolicyError> {
    if rules.reporter_may_approve || rules.approvers.is_empty() {
        return Ok(());
    }
    let able = rules
        .approvers
        .iter()
        .filter(|person| !is_same(person, reporter))
        .count();
    if rules.approvals as usize <= able {
        return Ok(());
    }
    let problem = Problem::TooFewApprovers {
        needed: rules.approvals,
        able,
        because: format!(
            ": {reporter} filed the ticket, and `reporter_may_approve` is false; name more people and retry from PLANNING"
        ),
    };
    Err(problem.at(join(section(gate), "approvals")))
}

/// Checks the people whom a gate names.
pub(crate) fn check_approvers(approvers: &[String], key: &str) -> Result<(), PolicyError> {
    if approvers.len() > MAXIMUM_APPROVERS {
        return Err(Problem::TooManyApprovers(approvers.len()).at(key));
    }
    for (index, person) in approvers.iter().enumerate() {
        let at = || format!("{key}[{index}]");
        if !is_address(person) {
            let shown = sallyport_workflows::text::shorten(person, 80);
            return Err(Problem::NoAddress(shown).at(at()));
        }
        if approvers[..index]
            .iter()
            .any(|other| is_same(other, person))
        {
            return Err(Problem::NamedTwice(person.clone()).at(at()));
        }
    }
    Ok(())
}

/// Whether two addresses are one person's: they are the same in any case.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one.trim().eq_ignore_ascii_case(other.trim())
}

/// The key of a gate's rules in the section `[policy]`.
pub(crate) const fn section(gate: Gate) -> &'static str {
    match gate {
        Gate::Spec => "spec_gate",
        Gate::Scope => "scope_gate",
        Gate::Pr => "pr_gate",
    }
}

fn check_seconds(seconds: u64, key: &str) -> Result<(), PolicyError> {
    match seconds {
        1..=MAXIMUM_WAIT_SECONDS => Ok(()),
        _ => Err(Problem::Seconds(seconds).at(key)),
    }
}

fn check_reminders(percents: &[u8], key: &str) -> Result<(), PolicyError> {
    if percents.len() > MAXIMUM_REMINDERS {
        return Err(Problem::TooManyReminders(percents.len()).at(key));
    }
    let mut earlier = 0;
    for (index, percent) in percents.iter().copied().enumerate() {
        let problem = match percent {
            0 | 100.. => Problem::Percent(percent),
            later if later <= earlier => Problem::Descending { earlier, later },
            _ => {
                earlier = percent;
                continue;
            }
        };
        return Err(problem.at(format!("{key}[{index}]")));
    }
    Ok(())
}

/// Whether this can be an email address: what is before and behind its one `@` has only what addresses are made of
/// without quoting.
fn is_address(text: &str) -> bool {
    let plain = |part: &str, more: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.contains("..")
            && part
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    text.len() <= MAXIMUM_PERSON_BYTES
        && text
            .split_once('@')
            .is_some_and(|(name, host)| plain(name, ".!#$%&'*+/=?^_`{|}~-") && plain(host, ".-"))
}

/// A key below another; either may be empty.
fn join(parent: &str, key: &str) -> String {
    match (parent, key) {
        ("", key) => key.to_owned(),
        (parent, "") => parent.to_owned(),
        (parent, key) => format!("{parent}.{key}"),
    }
}

#[cfg(test)]
#[path = "policy_check_tests.rs"]
mod tests;
