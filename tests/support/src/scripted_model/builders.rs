//! Writing a scenario in Rust: short functions for what a test says most often.

use serde_json::{Value, json};

use super::scenario::{
    AgentRun, AgentStep, Before, Failure, FailureKind, PlanAnswer, PlanContent, PlanScript,
    Scenario, ToolCall, Usage,
};

impl Scenario {
    /// An empty scenario, to be filled with [`Scenario::plan`] and [`Scenario::run`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds answers for all planner requests that no later entry fits.
    #[must_use]
    pub fn plan(self, answers: impl IntoIterator<Item = PlanAnswer>) -> Self {
        self.plan_when(&[], answers)
    }

    /// Adds answers for the planner requests that contain all of `texts`.
    #[must_use]
    pub fn plan_when(
        mut self,
        texts: &[&str],
        answers: impl IntoIterator<Item = PlanAnswer>,
    ) -> Self {
        self.plans.push(PlanScript {
            when_prompt_contains: texts.iter().map(|text| (*text).to_owned()).collect(),
            answers: answers.into_iter().collect(),
        });
        self
    }

    /// Adds a run for all prompts that no later entry fits.
    #[must_use]
    pub fn run(self, steps: impl IntoIterator<Item = AgentStep>) -> Self {
        self.run_when(&[], steps)
    }

    /// Adds a run for the prompts that contain all of `texts`.
    #[must_use]
    pub fn run_when(mut self, texts: &[&str], steps: impl IntoIterator<Item = AgentStep>) -> Self {
        self.runs.push(AgentRun {
            when_prompt_contains: texts.iter().map(|text| (*text).to_owned()).collect(),
            steps: steps.into_iter().collect(),
        });
        self
    }
}

impl PlanAnswer {
    /// A SPEC, as the planner's answers wrap it.
    #[must_use]
    pub fn spec(spec: Value) -> Self {
        Self::json(json!({ "looks": [], "questions": [], "spec": [spec] }))
    }

    /// Questions to the people of the ticket.
    #[must_use]
    pub fn questions(questions: &[&str]) -> Self {
        Self::json(json!({ "looks": [], "questions": questions, "spec": [] }))
    }

    /// A wish to see more of the repository: each an action, a path and a text.
    #[must_use]
    pub fn looks(looks: &[(&str, &str, &str)]) -> Self {
        let looks: Vec<Value> = looks
            .iter()
            .map(|(action, path, text)| {
                json!({ "action": action, "path": path, "text": text, "line": 0 })
            })
            .collect();
        Self::json(json!({ "looks": looks, "questions": [], "spec": [] }))
    }

    /// A document that satisfies the request's schema.
    #[must_use]
    pub fn json(document: Value) -> Self {
        Self {
            content: PlanContent::Json(document),
            usage: None,
            before: Before::default(),
        }
    }

    /// Any text, valid or not.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content: PlanContent::Text(text.into()),
            usage: None,
            before: Before::default(),
        }
    }

    /// A text that was cut at the largest length.
    #[must_use]
    pub fn cut(text: impl Into<String>) -> Self {
        Self {
            content: PlanContent::Cut(text.into()),
            ..Self::declined()
        }
    }

    /// No answer, since the model will not.
    #[must_use]
    pub fn declined() -> Self {
        Self {
            content: PlanContent::Declined,
            usage: None,
            before: Before::default(),
        }
    }

    /// Sets what it costs.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Holds the answer until `latch` is released.
    #[must_use]
    pub fn wait_for(mut self, latch: impl Into<String>) -> Self {
        self.before.wait_for = Some(latch.into());
        self
    }

    /// Makes the next `times` requests for this answer fail.
    #[must_use]
    pub fn fail(mut self, times: u32, how: FailureKind) -> Self {
        self.before.failures.push(Failure { how, times });
        self
    }
}

impl AgentStep {
    /// A message that says `text`.
    #[must_use]
    pub fn say(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Adds a tool call.
    #[must_use]
    pub fn call(mut self, name: impl Into<String>, arguments: Value) -> Self {
        self.tools.push(ToolCall {
            name: name.into(),
            arguments,
        });
        self
    }

    /// Adds a call of Pi's `bash`.
    #[must_use]
    pub fn bash(self, command: impl Into<String>) -> Self {
        self.call("bash", json!({ "command": command.into() }))
    }

    /// Adds a call of Pi's `read`.
    #[must_use]
    pub fn read(self, path: impl Into<String>) -> Self {
        self.call("read", json!({ "path": path.into() }))
    }

    /// Adds a call of Pi's `write`.
    #[must_use]
    pub fn write(self, path: impl Into<String>, content: impl Into<String>) -> Self {
        self.call(
            "write",
            json!({ "path": path.into(), "content": content.into() }),
        )
    }

    /// Adds a call of Pi's `edit` that replaces one text, which must occur exactly once in the file.
    #[must_use]
    pub fn edit(
        self,
        path: impl Into<String>,
        old: impl Into<String>,
        new: impl Into<String>,
    ) -> Self {
        self.call(
            "edit",
            json!({
                "path": path.into(),
                "edits": [{ "oldText": old.into(), "newText": new.into() }],
            }),
        )
    }

    /// Adds a call of Sallyport's `request_scope`, which asks people for more files.
    #[must_use]
    pub fn request_scope(self, paths: &[&str], reason: impl Into<String>) -> Self {
        self.call(
            "request_scope",
            json!({ "paths": paths, "reason": reason.into() }),
        )
    }

    /// Sets what it costs.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Holds the answer until `latch` is released.
    #[must_use]
    pub fn wait_for(mut self, latch: impl Into<String>) -> Self {
        self.before.wait_for = Some(latch.into());
        self
    }

    /// Thinks for so long, in milliseconds.
    #[must_use]
    pub fn delay_ms(mut self, milliseconds: u64) -> Self {
        self.before.delay_ms = milliseconds;
        self
    }

    /// Makes the next `times` requests for this step fail.
    #[must_use]
    pub fn fail(mut self, times: u32, how: FailureKind) -> Self {
        self.before.failures.push(Failure { how, times });
        self
    }
}
