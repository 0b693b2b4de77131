//! What model calls cost.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tokens and money spent on a model, as the gateway and the planner metered them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Usage {
    /// Requests answered.
    pub requests: u64,
    /// Input tokens that no cache held.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Input tokens read from the vendor's cache.
    pub cache_read_tokens: u64,
    /// Input tokens written to the vendor's cache.
    pub cache_write_tokens: u64,
    /// Money, in millionths of a US dollar.
    pub cost_micro_usd: u64,
}

impl Usage {
    /// All tokens together.
    pub fn tokens(&self) -> u64 {
        self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens
    }
}

/// What a step spent, also one that failed: then it is the failure's details, so that it counts all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// What its model calls cost.
    pub usage: Usage,
    /// The agent's wall time, in seconds.
    pub agent_seconds: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.cost_micro_usd += other.cost_micro_usd;
    }
}
