//! Gates and other waits for people: they end by an answer, by their deadline, or because the ticket was cancelled.

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    State,
    activities::{AgentTask, GateClosing},
    decision::Verdict,
    gate::OpenGate,
};

use super::{Answer, Checked, Model, Order, Over, Pause, SYSTEM, Stage, Work};

impl Model {
    pub(super) fn next_reminder(&self) -> Option<DateTime<Utc>> {
        let reminders = &self.gate.as_ref()?.reminders;
        let next = reminders.get(self.reminded).copied();
        next.filter(|at| self.deadline.is_some_and(|deadline| *at < deadline))
    }

    /// The gate is open, and people are told.
    pub(super) fn opened(&mut self, gate: OpenGate) -> Checked {
        self.deadline = Some(gate.deadline);
        self.gate = Some(gate);
        self.approved_by.clear();
        self.reminded = 0;
        self.is_telling = true;
        self.wait()
    }

    /// The comment about the open gate is posted.
    pub(super) fn told(&mut self) -> Checked {
        self.is_telling = false;
        match self.stage.clone() {
            Stage::Over(over) => self.wait_is_over(over),
            _ => Ok(()),
        }
    }

    /// The ticket waits for people, unless they have answered already.
    pub(super) fn wait(&mut self) -> Checked {
        if let Some(answer) = self.answer.clone() {
            return self.wait_is_over(Over::Answered(answer));
        }
        if self.questions.are_open && self.questions.are_answered {
            return self.is_answered();
        }
        if self.is_stopping {
            return self.wait_is_over(Over::Cancelled);
        }
        if self.order.is_some() {
            return self.carry_out();
        }
        if self.deadline.is_some() && self.deadline == self.deadline_at_expiry {
            // What was decided in time came to nothing after it: nobody is asked again.
            return self.time_is_up();
        }
        self.stage = Stage::Waits;
        self.pause_if_long()
    }

    /// A wait in a long history is broken off, to be taken up again in a new run.
    pub fn pause_if_long(&mut self) -> Checked {
        match self.is_long && self.stage == Stage::Waits {
            true => self.wait_is_over(Over::Pauses),
            false => Ok(()),
        }
    }

    /// Whether the ticket may go on: at once, or in a new run once all that people sent is settled.
    pub(super) fn may_go_on(&mut self) -> bool {
        if !self.is_long {
            return true;
        }
        let is_awaited = self.answer.is_some() || self.order.is_some() || self.is_stopping;
        let is_settled = self.inbox.is_empty();
        self.is_long = is_awaited || !is_settled;
        is_settled
    }

    /// All that people sent is settled: the ticket goes on.
    pub(super) fn go_on(&mut self) -> Checked {
        let Stage::Pauses(pause) = self.stage else {
            return Ok(());
        };
        match (self.may_go_on(), pause) {
            (false, _) => Ok(()),
            (true, Pause::Begins) => self.begin(),
            (true, Pause::Waits) => self.wait(),
        }
    }

    /// The timer fires: a reminder is due, or the time is up.
    pub fn timer_fires(&mut self) -> Checked {
        if matches!(self.stage, Stage::Listens { .. }) {
            return self.listens();
        }
        if self.stage != Stage::Waits {
            return Err(format!("a timer fires while {:?}", self.stage));
        }
        if self.next_reminder().is_some() {
            self.reminded += 1;
            return self.call("remind");
        }
        self.time_is_up()
    }

    fn time_is_up(&mut self) -> Checked {
        // What came until now counts, however long it takes to look at it.
        self.deadline_at_expiry = self.deadline;
        let to_look_at = self.inbox.len();
        self.stage = Stage::TimeIsUp { to_look_at };
        self.expire_if_all_is_looked_at()
    }

    pub(super) fn expire_if_all_is_looked_at(&mut self) -> Checked {
        if self.stage != (Stage::TimeIsUp { to_look_at: 0 }) {
            return Ok(());
        }
        let is_answered = self.questions.are_open && self.questions.are_answered;
        let in_time =
            self.answer.is_some() || self.order.is_some() || self.is_stopping || is_answered;
        if in_time || self.deadline != self.deadline_at_expiry {
            return self.wait();
        }
        match self.gate {
            Some(_) => self.wait_is_over(Over::Expired),
            None if self.questions.are_open => self.is_unanswered(),
            None => self.go(State::Cancelled, SYSTEM),
        }
    }

    pub(super) fn wait_is_over(&mut self, over: Over) -> Checked {
        if self.is_telling {
            self.stage = Stage::Over(over);
            return Ok(());
        }
        match &over {
            Over::Answered(answer)
                if self.state == State::AwaitingPrApproval
                    && answer.verdict == Verdict::Approve =>
            {
                self.call("merge_pull_request")
            }
            Over::Cancelled => self.give_up(),
            Over::Pauses => {
                self.stage = Stage::Pauses(Pause::Waits);
                self.go_on()
            }
            _ => self.close_gate(over),
        }
    }

    pub(super) fn close_gate(&mut self, over: Over) -> Checked {
        self.closing = Some((over, self.gate.take()));
        self.answer = None;
        self.deadline = None;
        self.call("close_gate")
    }

    pub(super) fn gate_closed(&mut self) -> Checked {
        let (over, _) = self.closing.take().ok_or("no gate closes")?;
        self.after_gate(over)
    }

    /// How the gate that closes now was decided, and by whom.
    pub(super) fn closing(&self) -> Option<(GateClosing, Option<String>, &OpenGate)> {
        let (over, gate) = self.closing.as_ref()?;
        let (closing, by) = match over {
            Over::Expired => (GateClosing::Expired, None),
            Over::Cancelled | Over::Pauses => (GateClosing::Cancelled, None),
            Over::Answered(Answer { verdict, by, .. }) => {
                let closing = match verdict {
                    Verdict::Approve => GateClosing::Approved,
                    Verdict::Revise => GateClosing::Revised,
                    Verdict::Reject => GateClosing::Rejected,
                };
                (closing, Some(by.join(", ")))
            }
        };
        Some((closing, by, gate.as_ref()?))
    }

    /// What an accepted command asks for happens.
    fn carry_out(&mut self) -> Checked {
        self.deadline = None;
        match self.order.take() {
            Some(Order::Retry { to, by }) => {
                self.rounds.retries += 1;
                self.failure = None;
                self.failed_in = None;
                if to == State::Executing {
                    // Counters stay; the piece of work begins anew. After a failed QA that is the repair.
                    let report = self.qa.as_ref().map(|(_, _, report)| report.clone());
                    self.work = match report {
                        Some(report) if self.state == State::QaFailed => {
                            Work::new(AgentTask::Repair { report })
                        }
                        _ => Work::new(self.work.task.clone()),
                    };
                }
                self.go(to, &by)
            }
            Some(Order::Abandon { by }) => self.go(State::Cancelled, &by),
            Some(Order::Reopen { by }) => {
                self.who = by;
                self.call("reopen_pull_request")
            }
            None => Err("no command is to be carried out".to_owned()),
        }
    }
}
