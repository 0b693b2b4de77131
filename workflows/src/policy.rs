//! The limits and deadlines that a ticket runs under. They are data in the workflow's input, so that a change of the
//! configuration never changes a ticket that is already on its way.

use std::ops::AddAssign;

use chrono::{NaiveDate, NaiveTime, Weekday};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// The most people that one gate may name.
pub const MAXIMUM_APPROVERS: usize = 10;

/// The longest time that a gate may wait, in seconds: 90 days.
pub const MAXIMUM_WAIT_SECONDS: u64 = 90 * DAY;

/// How one gate is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePolicy {
    /// Seconds until silence closes the gate; of business hours where there is a calendar.
    pub timeout_seconds: u64,
    /// How many distinct people must approve, from 1.
    #[serde(default = "one")]
    pub approvals: u32,
    /// Who may decide, by email address, at most [`MAXIMUM_APPROVERS`]; nobody named means everybody who may decide at
    /// this installation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Whether whoever filed the ticket may approve.
    #[serde(default = "yes")]
    pub reporter_may_approve: bool,
    /// When people are reminded, in per cent of the time, from 1 to 99 and ascending.
    #[serde(default = "half_and_nearly_all")]
    pub reminders_percent: Vec<u8>,
    /// Which hours count; nothing means all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
}

impl GatePolicy {
    /// One approval of anybody who may decide, within `timeout_seconds` of wall-clock time.
    pub fn seconds(timeout_seconds: u64) -> Self {
        Self {
            timeout_seconds,
            approvals: one(),
            approvers: Vec::new(),
            reporter_may_approve: yes(),
            reminders_percent: half_and_nearly_all(),
            calendar: None,
        }
    }
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn half_and_nearly_all() -> Vec<u8> {
    vec![50, 90]
}

/// The business hours that a gate's time is counted in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// The time zone's IANA name, such as `Europe/Berlin`.
    pub time_zone: String,
    /// The days, such as `Mon`.
    #[serde(default = "monday_to_friday")]
    pub days: Vec<Weekday>,
    /// When the hours begin, as `09:00`.
    #[serde(default = "nine", with = "hour_and_minute")]
    pub from: NaiveTime,
    /// When they end, as `17:00`; later than they begin.
    #[serde(default = "five", with = "hour_and_minute")]
    pub to: NaiveTime,
    /// Days without business, as `2026-12-25`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<NaiveDate>,
}

fn monday_to_friday() -> Vec<Weekday> {
    use Weekday::{Fri, Mon, Thu, Tue, Wed};
    vec![Mon, Tue, Wed, Thu, Fri]
}

const fn at_hour(hour: u32) -> NaiveTime {
    match NaiveTime::from_hms_opt(hour, 0, 0) {
        Some(time) => time,
        None => NaiveTime::MIN,
    }
}

fn nine() -> NaiveTime {
    at_hour(9)
}

fn five() -> NaiveTime {
    at_hour(17)
}

/// Times of day as people write them, `09:00`.
mod hour_and_minute {
    use chrono::NaiveTime;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const FORM: &str = "%H:%M";

    pub fn serialize<S: Serializer>(time: &NaiveTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&time.format(FORM))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NaiveTime, D::Error> {
        let text = String::deserialize(from)?;
        NaiveTime::parse_from_str(&text, FORM)
            .map_err(|_| D::Error::custom(format!("`{text}` is no time of day such as `09:00`")))
    }
}

/// What a ticket may spend over its whole life, every try at a step included. Planning, execution and waiting do not eat
/// each other's: the planner has a part of the money, so that enough is left for the agent; the agent has its wall time;
/// and waiting for people costs nothing but the gates' own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Money, in millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Tokens, input and output together.
    pub tokens: u64,
    /// The part of the money that the planner may spend, in millionths of a US dollar.
    pub planning_cost_micro_usd: u64,
    /// Wall time of the agent for one piece of work, in seconds; waiting for a decision about its scope does not count.
    pub agent_seconds: u64,
    /// Wall time of the agent in all, in seconds.
    pub total_agent_seconds: u64,
    /// How often the agent may repair what QA found.
    pub repairs: u32,
    /// How often the SPEC may be revised.
    pub revisions: u32,
    /// How often changes may be requested on the pull request.
    pub change_rounds: u32,
    /// How often the agent may ask for more scope.
    pub scope_requests: u32,
}

impl Budget {
    /// The same with what an admin added.
    pub fn raised(&self, raise: &BudgetRaise) -> Self {
        Self {
            cost_micro_usd: self.cost_micro_usd.saturating_add(raise.cost_micro_usd),
            tokens: self.tokens.saturating_add(raise.tokens),
            planning_cost_micro_usd: self
                .planning_cost_micro_usd
                .saturating_add(raise.cost_micro_usd),
            agent_seconds: self.agent_seconds.saturating_add(raise.agent_seconds),
            total_agent_seconds: self.total_agent_seconds.saturating_add(raise.agent_seconds),
            repairs: self.repairs.saturating_add(raise.repairs),
            revisions: self.revisions.saturating_add(raise.revisions),
            change_rounds: self.change_rounds.saturating_add(raise.change_rounds),
            scope_requests: self.scope_requests.saturating_add(raise.scope_requests),
        }
    }
}

/// What an admin adds to a ticket's budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetRaise {
    /// Money, in millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Tokens.
    pub tokens: u64,
    /// Wall time of the agent, in seconds.
    pub agent_seconds: u64,
    /// Repairs.
    pub repairs: u32,
    /// Revisions of the SPEC.
    pub revisions: u32,
    /// Rounds of changes on the pull request.
    pub change_rounds: u32,
    /// Requests for more scope.
    pub scope_requests: u32,
}

impl BudgetRaise {
    /// Whether it adds nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for BudgetRaise {
    fn add_assign(&mut self, other: Self) {
        let nothing = Budget {
            cost_micro_usd: 0,
            tokens: 0,
            planning_cost_micro_usd: 0,
            agent_seconds: 0,
            total_agent_seconds: 0,
            repairs: 0,
            revisions: 0,
            change_rounds: 0,
            scope_requests: 0,
        };
        let sum = nothing.raised(self).raised(&other);
        *self = Self {
            cost_micro_usd: sum.cost_micro_usd,
            tokens: sum.tokens,
            agent_seconds: sum.agent_seconds,
            repairs: sum.repairs,
            revisions: sum.revisions,
            change_rounds: sum.change_rounds,
            scope_requests: sum.scope_requests,
        };
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            cost_micro_usd: 5_000_000,
            tokens: 5_000_000,
            planning_cost_micro_usd: 2_000_000,
            agent_seconds: 30 * 60,
            total_agent_seconds: 4 * HOUR,
            repairs: 2,
            revisions: 5,
            change_rounds: 3,
            scope_requests: 5,
        }
    }
}

/// The policy that a ticket runs under: the installation's, as pinned into its input, and from planning on what the
/// repository's `.sallyport.toml` made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstallationPolicy {
    /// Gate 1: 24 hours of silence reject the SPEC.
    pub spec_gate: GatePolicy,
    /// The agent's requests for more scope: 24 hours of silence refuse them.
    pub scope_gate: GatePolicy,
    /// Gate 2: 48 hours of silence close the pull request.
    pub pr_gate: GatePolicy,
    /// Seconds that a parked ticket waits before it is cancelled.
    pub parked_seconds: u64,
    /// Seconds that a closed pull request may be reopened in.
    pub reopen_seconds: u64,
    /// Seconds that the planner's questions wait for answers before the ticket is parked.
    pub questions_seconds: u64,
    /// Seconds of silence after an answer until the planner reads it: people may have more to say.
    pub answer_pause_seconds: u64,
    /// Whether a decision counts that carries no proof of who made it (the stock `temporal` CLI, the Temporal UI).
    pub accept_unproven_decisions: bool,
    /// What the ticket may spend.
    pub budget: Budget,
}

impl Default for InstallationPolicy {
    fn default() -> Self {
        Self {
            spec_gate: GatePolicy::seconds(DAY),
            scope_gate: GatePolicy::seconds(DAY),
            pr_gate: GatePolicy::seconds(2 * DAY),
            parked_seconds: 7 * DAY,
            reopen_seconds: 7 * DAY,
            questions_seconds: 3 * DAY,
            answer_pause_seconds: 120,
            accept_unproven_decisions: false,
            budget: Budget::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_gate_has_the_usual_rules() {
        let gate: GatePolicy = serde_json::from_str(r#"{"timeout_seconds": 60}"#).unwrap();
        assert_eq!(gate, GatePolicy::seconds(60));
    }

    #[test]
    fn hours_are_read_and_written_as_people_write_them() {
        let json = serde_json::json!({
            "time_zone": "Europe/Berlin", "from": "08:30", "to": "16:00", "days": ["Mon", "Sat"], "holidays": ["2026-12-25"],
        });
        let calendar: Calendar = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(calendar.days, [Weekday::Mon, Weekday::Sat]);
        assert_eq!(serde_json::to_value(&calendar).unwrap()["from"], "08:30");
        let mut wrong = json;
        wrong["to"] = "25:00".into();
        let error = serde_json::from_value::<Calendar>(wrong).unwrap_err();
        assert!(error.to_string().contains("25:00"), "{error}");
    }

    #[test]
    fn raises_add_up() {
        let mut raise = BudgetRaise {
            cost_micro_usd: 3,
            repairs: 1,
            ..BudgetRaise::default()
        };
        raise += BudgetRaise {
            cost_micro_usd: 4,
            agent_seconds: 60,
            ..BudgetRaise::default()
        };
        let budget = Budget::default().raised(&raise);
        assert_eq!(budget.cost_micro_usd, 5_000_007);
        assert_eq!(budget.planning_cost_micro_usd, 2_000_007);
        assert_eq!((budget.agent_seconds, budget.repairs), (1860, 3));
        assert_eq!(budget.revisions, Budget::default().revisions);
    }
}
