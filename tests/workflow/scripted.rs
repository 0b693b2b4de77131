//! Activities that do what a test says and remember what they were asked.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use answers::{commit, object};
use sallyport_workflows::{
    activities::{definitions, *},
    failure::kind,
    gate::{BaseChange, OpenGate},
    policy::InstallationPolicy,
    pull_request::PullRequest,
    ticket::{TicketKey, TicketSummary},
    usage::{Spent, Usage},
};
use temporalio_common::error::ApplicationFailure;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

/// What one ticket's activities do, and what they were asked.
#[derive(Default)]
pub struct World {
    /// The ticket system does not know the ticket.
    pub ticket_is_unknown: bool,
    /// How often the ticket was read.
    pub tickets_read: usize,
    /// Decisions carry a proof that holds.
    pub proven: bool,
    /// What the agent's next runs come to; a commit when it is empty.
    pub agent: VecDeque<AgentResult>,
    /// Whether QA's next runs pass; they do when it is empty.
    pub qa: VecDeque<bool>,
    /// What the forge's next merges come to; merged when it is empty.
    pub merges: VecDeque<MergeResult>,
    /// The forge does not reopen the pull request.
    pub reopening_fails: bool,
    /// Somebody merged the pull request on the forge.
    pub merged_on_forge: bool,
    /// What the next looks at the base branch find; nothing changed when it is empty.
    pub bases: VecDeque<BaseChange>,
    /// What the planner's next runs ask; they write SPECs when it is empty.
    pub questions: VecDeque<Vec<String>>,
    /// How the planner's next runs fail; they succeed when it is empty.
    pub plan_failures: VecDeque<(&'static str, Spent)>,
    /// How the agent's next runs fail; they succeed when it is empty.
    pub agent_failures: VecDeque<(&'static str, Spent)>,
    /// What the repository makes of the installation's policy.
    pub effective: Option<InstallationPolicy>,
    /// Whether the agent's runs go on until they are cancelled.
    pub agent_hangs: bool,
    pub transitions: Vec<TransitionRecord>,
    pub decisions: Vec<RecordDecision>,
    pub commands: Vec<RecordCommand>,
    pub gates: Vec<OpenGateRequest>,
    pub reminders: Vec<Remind>,
    pub published: Vec<PublishBranch>,
    pub proposed: Vec<OpenPullRequest>,
    pub merged: Vec<ChangePullRequest>,
    pub prepared: Vec<PrepareWorkspace>,
    pub checked: Vec<RunQa>,
    pub closings: Vec<CloseGate>,
    pub comments: Vec<TicketEvent>,
    pub statuses: Vec<TicketStatusName>,
    pub plans: Vec<PlanInput>,
    pub agent_runs: Vec<RunAgent>,
    pub closed: u32,
    pub reopened: u32,
    pub workspaces_removed: u32,
}

/// All tickets' worlds, by ticket id.
#[derive(Clone, Default)]
pub struct Worlds(Arc<Mutex<BTreeMap<String, Arc<Mutex<World>>>>>);

impl Worlds {
    pub fn of(&self, ticket_id: &str) -> Arc<Mutex<World>> {
        lock(&self.0)
            .entry(ticket_id.to_owned())
            .or_default()
            .clone()
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no test thread panics while it holds a world")
}

/// A failure for good that tells what was spent.
fn failure(kind: &str, spent: Spent) -> ActivityError {
    ApplicationFailure::builder(std::io::Error::other("as the test wants it"))
        .type_name(kind.to_owned())
        .non_retryable(true)
        .details(spent)
        .build()
        .into()
}

pub struct Scripted(pub Worlds);

impl Scripted {
    fn world(&self, ticket: &TicketKey) -> Arc<Mutex<World>> {
        self.0.of(&ticket.ticket_id)
    }
}

#[activities]
impl Scripted {
    #[activity(definition = definitions::FetchTicket)]
    pub async fn fetch_ticket(
        self: Arc<Self>,
        _ctx: ActivityContext,
        ticket: TicketKey,
    ) -> Result<TicketSummary, ActivityError> {
        if lock(&self.world(&ticket)).ticket_is_unknown {
            return Err(ApplicationFailure::builder(std::io::Error::other(
                "Flux Lens knows no ticket of that id",
            ))
            .type_name(kind::TICKET_NOT_FOUND.to_owned())
            .non_retryable(true)
            .build()
            .into());
        }
        lock(&self.world(&ticket)).tickets_read += 1;
        Ok(answers::summary(&ticket.ticket_id))
    }

    #[activity(definition = definitions::CommentOnTicket)]
    pub async fn comment_on_ticket(
        self: Arc<Self>,
        _ctx: ActivityContext,
        comment: TicketComment,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&comment.key.ticket))
            .comments
            .push(comment.event);
        Ok(())
    }

    #[activity(definition = definitions::SetTicketStatus)]
    pub async fn set_ticket_status(
        self: Arc<Self>,
        _ctx: ActivityContext,
        change: SetTicketStatus,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&change.ticket))
            .statuses
            .push(change.status);
        Ok(())
    }

    #[activity(definition = definitions::LoadPolicy)]
    pub async fn load_policy(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: LoadPolicy,
    ) -> Result<PinnedPolicy, ActivityError> {
        let effective = lock(&self.world(&input.ticket)).effective.clone();
        Ok(answers::pinned(
            answers::BASE,
            effective.unwrap_or(input.installation),
        ))
    }

    #[activity(definition = definitions::CheckBase)]
    pub async fn check_base(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: CheckBase,
    ) -> Result<BaseCheck, ActivityError> {
        let world = self.world(&input.ticket);
        let mut world = lock(&world);
        let effective = world
            .effective
            .clone()
            .unwrap_or_else(|| input.installation.clone());
        Ok(match world.bases.pop_front() {
            None => BaseCheck::Unchanged,
            Some(change) => answers::changed_base(input, change, effective),
        })
    }

    #[activity(definition = definitions::Plan)]
    pub async fn plan(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: PlanInput,
    ) -> Result<Planned, ActivityError> {
        let world = self.world(&input.key.ticket);
        let mut world = lock(&world);
        let seen = answers::seen(&input);
        world.plans.push(input);
        if let Some((kind, spent)) = world.plan_failures.pop_front() {
            return Err(failure(kind, spent));
        }
        let usage = Usage {
            requests: 1,
            input_tokens: 100,
            output_tokens: 10,
            ..Usage::default()
        };
        let outcome = match world.questions.pop_front() {
            Some(questions) => PlanOutcome::Questions(questions),
            None => PlanOutcome::Spec(answers::spec(world.plans.len())),
        };
        Ok(Planned {
            outcome,
            usage,
            seen,
            context: None,
        })
    }

    #[activity(definition = definitions::ClaimHost)]
    pub async fn claim_host(
        self: Arc<Self>,
        ctx: ActivityContext,
        _ticket: TicketKey,
    ) -> Result<HostClaim, ActivityError> {
        Ok(HostClaim {
            host_id: "test".to_owned(),
            task_queue: ctx.info().task_queue.clone(),
        })
    }

    #[activity(definition = definitions::PrepareWorkspace)]
    pub async fn prepare_workspace(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: PrepareWorkspace,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&input.ticket)).prepared.push(input);
        Ok(())
    }

    #[activity(definition = definitions::RunAgent)]
    pub async fn run_agent(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: RunAgent,
    ) -> Result<AgentRun, ActivityError> {
        let world = self.world(&input.key.ticket);
        lock(&world).agent_runs.push(input);
        if lock(&world).agent_hangs {
            loop {
                ctx.record_heartbeat("working").await?;
                tokio::select! {
                    () = ctx.cancelled() => return Err(ActivityError::cancelled()),
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                }
            }
        }
        let mut world = lock(&world);
        if let Some((kind, spent)) = world.agent_failures.pop_front() {
            return Err(failure(kind, spent));
        }
        let run = world.agent_runs.len();
        let result = world
            .agent
            .pop_front()
            .unwrap_or_else(|| answers::committed(run));
        let usage = Usage {
            requests: 3,
            input_tokens: 1000,
            output_tokens: 100,
            cost_micro_usd: 7,
            ..Usage::default()
        };
        Ok(AgentRun {
            result,
            usage,
            seconds: 60,
            summary: "Done.".to_owned(),
        })
    }

    #[activity(definition = definitions::RunQa)]
    pub async fn run_qa(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: RunQa,
    ) -> Result<QaResult, ActivityError> {
        let world = self.world(&input.key.ticket);
        let mut world = lock(&world);
        let passed = world.qa.pop_front().unwrap_or(true);
        world.checked.push(input);
        Ok(answers::qa(passed))
    }

    #[activity(definition = definitions::RemoveWorkspace)]
    pub async fn remove_workspace(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: RemoveWorkspace,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&input.ticket)).workspaces_removed += 1;
        Ok(())
    }

    #[activity(definition = definitions::PublishBranch)]
    pub async fn publish_branch(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: PublishBranch,
    ) -> Result<String, ActivityError> {
        let branch = input.ticket.branch();
        lock(&self.world(&input.ticket)).published.push(input);
        Ok(branch)
    }

    #[activity(definition = definitions::OpenPullRequest)]
    pub async fn open_pull_request(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: OpenPullRequest,
    ) -> Result<PullRequest, ActivityError> {
        let opened = answers::pull_request(&input);
        lock(&self.world(&input.ticket)).proposed.push(input);
        Ok(opened)
    }

    #[activity(definition = definitions::MergePullRequest)]
    pub async fn merge_pull_request(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: ChangePullRequest,
    ) -> Result<MergeResult, ActivityError> {
        let world = self.world(&input.ticket);
        let mut world = lock(&world);
        let next = world.merges.pop_front();
        world.merged.push(input);
        Ok(next.unwrap_or_else(answers::merged))
    }

    #[activity(definition = definitions::ClosePullRequest)]
    pub async fn close_pull_request(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: ChangePullRequest,
    ) -> Result<CloseResult, ActivityError> {
        let world = self.world(&input.ticket);
        let mut world = lock(&world);
        world.closed += 1;
        let merged = world.merged_on_forge;
        Ok(if merged {
            CloseResult::Merged {
                commit: commit(0xfeed),
            }
        } else {
            CloseResult::Closed
        })
    }

    #[activity(definition = definitions::ReopenPullRequest)]
    pub async fn reopen_pull_request(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: ChangePullRequest,
    ) -> Result<(), ActivityError> {
        let world = self.world(&input.ticket);
        let mut world = lock(&world);
        if world.reopening_fails {
            let reason = std::io::Error::other("the branch is gone");
            let failure = ApplicationFailure::builder(reason).non_retryable(true);
            return Err(failure.build().into());
        }
        world.reopened += 1;
        Ok(())
    }

    #[activity(definition = definitions::RecordTransition)]
    pub async fn record_transition(
        self: Arc<Self>,
        _ctx: ActivityContext,
        record: TransitionRecord,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&record.ticket)).transitions.push(record);
        Ok(())
    }

    #[activity(definition = definitions::OpenGate)]
    pub async fn open_gate(
        self: Arc<Self>,
        _ctx: ActivityContext,
        request: OpenGateRequest,
    ) -> Result<OpenGate, ActivityError> {
        lock(&self.world(&request.ticket))
            .gates
            .push(request.clone());
        Ok(answers::open_gate(request))
    }

    #[activity(definition = definitions::AdmitDecision)]
    pub async fn admit_decision(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: AdmitDecision,
    ) -> Result<Admission, ActivityError> {
        let proven = lock(&self.world(&input.ticket)).proven;
        let comments = input.decision.comments.as_deref().map(object);
        Ok(Admission {
            proven,
            refused: None,
            comments,
        })
    }

    #[activity(definition = definitions::AdmitCommand)]
    pub async fn admit_command(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: AdmitCommand,
    ) -> Result<Admission, ActivityError> {
        let proven = lock(&self.world(&input.ticket)).proven;
        Ok(Admission {
            proven,
            refused: None,
            comments: None,
        })
    }

    #[activity(definition = definitions::RecordCommand)]
    pub async fn record_command(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: RecordCommand,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&input.ticket)).commands.push(input);
        Ok(())
    }

    #[activity(definition = definitions::Remind)]
    pub async fn remind(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: Remind,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&input.ticket)).reminders.push(input);
        Ok(())
    }

    #[activity(definition = definitions::RecordDecision)]
    pub async fn record_decision(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: RecordDecision,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&input.ticket)).decisions.push(input);
        Ok(())
    }

    #[activity(definition = definitions::CloseGate)]
    pub async fn close_gate(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: CloseGate,
    ) -> Result<(), ActivityError> {
        lock(&self.world(&input.ticket)).closings.push(input);
        Ok(())
    }
}
