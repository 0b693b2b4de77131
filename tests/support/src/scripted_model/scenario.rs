//! A scenario is data: what the model will say, written down beforehand.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that a [`ScriptedModel`](super::ScriptedModel) will say.
///
/// Two kinds of requests are answered. A request with a JSON schema for its output comes from the planner and
/// takes its answer from `plans`; one that offers tools comes from the agent and takes its answer from `runs`.
///
/// # Which plan
/// The **last** entry of `plans` all of whose `when_prompt_contains` occur in the request's text. Its `answers`
/// are given in order, one for each *different* request, the last one for all further ones; a request that is
/// sent again unchanged gets the answer that it got before.
///
/// # Which step of which run
/// The user's prompts are read from the first to the last. Each one looks for the **last** entry of `runs` all of
/// whose `when_prompt_contains` occur in it; if that comes later in the list than the run under way, it starts there
/// with its first step. The step is then the number of the assistant's messages since: a client that was killed and
/// resumes its session goes on at the right step, and a prompt that fits no later run ("you were interrupted")
/// continues the one under way. A run that has spoken its closing words, a step without tool calls, says
/// them again when asked again; a run that ends with a tool call answers 400.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The ids of the models that exist; if there are none, every id does.
    #[serde(default)]
    pub models: Vec<String>,
    /// The planner's answers.
    #[serde(default)]
    pub plans: Vec<PlanScript>,
    /// The agent's runs.
    #[serde(default)]
    pub runs: Vec<AgentRun>,
}

/// The answers to the planner's requests for one ticket, or one kind of request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanScript {
    /// Texts that must all occur in the request; none fits every request.
    #[serde(default)]
    pub when_prompt_contains: Vec<String>,
    /// At least one answer.
    pub answers: Vec<PlanAnswer>,
}

/// One answer to the planner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanAnswer {
    /// What is said.
    pub content: PlanContent,
    /// What it costs; estimated from the lengths if absent.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// What happens before it is said.
    #[serde(default)]
    pub before: Before,
}

/// The planner's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanContent {
    /// A document that must satisfy the request's schema, as the vendors guarantee it; otherwise the answer is 400.
    Json(Value),
    /// Any text, for answers that break the vendors' guarantee.
    Text(String),
    /// The beginning of a text that is longer than the request allows.
    Cut(String),
    /// Nothing: the model will not.
    Declined,
}

/// What the agent's model says and does after one prompt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRun {
    /// Texts that must all occur in the prompt; none fits every prompt.
    #[serde(default)]
    pub when_prompt_contains: Vec<String>,
    /// At least one step.
    pub steps: Vec<AgentStep>,
}

/// One message of the agent's model. Without tool calls it ends the agent's turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentStep {
    /// What it says; may be empty if it calls a tool.
    #[serde(default)]
    pub text: String,
    /// The tools that it calls. Pi runs the calls of one message at the same time: what depends on an earlier call
    /// belongs into a later step.
    #[serde(default)]
    pub tools: Vec<ToolCall>,
    /// What it costs; estimated from the lengths if absent.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// What happens before it is said.
    #[serde(default)]
    pub before: Before,
}

/// A tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name, such as `bash`.
    pub name: String,
    /// Its arguments, an object.
    pub arguments: Value,
}

/// Token counts of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens read, those from the vendor's cache included.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// The part of `input` that came from the cache.
    #[serde(default)]
    pub cached: u64,
}

/// What happens before an answer: first its failures, then the latch, then the delay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// The first requests for this answer fail, one after the other.
    #[serde(default)]
    pub failures: Vec<Failure>,
    /// The answer is held until this latch is released; once released, it stays so.
    #[serde(default)]
    pub wait_for: Option<String>,
    /// Thinking time in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
}

/// A failure, and how many requests it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// How it fails.
    pub how: FailureKind,
    /// How many requests in a row fail so.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// How a request fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// An HTTP status (400 to 599) with the vendor's body for it.
    Status {
        /// Such as 429, 500 or 529.
        status: u16,
        /// How long to wait, in seconds: the header `retry-after`, or Google's `retryDelay`.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// The answer begins, then the connection breaks.
    Cut,
    /// The answer begins, then nothing more comes; the connection stays open.
    Hang,
    /// The answer begins with 200, then the vendor's error event comes instead of the rest (streams only;
    /// otherwise 500).
    StreamError,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scenario_can_be_written_by_hand_as_json() {
        let by_hand: Scenario = serde_json::from_value(json!({
            "plans": [{ "answers": [{ "content": { "json": { "title": "A" } } }] }],
            "runs": [
                { "steps": [{ "tools": [{ "name": "bash", "arguments": { "command": "ls" } }] }] },
                {
                    "when_prompt_contains": ["out of scope"],
                    "steps": [{
                        "text": "Sorry.",
                        "before": {
                            "wait_for": "door",
                            "failures": [
                                { "how": { "status": { "status": 429, "retry_after_seconds": 2 } } },
                                { "how": "cut", "times": 3 },
                            ],
                        },
                    }],
                },
            ],
        }))
        .unwrap();
        let status = FailureKind::Status {
            status: 429,
            retry_after_seconds: Some(2),
        };
        let built = Scenario::new()
            .plan([PlanAnswer::json(json!({ "title": "A" }))])
            .run([AgentStep::default().bash("ls")])
            .run_when(
                &["out of scope"],
                [AgentStep::say("Sorry.")
                    .wait_for("door")
                    .fail(1, status)
                    .fail(3, FailureKind::Cut)],
            );
        assert_eq!(by_hand, built);
        let there_and_back = serde_json::from_value(serde_json::to_value(&built).unwrap()).unwrap();
        assert_eq!(built, there_and_back);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error =
            serde_json::from_value::<Scenario>(json!({ "runs": [{ "setps": [] }] })).unwrap_err();
        assert!(error.to_string().contains("setps"), "{error}");
    }
}
