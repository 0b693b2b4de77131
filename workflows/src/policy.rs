//! The limits and deadlines that a ticket runs under. They are data in the workflow's input, so that a change of the
//! configuration never changes a ticket that is already on its way.

use serde::{Deserialize, Serialize};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// How one gate is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePolicy {
    /// Seconds until silence closes the gate.
    pub timeout_seconds: u64,
    /// How many distinct people must approve, from 1.
    #[serde(default = "one")]
    pub approvals: u32,
}

fn one() -> u32 {
    1
}

/// What a ticket may spend over its whole life, every attempt at a step included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Money, in millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Tokens, input and output together.
    pub tokens: u64,
    /// Wall time of one agent run, in seconds.
    pub agent_seconds: u64,
    /// How often the agent may repair what QA found.
    pub repairs: u32,
    /// How often the SPEC may be revised.
    pub revisions: u32,
    /// How often changes may be requested on the pull request.
    pub change_rounds: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            cost_micro_usd: 5_000_000,
            tokens: 5_000_000,
            agent_seconds: 30 * 60,
            repairs: 2,
            revisions: 5,
            change_rounds: 3,
        }
    }
}

/// The installation's policy, as pinned into a ticket's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstallationPolicy {
    /// Gate 1: 24 hours of silence reject the SPEC.
    pub spec_gate: GatePolicy,
    /// Gate 2: 48 hours of silence close the pull request.
    pub pr_gate: GatePolicy,
    /// Seconds that a parked ticket waits before it is cancelled.
    pub parked_seconds: u64,
    /// Seconds that a closed pull request may be reopened in.
    pub reopen_seconds: u64,
    /// Whether a decision counts that carries no proof of who made it (the stock `temporal` CLI, the Temporal UI).
    pub accept_unproven_decisions: bool,
    /// What the ticket may spend.
    pub budget: Budget,
}

impl Default for InstallationPolicy {
    fn default() -> Self {
        Self {
            spec_gate: GatePolicy {
                timeout_seconds: DAY,
                approvals: 1,
            },
            pr_gate: GatePolicy {
                timeout_seconds: 2 * DAY,
                approvals: 1,
            },
            parked_seconds: 7 * DAY,
            reopen_seconds: 7 * DAY,
            accept_unproven_decisions: false,
            budget: Budget::default(),
        }
    }
}
