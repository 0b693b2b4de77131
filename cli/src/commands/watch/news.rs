//! What is new since the last look.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sallyport_ledger::{agent_logs::LogRow, decisions::DecisionRow, transitions::TransitionRow};
use sallyport_workflows::{State, failure::Failure, questions::OpenQuestions};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    client::WorkflowView,
    commands::{
        next_steps::{Step, next_steps},
        question::{Question, question},
        records::{self, Given},
        status::is_unapproved,
    },
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The ticket went from one state to another.
    Transition(TransitionRow),
    /// The agent wrote a line.
    Log(LogRow),
    /// Somebody decided, or was refused.
    Decision(DecisionRow),
    /// Somebody gave a command, or was refused.
    Command(Given),
    /// Something that stopped nothing.
    Note {
        /// What.
        text: String,
    },
    /// The planner asks the people of the ticket.
    PlannerAsks {
        /// What it asks.
        #[serde(flatten)]
        open: OpenQuestions,
        /// When the ticket is parked.
        deadline: Option<DateTime<Utc>>,
    },
    /// A gate asks.
    Question {
        /// What it asks.
        #[serde(flatten)]
        question: Box<Question>,
        /// What to type next.
        next: Vec<Step>,
    },
    /// A parked ticket or a closed pull request waits for somebody.
    Waiting {
        /// In which state.
        state: State,
        /// Why it was parked.
        failure: Option<Failure>,
        /// When it is cancelled.
        deadline: Option<DateTime<Utc>>,
        /// What to type next.
        next: Vec<Step>,
    },
    /// Sallyport does not answer any more.
    Unreachable {
        /// Why.
        message: String,
    },
    /// It answers again.
    Reachable,
    /// The ticket has ended.
    End {
        /// As what.
        state: State,
        /// Why.
        reason: Option<String>,
        /// Whether it was merged without the approval that the policy asks for.
        unapproved: bool,
    },
}

impl Event {
    /// When it happened, where that is recorded.
    pub fn at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Transition(transition) => Some(transition.at),
            Self::Log(row) => Some(row.at),
            Self::Decision(decision) => Some(decision.at),
            Self::Command(given) => Some(given.command.at),
            _ => None,
        }
    }
}

/// What was told so far.
#[derive(Debug, Default)]
pub struct News {
    sequence: u64,
    records: BTreeSet<Uuid>,
    notes: Vec<String>,
    /// When the planner's questions were asked that were told.
    planner_asked: Option<DateTime<Utc>>,
    /// The gate's request that was told.
    asked: Option<Uuid>,
    /// The transition into the wait that was told.
    waiting: Option<u64>,
}

impl News {
    /// What is new: what happened in the order of time, then what is asked, then the end.
    pub fn of(&mut self, view: &WorkflowView, logs: Vec<LogRow>) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for transition in &view.transitions {
            if transition.sequence > self.sequence {
                self.sequence = transition.sequence;
                events.push(Event::Transition(transition.clone()));
            }
        }
        for decision in &view.decisions {
            if self.records.insert(decision.id) {
                events.push(Event::Decision(decision.clone()));
            }
        }
        for given in records::commands(view) {
            if self.records.insert(given.command.id) {
                events.push(Event::Command(given));
            }
        }
        events.extend(logs.into_iter().map(Event::Log));
        // Stable: lines of the same instant stay in their order.
        events.sort_by_key(Event::at);
        events.extend(self.notes(view));
        events.extend(self.planner_asks(view));
        events.extend(self.asked(view));
        events.extend(end(view));
        events
    }

    fn notes(&mut self, view: &WorkflowView) -> Vec<Event> {
        let Some(status) = &view.status else {
            return Vec::new();
        };
        let new = status
            .notes
            .iter()
            .filter(|note| !self.notes.contains(note));
        let events = new.map(|note| Event::Note { text: note.clone() }).collect();
        self.notes.clone_from(&status.notes);
        events
    }

    fn planner_asks(&mut self, view: &WorkflowView) -> Option<Event> {
        let status = view.status.as_ref()?;
        let open = status.questions.clone()?;
        let is_new = self.planner_asked.replace(open.asked_at) != Some(open.asked_at);
        is_new.then_some(Event::PlannerAsks {
            open,
            deadline: status.deadline,
        })
    }

    fn asked(&mut self, view: &WorkflowView) -> Option<Event> {
        if let Some(question) = question(view) {
            if self.asked.replace(question.approval_id) == Some(question.approval_id) {
                return None;
            }
            let question = Box::new(question);
            let next = next_steps(view);
            return Some(Event::Question { question, next });
        }
        let state = view.workflow.state;
        if !state.is_parked() && state != State::PrClosed {
            return None;
        }
        // The workflow may be ahead of the ledger, and then it does not wait any more.
        let status = view.status.as_ref();
        if status.is_some_and(|status| status.state != state || status.deadline.is_none()) {
            return None;
        }
        if self.waiting.replace(self.sequence) == Some(self.sequence) {
            return None;
        }
        Some(Event::Waiting {
            state,
            failure: view.workflow.failure.clone(),
            deadline: status.and_then(|status| status.deadline),
            next: next_steps(view),
        })
    }
}

/// The end, as the ledger has it: then all that came before is there, too.
fn end(view: &WorkflowView) -> Option<Event> {
    view.workflow.state.is_end().then(|| Event::End {
        state: view.workflow.state,
        reason: view
            .transitions
            .last()
            .and_then(|transition| transition.reason.clone()),
        unapproved: is_unapproved(view),
    })
}
