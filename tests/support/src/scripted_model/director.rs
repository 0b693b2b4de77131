//! Finds the answer to a request in the scenario.

use std::collections::HashMap;

use serde_json::Value;

use super::conversation::{Answer, Conversation, End, Message, Refusal};
use super::scenario::{AgentRun, Before, FailureKind, PlanContent, Scenario, Usage};

/// The place in the scenario that answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cue {
    /// `plans[script].answers[answer]`
    Plan {
        /// Index in `plans`.
        script: usize,
        /// Index in `answers`.
        answer: usize,
    },
    /// `runs[run].steps[step]`
    Step {
        /// Index in `runs`.
        run: usize,
        /// Index in `steps`.
        step: usize,
    },
}

/// An answer, and what happens before it.
#[derive(Debug)]
pub(super) struct Direction {
    pub(super) cue: Cue,
    pub(super) answer: Answer,
    pub(super) before: Before,
}

/// Holds a scenario and how far it was played.
#[derive(Debug, Default)]
pub(super) struct Director {
    scenario: Scenario,
    /// For each plan script: the digests of its requests, in the order in which they first came.
    planned: HashMap<usize, Vec<String>>,
    /// How many requests for an answer have failed so far.
    failed: HashMap<Cue, u32>,
}

impl Director {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            ..Self::default()
        }
    }

    /// The answer to `request`.
    pub(super) fn direct(&mut self, request: &Conversation) -> Result<Direction, Refusal> {
        let models = &self.scenario.models;
        if !models.is_empty() && !models.contains(&request.model) {
            return Err(Refusal::UnknownModel(request.model.clone()));
        }
        match &request.output_schema {
            Some(schema) => self.plan(request, schema),
            None if request.offers_tools => self.step(request),
            None => Err(unscripted(
                "the request neither offers tools (an agent) nor names an output schema (a planner)",
            )),
        }
    }

    /// The failure that this request for `cue` meets, if one is left.
    pub(super) fn next_failure(&mut self, cue: Cue, before: &Before) -> Option<FailureKind> {
        let failed = self.failed.entry(cue).or_default();
        let mut passed = 0;
        for failure in &before.failures {
            passed += failure.times;
            if *failed < passed {
                *failed += 1;
                return Some(failure.how.clone());
            }
        }
        None
    }

    fn plan(&mut self, request: &Conversation, schema: &Value) -> Result<Direction, Refusal> {
        let text = request.text();
        let (script, found) = self
            .scenario
            .plans
            .iter()
            .enumerate()
            .rfind(|(_, script)| contains_all(&text, &script.when_prompt_contains))
            .ok_or_else(|| unscripted("no plan fits this planner request"))?;
        let requests = self.planned.entry(script).or_default();
        let digest = request.digest();
        let place = match requests.iter().position(|known| *known == digest) {
            Some(place) => place,
            None => {
                requests.push(digest);
                requests.len() - 1
            }
        };
        let last = found
            .answers
            .len()
            .checked_sub(1)
            .ok_or_else(|| unscripted(&format!("plan {script} has no answers")))?;
        let answer = place.min(last);
        let scripted = &found.answers[answer];
        let mut end = End::Whole;
        let text = match &scripted.content {
            PlanContent::Text(text) => text.clone(),
            PlanContent::Cut(text) => {
                end = End::Cut;
                text.clone()
            }
            PlanContent::Declined => {
                end = End::Declined;
                String::new()
            }
            PlanContent::Json(document) => {
                check_schema(schema, document)?;
                document.to_string()
            }
        };
        let cue = Cue::Plan { script, answer };
        Ok(Direction {
            cue,
            before: scripted.before.clone(),
            answer: Answer {
                end,
                ..answer_of(request, cue, text, Vec::new(), scripted.usage)
            },
        })
    }

    fn step(&self, request: &Conversation) -> Result<Direction, Refusal> {
        let (run, asked) = current_run(&self.scenario.runs, &request.messages)
            .ok_or_else(|| unscripted("no run fits the agent's prompt"))?;
        let steps = &self.scenario.runs[run].steps;
        let (step, scripted) = match (steps.get(asked), steps.last()) {
            (Some(scripted), _) => (asked, scripted),
            // Asked again after its closing words, it says them again: a session that was killed after them
            // must be able to end.
            (None, Some(last)) if last.tools.is_empty() => (steps.len() - 1, last),
            _ => {
                return Err(unscripted(&format!(
                    "run {run} has {} steps, and step {asked} (counted from 0) is asked for",
                    steps.len()
                )));
            }
        };
        let cue = Cue::Step { run, step };
        Ok(Direction {
            cue,
            before: scripted.before.clone(),
            answer: answer_of(
                request,
                cue,
                scripted.text.clone(),
                scripted.tools.clone(),
                scripted.usage,
            ),
        })
    }
}

/// The run under way at the end of `messages`, and the number of the assistant's messages in it.
fn current_run(runs: &[AgentRun], messages: &[Message]) -> Option<(usize, usize)> {
    let mut current: Option<(usize, usize)> = None;
    for message in messages {
        match message {
            Message::Prompt(text) => {
                let fitting = runs
                    .iter()
                    .rposition(|run| contains_all(text, &run.when_prompt_contains));
                // Runs happen in the order of the list: a prompt that repeats the ticket's words does not go back.
                let leads_on = |run: usize| current.is_none_or(|(under_way, _)| run > under_way);
                if let Some(run) = fitting.filter(|run| leads_on(*run)) {
                    current = Some((run, 0));
                }
            }
            Message::Assistant(_) => {
                if let Some((_, step)) = &mut current {
                    *step += 1;
                }
            }
            Message::System(_) | Message::ToolResults => {}
        }
    }
    current
}

fn contains_all(text: &str, parts: &[String]) -> bool {
    parts.iter().all(|part| text.contains(part))
}

fn answer_of(
    request: &Conversation,
    cue: Cue,
    text: String,
    tools: Vec<super::ToolCall>,
    usage: Option<Usage>,
) -> Answer {
    let written: usize = text.len()
        + tools
            .iter()
            .map(|tool| tool.arguments.to_string().len())
            .sum::<usize>();
    Answer {
        // The length of the conversation keeps ids apart when a run is played twice in one conversation.
        seed: format!("{cue:?} after {} messages", request.messages.len()),
        model: request.model.clone(),
        include_usage: request.include_usage,
        usage: usage.unwrap_or(Usage {
            input: tokens(request.request_bytes),
            output: tokens(written),
            cached: 0,
        }),
        text,
        tools,
        end: End::Whole,
    }
}

/// The usual rule of thumb: four bytes are a token.
fn tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4).max(1)
}

fn check_schema(schema: &Value, document: &Value) -> Result<(), Refusal> {
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        unscripted(&format!(
            "the request's output schema is not a JSON schema: {error}"
        ))
    })?;
    validator.validate(document).map_err(|error| {
        unscripted(&format!(
            "the scenario's plan does not satisfy the request's schema at {:?}: {error}",
            error.instance_path().to_string()
        ))
    })
}

/// The scenario has nothing for this request: a mistake in the test, said so that it shows in its log.
fn unscripted(message: &str) -> Refusal {
    Refusal::BadRequest {
        parameter: None,
        message: format!("scripted model: {message}"),
    }
}

#[cfg(test)]
#[path = "director_tests.rs"]
mod tests;
