//! What one would type next.

use sallyport_workflows::{State, gate::Gate};
use serde::Serialize;

use super::{
    question::{Question, question},
    status::state,
};
use crate::{client::WorkflowView, terminal::line};

/// A command to type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The whole command.
    pub command: String,
    /// What it is good for.
    pub why: &'static str,
}

/// What one would type next, the likeliest first.
pub fn next_steps(view: &WorkflowView) -> Vec<Step> {
    let id = line(&view.workflow.ticket_id);
    let step = |words: &str, why| {
        // The ticket comes after the command's name, before its options.
        let (name, options) = words.split_once(' ').unwrap_or((words, ""));
        let command = format!("sallyport {name} {id} {options}");
        Step {
            command: command.trim_end().to_owned(),
            why,
        }
    };
    if let Some(question) = question(view) {
        return at_gate(&question, step);
    }
    let has_diff = view.workflow.diff.is_some();
    let mut steps = Vec::new();
    match state(view) {
        State::PrClosed => {
            steps.push(step("reopen", "open the pull request again"));
            steps.push(step("cancel", "give the ticket up"));
        }
        State::Error => {
            steps.push(step("logs", "see what the agent did"));
            steps.push(step("retry", "take it up again, from the step that failed"));
            steps.push(step("abandon", "give it up"));
        }
        State::QaFailed => {
            steps.push(step("report", "read what QA found"));
            steps.push(step("retry", "run QA again"));
            steps.push(step(
                "retry --from EXECUTING",
                "let the agent repair it once more",
            ));
            steps.push(step("abandon", "give it up"));
        }
        State::Completed if has_diff => {
            steps.push(step("diff", "see what was merged"));
        }
        State::Merged => {
            steps.push(step("watch", "follow it; nothing is asked of you now"));
        }
        State::SpecRejected | State::Cancelled if view.workflow.spec.is_some() => {
            steps.push(step("spec", "see what was planned"));
        }
        end if end.is_end() => {}
        _ => {
            let status = view.status.as_ref();
            let why = match status.and_then(|status| status.questions.as_ref()) {
                Some(_) => "follow it; the planner is answered on the ticket",
                None => "follow it; nothing is asked of you now",
            };
            steps.push(step("watch", why));
            steps.push(step("cancel", "stop it and give it up"));
        }
    }
    steps
}

fn at_gate(question: &Question, step: impl Fn(&str, &'static str) -> Step) -> Vec<Step> {
    match question.gate {
        Gate::Spec => {
            let mut steps = Vec::new();
            if question.base_change.is_some() {
                steps.push(step("changes", "read what changed on the base branch"));
            }
            steps.push(step("spec", "read what would be done"));
            steps.push(step("approve", "let the agent do it"));
            steps.push(step(
                "revise -m 'what to change'",
                "send it back to the planner",
            ));
            steps.push(step("reject", "end the ticket here"));
            steps
        }
        Gate::Scope => vec![
            step("approve", "allow the files"),
            step("reject", "let the agent go on without them"),
        ],
        Gate::Pr => vec![
            step("diff", "read what the agent changed"),
            step("report", "read what QA found"),
            step("approve", "merge it"),
            step("revise -m 'what to change'", "send it back to the agent"),
            step("reject", "close the pull request"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    fn commands(view: &WorkflowView) -> Vec<String> {
        let steps = next_steps(view).into_iter();
        steps.map(|step| step.command).collect()
    }

    #[test]
    fn every_state_that_is_no_end_says_what_to_do() {
        let mut view = fixtures::parked();
        view.approvals.clear();
        for state in State::ALL {
            view.workflow.state = state;
            let steps = commands(&view);
            assert_eq!(steps.is_empty(), state.is_end(), "{state}: {steps:?}");
        }
    }

    #[test]
    fn the_ticket_comes_before_the_options() {
        let mut view = fixtures::parked();
        view.workflow.state = State::QaFailed;
        let steps = commands(&view);
        assert!(
            steps.contains(&"sallyport retry FL-1 --from EXECUTING".to_owned()),
            "{steps:?}"
        );
    }
}
