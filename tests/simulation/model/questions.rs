//! What the planner asks on the ticket, and what the ticket system tells of it: edits and comments, which are no messages to
//! Sallyport.

use sallyport_workflows::{State, failure::kind, questions::MAXIMUM_QUESTIONS, ticket::NewsEvent};

use super::{Checked, Model, Over, Stage};

impl Model {
    /// The planner asks this many questions in place of a SPEC.
    pub(super) fn asks(&mut self, count: usize) -> Checked {
        self.questions.asked += u32::try_from(count).unwrap_or(MAXIMUM_QUESTIONS);
        self.questions.are_open = true;
        // What was written into the ticket while it was planned may be an answer.
        self.questions.are_answered = self.edits > 0;
        self.deadline = Some(self.now + self.seconds(self.policy.questions_seconds));
        self.call("comment_on_ticket")
    }

    /// How many questions the planner may ask yet.
    pub(super) fn questions_left(&self) -> u32 {
        MAXIMUM_QUESTIONS.saturating_sub(self.questions.asked)
    }

    /// The ticket system tells of the ticket.
    pub fn news(&mut self, event: NewsEvent) -> Checked {
        let is_said = matches!(event, NewsEvent::Edited | NewsEvent::Commented);
        if self.questions.are_open && is_said {
            self.questions.are_answered = true;
        }
        // What was not read yet is read as it is then.
        if event == NewsEvent::Edited && self.reporter.is_some() {
            self.edits += 1;
        }
        match self.stage {
            Stage::Waits if self.questions.are_open => self.wait(),
            _ => Ok(()),
        }
    }

    /// Somebody has said something: it is listened to until nobody has said more for a while.
    pub(super) fn is_answered(&mut self) -> Checked {
        self.questions.deadline = self.deadline;
        self.listens()
    }

    /// Nobody said more for a while; or somebody did.
    pub(super) fn listens(&mut self) -> Checked {
        while std::mem::take(&mut self.questions.are_answered) {
            if self.questions.deadline.is_some_and(|at| self.now < at) {
                if self.is_stopping {
                    return self.wait_is_over(Over::Cancelled);
                }
                let until = self.now + self.seconds(self.policy.answer_pause_seconds);
                self.stage = Stage::Listens { until };
                return Ok(());
            }
        }
        self.close_questions();
        self.begin()
    }

    /// Nobody answered in time.
    pub(super) fn is_unanswered(&mut self) -> Checked {
        self.close_questions();
        self.park(State::Error, kind::QUESTIONS_UNANSWERED)
    }

    fn close_questions(&mut self) {
        self.questions.are_open = false;
        self.questions.must_reread = true;
        self.deadline = None;
    }

    /// Whether the ticket is not as it was when it was read.
    pub(super) fn must_be_read(&self) -> bool {
        self.edits > 0 || self.questions.must_reread
    }

    /// The ticket was read.
    pub(super) fn is_read(&mut self, reporter: String) {
        self.reporter = Some(reporter);
        self.questions.must_reread = false;
        // An edit while it was read may not be in it.
        if self.edits == self.known_edits {
            self.edits = 0;
        }
    }
}
