//! A small model of a ticket's life, written from the product's rules and not from the workflow's code. It is told what
//! happens (what people send, how activities end, which timers fire) and says what must come of it: which activities run
//! and with what, which state follows and who made it, what counts and what is refused and why, until when people are
//! waited for. The property test holds the workflow against it after every workflow task.
//!
//! | file | what is there |
//! | --- | --- |
//! | `mod.rs` | what the model knows |
//! | `life.rs` | the states: what happens in each, and what follows |
//! | `waits.rs` | gates and other waits: answers, reminders, deadlines |
//! | `questions.rs` | what the planner asks on the ticket, and what the ticket system tells |
//! | `people.rs` | what people send: in which order it is looked at, what it does |
//! | `rules.rs` | why something that people send does not count |
//! | `calls.rs` | what each activity must be asked |
//!
//! The order inside one workflow task is the SDK's: first what people send, then a cancellation, then what ended of the
//! ticket's own work, then what ended of looking at what people sent.

mod calls;
mod life;
mod people;
mod questions;
mod rules;
mod waits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    ObjectRef, State,
    activities::{AgentTask, RevisedSpec},
    decision::Verdict,
    gate::{BaseChange, OpenGate},
    policy::{Budget, BudgetRaise, InstallationPolicy},
    pull_request::PullRequest,
    spec::SpecRef,
    status::Rounds,
    ticket::TicketInput,
    usage::Usage,
};
use uuid::Uuid;

pub use life::End;
pub use people::{Arrival, Message, What};
pub use rules::{Reason, check_refusal};

/// A difference between model and workflow, or a rule that the workflow broke.
pub type Checked<T = ()> = Result<T, String>;

/// Who makes a transition that no person asked for.
const SYSTEM: &str = "system";

/// One step of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub to: State,
    /// A person, or `system`.
    pub by: String,
    /// The failure's kind, where the ticket is parked.
    pub failure: Option<String>,
}

/// What the ticket's own work is at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// An activity runs.
    Runs(&'static str),
    /// An activity is broken off, for the ticket was cancelled.
    Breaks,
    /// People are waited for; a timer runs.
    Waits,
    /// The time is up; so many messages came before and are looked at first.
    TimeIsUp { to_look_at: usize },
    /// The wait is over, but a comment about its beginning is still being posted.
    Over(Over),
    /// The planner's questions are answered, and perhaps more is said: a timer runs.
    Listens { until: DateTime<Utc> },
    /// The history has grown long: before the ticket goes on, in a new run, all that people sent is settled.
    Pauses(Pause),
    /// The ticket's life is over.
    Ended,
}

/// What goes on after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// The state's work begins.
    Begins,
    /// People are waited for on.
    Waits,
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Over {
    Answered(Answer),
    Expired,
    Cancelled,
    /// It is not: only the run is.
    Pauses,
}

/// How a gate was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    verdict: Verdict,
    /// Who, in the order in which they did.
    by: Vec<String>,
    comments: Option<ObjectRef>,
}

/// An accepted command that the ticket's stage carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    Retry { to: State, by: String },
    Abandon { by: String },
    Reopen { by: String },
}

/// The agent's piece of work.
#[derive(Clone, Debug, PartialEq)]
struct Work {
    task: AgentTask,
    is_prepared: bool,
    seconds: u64,
    /// What it was told to undo.
    mend: Option<ObjectRef>,
    /// The session that goes on after the answer about its scope.
    session: Option<u64>,
    /// What it asked for: the request and its revision.
    request: Option<(ObjectRef, String)>,
    /// What was answered, and what people said about it.
    answer: Option<(ObjectRef, bool, Option<ObjectRef>)>,
}

impl Work {
    fn new(task: AgentTask) -> Self {
        Self {
            task,
            is_prepared: false,
            seconds: 0,
            mend: None,
            session: None,
            request: None,
            answer: None,
        }
    }
}

/// What the planner asks on the ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Questions {
    /// How many it has asked so far.
    asked: u32,
    /// Whether some are open.
    are_open: bool,
    /// Whether something was said since they were asked, or since that was last looked at.
    are_answered: bool,
    /// Until when answers were waited for when the first came.
    deadline: Option<DateTime<Utc>>,
    /// Whether the ticket has to be read again.
    must_reread: bool,
}

/// An approval: of which revision, by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Approval {
    revision: String,
    by: String,
}

/// What the model knows of one ticket.
pub struct Model {
    /// What happened so far.
    pub path: Vec<Step>,
    pub state: State,
    pub now: DateTime<Utc>,
    since: DateTime<Utc>,
    installation: InstallationPolicy,
    policy: InstallationPolicy,
    raised: BudgetRaise,
    stage: Stage,
    /// Whether the history has grown long.
    pub is_long: bool,
    /// The comment that goes on beside a gate's wait.
    is_telling: bool,
    /// What is left to do in a state that settles the ticket.
    left_to_do: VecDeque<&'static str>,
    /// Where it was before it ended.
    came_from: State,

    // What the ticket is.
    reporter: Option<String>,
    announced: bool,
    spec: Option<SpecRef>,
    /// What the planner has seen of earlier SPECs, and what came after it.
    seen: Option<ObjectRef>,
    revised: Vec<RevisedSpec>,
    base_change: Option<BaseChange>,
    questions: Questions,
    /// How often the ticket was edited since it was read, and what of it was known when it was read again.
    edits: u32,
    known_edits: u32,
    approval: Option<Approval>,
    grants: Vec<ObjectRef>,
    has_host: bool,
    work: Work,
    head: Option<String>,
    /// The latest QA: the commit, whether it passed, its report.
    qa: Option<(String, bool, ObjectRef)>,
    published: bool,
    pull_request: Option<PullRequest>,
    is_closed: bool,
    unapproved: bool,
    failed_in: Option<State>,
    failure: Option<String>,

    // What was used up.
    usage: Usage,
    planning: Usage,
    agent_seconds: u64,
    rounds: Rounds,
    step_keys: BTreeSet<u64>,

    // People.
    gate: Option<OpenGate>,
    deadline: Option<DateTime<Utc>>,
    reminded: usize,
    /// Who approved at the open gate, in order.
    approved_by: Vec<String>,
    /// A decision that closes the gate is being put on record.
    is_decided: bool,
    answer: Option<Answer>,
    order: Option<Order>,
    /// Who cancelled the ticket: from then on nothing counts any more.
    cancelled: Option<String>,
    /// The cancellation is on record: from then on whatever can be broken off is.
    is_stopping: bool,
    /// How the gate that is closing was decided.
    closing: Option<(Over, Option<OpenGate>)>,
    /// The deadline that was reached last.
    deadline_at_expiry: Option<DateTime<Utc>>,
    /// Who closes or reopens the pull request.
    who: String,
    inbox: VecDeque<Message>,
    is_recording: bool,
    /// What became of what people sent: nothing, or the possible reasons of its refusal.
    pub settled: BTreeMap<Uuid, people::Settled>,
    /// How many transitions were put on record.
    recorded: usize,
}

impl Model {
    /// A ticket that was just started.
    pub fn new(input: &TicketInput, now: DateTime<Utc>) -> Self {
        let mut model = Self {
            path: Vec::new(),
            state: State::Pending,
            now,
            since: now,
            installation: input.installation_policy.clone(),
            policy: input.installation_policy.clone(),
            raised: BudgetRaise::default(),
            stage: Stage::Ended,
            is_long: false,
            is_telling: false,
            left_to_do: VecDeque::new(),
            came_from: State::Pending,
            reporter: None,
            announced: false,
            spec: None,
            seen: None,
            revised: Vec::new(),
            base_change: None,
            questions: Questions::default(),
            edits: 0,
            known_edits: 0,
            approval: None,
            grants: Vec::new(),
            has_host: false,
            work: Work::new(AgentTask::Implement),
            head: None,
            qa: None,
            published: false,
            pull_request: None,
            is_closed: false,
            unapproved: false,
            failed_in: None,
            failure: None,
            usage: Usage::default(),
            planning: Usage::default(),
            agent_seconds: 0,
            rounds: Rounds::default(),
            step_keys: BTreeSet::new(),
            gate: None,
            deadline: None,
            reminded: 0,
            approved_by: Vec::new(),
            is_decided: false,
            answer: None,
            order: None,
            cancelled: None,
            is_stopping: false,
            closing: None,
            deadline_at_expiry: None,
            who: String::new(),
            inbox: VecDeque::new(),
            is_recording: false,
            settled: BTreeMap::new(),
            recorded: 0,
        };
        model.enter(State::Pending, SYSTEM);
        model
    }

    /// The activities that must be running now, by name.
    pub fn running(&self) -> Vec<&'static str> {
        let mut running = Vec::new();
        if let Stage::Runs(name) = self.stage {
            running.push(name);
        }
        if self.is_telling {
            running.push("comment_on_ticket");
        }
        if let Some(message) = self.inbox.front().filter(|message| !self.is_held(message)) {
            running.push(message.activity(self.is_recording));
        }
        running.sort_unstable();
        running
    }

    /// Whether a decision waits for its gate, which is being opened.
    fn is_held(&self, message: &people::Message) -> bool {
        match (&message.what, self.opening()) {
            (What::Decision(decision), Some((gate, _))) => {
                !message.is_begun && decision.gate == gate
            }
            _ => false,
        }
    }

    /// When the timer that runs now must fire, if one must run.
    pub fn timer(&self) -> Option<DateTime<Utc>> {
        match self.stage {
            Stage::Waits => self.next_reminder().or(self.deadline),
            Stage::Listens { until } => Some(until),
            _ => None,
        }
    }

    /// Whether people are waited for, which a long history may break off.
    pub fn may_pause(&self) -> bool {
        self.stage == Stage::Waits
    }

    /// Whether the planner waits for answers on the ticket.
    pub fn asks_now(&self) -> bool {
        self.questions.are_open
    }

    /// The open gate, with its present deadline.
    pub fn gate(&self) -> Option<&OpenGate> {
        self.gate.as_ref()
    }

    /// Until when people are waited for.
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        self.deadline
    }

    /// The rounds used so far.
    pub fn rounds(&self) -> Rounds {
        self.rounds
    }

    /// Whether the ticket's life is over.
    pub fn has_ended(&self) -> bool {
        self.stage == Stage::Ended && self.inbox.is_empty()
    }

    /// How many transitions were put on record.
    pub fn recorded(&self) -> usize {
        self.recorded
    }

    fn budget(&self) -> Budget {
        self.policy.budget.raised(&self.raised)
    }

    fn money_left(&self) -> u64 {
        let budget = self.budget();
        budget
            .cost_micro_usd
            .saturating_sub(self.usage.cost_micro_usd)
    }

    fn planning_money_left(&self) -> u64 {
        let budget = self.budget();
        let planning = budget.planning_cost_micro_usd;
        let left = planning.saturating_sub(self.planning.cost_micro_usd);
        left.min(self.money_left())
    }

    fn tokens_left(&self) -> u64 {
        self.budget().tokens.saturating_sub(self.usage.tokens())
    }

    fn seconds_left(&self) -> u64 {
        let budget = self.budget();
        let of_work = budget.agent_seconds.saturating_sub(self.work.seconds);
        let of_all = budget.total_agent_seconds;
        of_work.min(of_all.saturating_sub(self.agent_seconds))
    }
}
