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
            let shown = sallyport_workflows::failure::shorten(person, 80);
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
mod tests {
    use sallyport_workflows::policy::Calendar;

    use super::*;

    fn wrong(change: impl FnOnce(&mut InstallationPolicy)) -> (String, Problem) {
        let mut policy = InstallationPolicy::default();
        change(&mut policy);
        let error = check(&policy).unwrap_err();
        (error.key, error.problem)
    }

    fn people(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_default_and_a_full_policy_are_in_order() {
        let mut policy = InstallationPolicy::default();
        assert_eq!(check(&policy), Ok(()));
        let calendar: Calendar = serde_json::from_value(
            serde_json::json!({"time_zone": "Europe/Berlin", "holidays": ["2026-12-25", "2027-01-01"]}),
        )
        .unwrap();
        for gate in [
            &mut policy.spec_gate,
            &mut policy.scope_gate,
            &mut policy.pr_gate,
        ] {
            gate.approvers = people(&["a.b+c@example.com", "B@localhost", "o'c@sub.example.com"]);
            gate.approvals = 3;
            gate.calendar = Some(calendar.clone());
            gate.reminders_percent = vec![1, 50, 99];
            gate.timeout_seconds = MAXIMUM_WAIT_SECONDS;
            gate.reporter_may_approve = false;
        }
        assert_eq!(check(&policy), Ok(()));
        policy.pr_gate.reminders_percent = Vec::new();
        assert_eq!(check(&policy), Ok(()));
    }

    #[test]
    fn times_are_bounded() {
        for seconds in [0, MAXIMUM_WAIT_SECONDS + 1, u64::MAX] {
            let found = wrong(|policy| policy.scope_gate.timeout_seconds = seconds);
            assert_eq!(
                found,
                (
                    "scope_gate.timeout_seconds".into(),
                    Problem::Seconds(seconds)
                )
            );
            let found = wrong(|policy| policy.parked_seconds = seconds);
            assert_eq!(found, ("parked_seconds".into(), Problem::Seconds(seconds)));
            let found = wrong(|policy| policy.reopen_seconds = seconds);
            assert_eq!(found.0, "reopen_seconds");
        }
    }

    #[test]
    fn a_gate_can_be_opened_by_the_people_whom_it_names() {
        let found = wrong(|policy| policy.pr_gate.approvals = 0);
        assert_eq!(found, ("pr_gate.approvals".into(), Problem::NoApprovals));
        let (key, problem) = wrong(|policy| {
            policy.spec_gate.approvers = people(&["a@example.com"]);
            policy.spec_gate.approvals = 2;
        });
        assert_eq!(key, "spec_gate.approvals");
        assert_eq!(
            problem.to_string(),
            "2 people must approve, and 1 of those named in `approvers` may"
        );
        // Everybody may, and there may be many.
        let mut anybody = InstallationPolicy::default();
        anybody.spec_gate.approvals = 7;
        assert_eq!(check(&anybody), Ok(()));
    }

    #[test]
    fn approvers_are_addresses_and_few() {
        for name in [
            "",
            "a",
            "@",
            "a@",
            "@example.com",
            "a b@example.com",
            "a@b@example.com",
            "*",
            "a@exa mple.com",
            "Alice <a@example.com>",
            "a@example.com,b@example.com",
            ".a@example.com",
            "a@example..com",
            "a@example.com\n",
            "ä@example.com",
        ] {
            let (key, problem) =
                wrong(|policy| policy.spec_gate.approvers = people(&["x@example.com", name]));
            assert_eq!(
                (key.as_str(), problem),
                ("spec_gate.approvers[1]", Problem::NoAddress(name.into()))
            );
        }
        let long = format!("{}@example.com", "x".repeat(250));
        let (_, problem) = wrong(|policy| policy.spec_gate.approvers = vec![long]);
        assert!(matches!(problem, Problem::NoAddress(_)));
        let (key, problem) = wrong(|policy| {
            policy.spec_gate.approvers = people(&["a@example.com", "A@Example.com"]);
        });
        assert_eq!(key, "spec_gate.approvers[1]");
        assert_eq!(problem, Problem::NamedTwice("A@Example.com".into()));
        let many: Vec<String> = (0..11).map(|n| format!("p{n}@example.com")).collect();
        let found = wrong(|policy| policy.spec_gate.approvers = many.clone());
        assert_eq!(
            found,
            ("spec_gate.approvers".into(), Problem::TooManyApprovers(11))
        );
        let mut ten = InstallationPolicy::default();
        ten.spec_gate.approvers = many[..10].to_vec();
        assert_eq!(check(&ten), Ok(()));
    }

    #[test]
    fn reminders_ascend_within_the_time() {
        for (percents, index, problem) in [
            (vec![0], 0, Problem::Percent(0)),
            (vec![50, 100], 1, Problem::Percent(100)),
            (
                vec![50, 50],
                1,
                Problem::Descending {
                    earlier: 50,
                    later: 50,
                },
            ),
            (
                vec![90, 50],
                1,
                Problem::Descending {
                    earlier: 90,
                    later: 50,
                },
            ),
        ] {
            let found = wrong(|policy| policy.pr_gate.reminders_percent = percents);
            assert_eq!(
                found,
                (format!("pr_gate.reminders_percent[{index}]"), problem)
            );
        }
        let found = wrong(|policy| policy.pr_gate.reminders_percent = vec![1, 2, 3, 4, 5, 6]);
        assert_eq!(found.1, Problem::TooManyReminders(6));
    }

    #[test]
    fn a_calendar_is_checked_with_its_gate() {
        let found = wrong(|policy| {
            policy.scope_gate.calendar =
                serde_json::from_value(serde_json::json!({"time_zone": "Mars"})).unwrap();
        });
        assert_eq!(found.0, "scope_gate.calendar.time_zone");
        let error = Problem::from(CalendarProblem::UnknownZone("Mars".into())).at(found.0);
        assert_eq!(
            error.to_string(),
            "`policy.scope_gate.calendar.time_zone`: `Mars` is no time zone; use an IANA name such as Europe/Berlin"
        );
        let (key, problem) = wrong(|policy| {
            policy.scope_gate.calendar = serde_json::from_value(
                serde_json::json!({"time_zone": "UTC", "days": ["Sun"], "from": "09:00", "to": "09:01"}),
            )
            .unwrap();
        });
        assert_eq!(key, "scope_gate.calendar");
        assert!(
            matches!(problem, Problem::Calendar(CalendarProblem::TooRare { .. })),
            "{problem}"
        );
    }

    #[test]
    fn a_policy_stays_small() {
        let (key, problem) = wrong(|policy| {
            let name = |number| format!("{}{number}@example.com", "x".repeat(200));
            policy.spec_gate.approvers = (0..10).map(name).collect();
        });
        assert!(matches!(problem, Problem::TooLarge(2049..)), "{problem}");
        assert_eq!(key, "");
        let error = problem.at(key);
        assert!(
            error.to_string().starts_with("`policy`: it has "),
            "{error}"
        );
    }

    #[test]
    fn a_reporter_who_may_not_approve_does_not_count() {
        let rules = GatePolicy {
            approvers: people(&["a@example.com", "B@example.com"]),
            approvals: 2,
            reporter_may_approve: false,
            ..GatePolicy::seconds(60)
        };
        for other in ["c@example.com", ""] {
            assert_eq!(check_reporter(Gate::Pr, &rules, other), Ok(()));
        }
        let error = check_reporter(Gate::Pr, &rules, "b@example.com").unwrap_err();
        assert_eq!(error.key, "pr_gate.approvals");
        assert!(
            error.to_string().contains("1 of those named")
                && error.to_string().contains("b@example.com filed the ticket"),
            "{error}"
        );
        for better in [
            GatePolicy {
                approvals: 1,
                ..rules.clone()
            },
            GatePolicy {
                reporter_may_approve: true,
                ..rules.clone()
            },
            GatePolicy {
                approvers: Vec::new(),
                ..rules
            },
        ] {
            assert_eq!(check_reporter(Gate::Pr, &better, "b@example.com"), Ok(()));
        }
    }
}
