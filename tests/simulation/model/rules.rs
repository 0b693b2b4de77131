//! Why something that people send does not count. Several reasons can hold at once; the workflow may name any of them, but
//! it must refuse if one holds, and may not if none does.

use sallyport_workflows::{
    State,
    command::{Action, Command},
    decision::{Decision, Verdict},
    gate::{Gate, OpenGate},
    policy::MAXIMUM_WAIT_SECONDS,
};

use super::{Checked, Model, Over, Stage, What};

/// Classes of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It says nothing that could count, whatever the ticket's state.
    Malformed,
    /// The gate is not open: not yet, not any more, or the ticket is given up.
    Closed,
    /// It is about another revision.
    Revision,
    /// The deadline has passed.
    Late,
    /// This person is not asked.
    Person,
    /// The ticket's reporter may not approve.
    Reporter,
    /// This person has approved already.
    Twice,
    /// Nobody vouches for who sent it, and the policy wants that.
    Unproven,
    /// Its proof is forged.
    Forged,
    /// The ticket has ended or is being given up.
    Over,
    /// Another command is being carried out.
    Busy,
    /// The ticket is in no state for this command.
    State,
    /// The ticket cannot be retried from there.
    From,
    /// The wait would be too long.
    TooLong,
}

/// How people are told apart.
pub fn person(by: &str) -> String {
    by.trim().to_lowercase()
}

/// Whether a decision names the gate's revision.
pub fn names(revision: &str, gate: &OpenGate) -> bool {
    revision.len() >= 8 && gate.revision.starts_with(&revision.to_lowercase())
}

impl Reason {
    /// The class of a reason in words.
    fn of(text: &str) -> Option<Self> {
        const WORDS: &[(&str, Reason)] = &[
            ("`id` is missing", Reason::Malformed),
            ("`by` must say", Reason::Malformed),
            ("`revision` must name", Reason::Malformed),
            ("the comment has", Reason::Malformed),
            ("REVISE has", Reason::Malformed),
            ("REVISE needs", Reason::Malformed),
            ("the reason is too long", Reason::Malformed),
            ("go with retry", Reason::Malformed),
            ("extend needs", Reason::Malformed),
            ("`seconds` goes with", Reason::Malformed),
            ("the decision is about revision", Reason::Revision),
            ("nobody had decided by then", Reason::Late),
            ("may not decide at gate", Reason::Person),
            ("filed the ticket", Reason::Reporter),
            ("has approved already", Reason::Twice),
            ("carries no proof", Reason::Unproven),
            ("forged", Reason::Forged),
            ("another command is being", Reason::Busy),
            ("the time is up", Reason::Late),
            ("cannot be retried from", Reason::From),
            ("can be retried", Reason::State),
            ("can be abandoned", Reason::State),
            ("can be reopened", Reason::State),
            ("nothing waits for people", Reason::State),
            ("the gate is decided already", Reason::State),
            ("there is nothing left to cancel", Reason::State),
            ("is being merged", Reason::State),
            ("is being reopened", Reason::State),
            ("a ticket waits until", Reason::TooLong),
            ("was decided already", Reason::Closed),
            ("is not open", Reason::Closed),
            ("the ticket is being cancelled", Reason::Over),
            ("the ticket is ", Reason::Over),
        ];
        let word = WORDS.iter().find(|(words, _)| text.contains(words));
        word.map(|(_, reason)| *reason)
    }
}

/// Whether what the workflow says of a refusal is one of the reasons that hold.
pub fn check_refusal(said: Option<&str>, reasons: &[Reason]) -> Checked {
    match said {
        None if reasons.is_empty() => Ok(()),
        None => Err(format!(
            "it counted, but there are reasons against it: {reasons:?}"
        )),
        Some(text) if reasons.is_empty() => Err(format!("refused for no reason: {text}")),
        Some(text) => match Reason::of(text) {
            Some(reason) if reasons.contains(&reason) => Ok(()),
            class => Err(format!(
                "refused as {class:?} ({text}), not for {reasons:?}"
            )),
        },
    }
}

impl Model {
    /// All reasons that hold now. On arrival the deadline counts; later only what came in time is looked at.
    pub(super) fn reasons(&self, what: &What, on_arrival: bool) -> Vec<Reason> {
        let mut reasons = match what {
            What::Decision(decision) => self.decision_reasons(decision),
            What::Command(command) => self.command_reasons(command),
        };
        let is_late = match &self.stage {
            Stage::TimeIsUp { .. } => on_arrival,
            Stage::Over(Over::Expired) => true,
            // A merge that was decided in time takes longer than the deadline.
            _ => self.deadline.is_some() && self.deadline == self.deadline_at_expiry,
        };
        let is_cancel = matches!(what, What::Command(command) if command.action == Action::Cancel);
        if is_late && !is_cancel {
            reasons.push(Reason::Late);
        }
        reasons
    }

    fn decision_reasons(&self, decision: &Decision) -> Vec<Reason> {
        let Decision {
            gate,
            revision,
            decision: verdict,
            by,
            comments,
            ..
        } = decision;
        let text = comments.as_deref().unwrap_or_default();
        let is_malformed = by.trim().is_empty()
            || by.len() > 254
            || revision.len() < 8
            || text.len() > 2048
            || (*verdict == Verdict::Revise && (*gate == Gate::Scope || text.trim().is_empty()));
        let mut reasons = Vec::new();
        let mut holds = |reason, holds: bool| reasons.extend(holds.then_some(reason));
        holds(Reason::Malformed, is_malformed);
        let is_opening = self.opening().is_some_and(|(opening, asked)| {
            opening == *gate && revision.len() >= 8 && asked.starts_with(&revision.to_lowercase())
        });
        if is_opening {
            // Everything else is looked at when the gate is open.
            return reasons;
        }
        holds(Reason::Over, self.cancelled.is_some());
        let open = self.gate.as_ref().filter(|open| open.gate == *gate);
        let is_decided = self.is_decided || self.answer.is_some();
        holds(Reason::Closed, open.is_none() || is_decided);
        let Some(open) = open else {
            return reasons;
        };
        holds(Reason::Revision, !names(revision, open));
        let policy = match gate {
            Gate::Spec => &self.policy.spec_gate,
            Gate::Scope => &self.policy.scope_gate,
            Gate::Pr => &self.policy.pr_gate,
        };
        let mut asked = policy.approvers.iter();
        let is_asked = policy.approvers.is_empty() || asked.any(|name| person(name) == person(by));
        holds(Reason::Person, !is_asked);
        if *verdict == Verdict::Approve {
            let reported = self.reporter.as_deref().map(person) == Some(person(by));
            holds(Reason::Reporter, reported && !policy.reporter_may_approve);
            holds(Reason::Twice, self.has_approved(by));
        }
        reasons
    }

    fn command_reasons(&self, command: &Command) -> Vec<Reason> {
        let Command {
            action,
            from,
            raise,
            seconds,
            by,
            reason,
            ..
        } = command;
        let right_seconds = match action {
            Action::Extend => seconds.is_some_and(|n| (1..=MAXIMUM_WAIT_SECONDS).contains(&n)),
            _ => seconds.is_none(),
        };
        let is_malformed = by.trim().is_empty()
            || by.len() > 254
            || reason.as_ref().is_some_and(|reason| reason.len() > 2048)
            || (*action != Action::Retry && (from.is_some() || !raise.is_nothing()))
            || !right_seconds;
        let mut reasons = Vec::new();
        let mut holds = |reason, holds: bool| reasons.extend(holds.then_some(reason));
        holds(Reason::Malformed, is_malformed);
        holds(
            Reason::Over,
            self.cancelled.is_some() || self.state.is_end(),
        );
        holds(Reason::Busy, self.order.is_some());
        match action {
            Action::Retry => {
                holds(Reason::State, !self.state.is_parked());
                holds(
                    Reason::From,
                    self.state.is_parked() && self.retry_target(*from).is_none(),
                );
            }
            Action::Abandon => holds(Reason::State, !self.state.is_parked()),
            Action::Reopen => {
                // One that is being reopened is not closed any more.
                let is_waiting = self.state == State::PrClosed
                    && self.stage != Stage::Runs("reopen_pull_request");
                holds(Reason::State, !is_waiting);
            }
            Action::Extend => {
                let is_decided = self.is_decided || self.answer.is_some();
                holds(Reason::State, self.deadline.is_none() || is_decided);
                let more = self.seconds(seconds.unwrap_or(0).min(MAXIMUM_WAIT_SECONDS));
                let most = self.since + self.seconds(2 * MAXIMUM_WAIT_SECONDS);
                let is_too_long = self.deadline.is_some_and(|deadline| deadline + more > most);
                holds(Reason::TooLong, is_too_long);
            }
            Action::Cancel => {
                let approved = self
                    .answer
                    .as_ref()
                    .is_some_and(|answer| answer.verdict == Verdict::Approve);
                let is_merging = self.state == State::AwaitingPrApproval && approved;
                holds(Reason::State, self.state == State::Merged || is_merging);
            }
        }
        reasons
    }

    /// Where a retry goes: the step that failed, or an earlier one. No retry leads past a gate: SPEC_APPROVED needs an
    /// approval of the present SPEC. A plan is not made anew for a branch that is published; what is merged only settles.
    pub(super) fn retry_target(&self, from: Option<State>) -> Option<State> {
        let failed = match self.failed_in? {
            State::AwaitingSpecApproval => State::Planning,
            State::AwaitingScopeApproval => State::Executing,
            State::AwaitingPrApproval | State::PrClosed => State::PrCreated,
            other => other,
        };
        let to = from.unwrap_or(failed);
        const STEPS: [State; 7] = [
            State::Pending,
            State::Planning,
            State::SpecApproved,
            State::Executing,
            State::QaRunning,
            State::PrCreated,
            State::Merged,
        ];
        let place = |state| STEPS.iter().position(|step| *step == state);
        let may = self.state.may_go_to(to)
            && place(to)? <= place(failed)?
            && (failed != State::Merged || to == State::Merged)
            && (to != State::SpecApproved || self.approval.is_some())
            && !(self.published && place(to)? < place(State::Executing)?);
        may.then_some(to)
    }
}
