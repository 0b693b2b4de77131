//! A toy to try the simulator on: a workflow that does, one after the other, what its input says.

use std::{cell::Cell, task::Poll, time::Duration};

use futures::channel::oneshot;
use serde::{Deserialize, Serialize};
use temporalio_common::{
    MemoValue, error::ApplicationFailure, search_attributes::SearchAttributeKey,
};
use temporalio_macros::{activity_definitions, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, CancellableFuture, ContinueAsNewOptions, LocalActivityOptions,
    SyncWorkflowContext, TimerOptions, WorkflowCancellationToken, WorkflowContext,
    WorkflowContextView, WorkflowResult, activities::ActivityError,
};
use temporalio_workflow::{ActivityCancellationType, ActivityExecutionError, WorkflowTermination};

const STATE: SearchAttributeKey<String> = SearchAttributeKey::keyword("ToyState");

type BoxError = Box<dyn std::error::Error + Send + Sync>;

thread_local! {
    /// Which version of the code is deployed, from 1.
    pub static VERSION: Cell<u64> = const { Cell::new(1) };
    /// The other end of the channel that a toy waits for.
    pub static CHANNEL: Cell<Option<oneshot::Sender<()>>> = const { Cell::new(None) };
}

/// What a toy does next; what came of it goes into its log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Waits for a timer of this many seconds.
    Sleep(u64),
    /// Waits for an activity, which ends in this way when the workflow is cancelled.
    Work(Cancellation),
    /// Waits for a local activity, which the simulator does not know.
    LocalWork,
    /// Schedules an activity and cancels it at once.
    Flinch,
    /// Waits for the token of the workflow.
    Cancelled,
    /// Sets search attribute, memo and current details.
    Show(String),
    /// Clears search attribute and memo.
    Clear,
    /// Sleeps an hour at a time until the server suggests a new run; then goes on in it.
    NextRun,
    /// From version 2 on, behind a patch, sleeps two seconds instead of one; from version 3 on without asking.
    Patched,
    /// Sleeps for as many seconds as it ran before: not deterministic.
    Count,
    /// Awaits a future that wakes itself, as that of another executor.
    Yield,
    /// Awaits a channel of another library.
    Channel,
    /// Awaits what never comes.
    Never,
    /// Panics.
    Panic,
    /// Waits until no handler runs.
    Drain,
    /// Ends as failed.
    Fail,
    /// Ends as cancelled.
    GiveUp,
    /// Throws a ball for ever to whoever plays.
    Play,
}

/// What becomes of an activity when the workflow is cancelled.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Cancellation {
    Try,
    Wait,
    Abandon,
    Detached,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ToyInput {
    pub steps: Vec<Step>,
    pub log: Vec<String>,
}

pub struct ToyActivities;

#[activity_definitions]
impl ToyActivities {
    #[activity(name = "work")]
    fn work(input: String) -> Result<String, ActivityError> {
        unimplemented!()
    }
}

#[workflow]
pub struct Toy {
    steps: Vec<Step>,
    log: Vec<String>,
    ball: bool,
}

#[workflow_methods]
impl Toy {
    #[init]
    fn new(_ctx: &WorkflowContextView, input: ToyInput) -> Self {
        Self {
            steps: input.steps,
            log: input.log,
            ball: false,
        }
    }

    #[run(name = "toy")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        while let Some(step) =
            ctx.state_mut(|toy| (!toy.steps.is_empty()).then(|| toy.steps.remove(0)))
        {
            let said = take(ctx, step).await?;
            ctx.state_mut(|toy| toy.log.push(said));
        }
        Ok(ctx.state(|toy| toy.log.clone()))
    }

    #[signal(name = "say")]
    pub fn say(&mut self, _ctx: &mut SyncWorkflowContext<Self>, word: String) {
        self.log.push(word);
    }

    #[signal(name = "play")]
    pub async fn play(ctx: &mut WorkflowContext<Self>) {
        while ctx.wait_condition(|toy| toy.ball).await.is_ok() {
            ctx.state_mut(|toy| toy.ball = false);
        }
    }

    #[update_validator(add)]
    fn check(&self, _ctx: &WorkflowContextView, seconds: &u64) -> Result<(), BoxError> {
        match *seconds {
            0 => Err("zero is nothing".into()),
            _ => Ok(()),
        }
    }

    #[update(name = "add")]
    pub async fn add(ctx: &mut WorkflowContext<Self>, seconds: u64) -> Result<usize, BoxError> {
        if seconds == 13 {
            return Err("thirteen is no number".into());
        }
        ctx.timer(Duration::from_secs(seconds)).await;
        Ok(ctx.state_mut(|toy| {
            toy.log.push(format!("added {seconds}"));
            toy.log.len()
        }))
    }

    #[query(name = "log")]
    pub fn log(&self, _ctx: &WorkflowContextView) -> Vec<String> {
        self.log.clone()
    }
}

async fn take(ctx: &WorkflowContext<Toy>, step: Step) -> WorkflowResult<String> {
    let sleep = |seconds| {
        let options = TimerOptions::builder(Duration::from_secs(seconds));
        ctx.timer(options.summary("nap".to_owned()).build())
    };
    match step {
        Step::Sleep(seconds) => Ok(format!("{:?}", sleep(seconds).await)),
        Step::Work(cancellation) => {
            let (please, options) = ("please".to_owned(), options(cancellation));
            let work = ctx.execute_activity(ToyActivities::work, please, options);
            Ok(said(work.await))
        }
        Step::LocalWork => {
            let options = LocalActivityOptions::default();
            let local = ctx.execute_local_activity(ToyActivities::work, "here".to_owned(), options);
            Ok(said(local.await))
        }
        Step::Flinch => {
            let (never, options) = ("never".to_owned(), options(Cancellation::Wait));
            let work = ctx.execute_activity(ToyActivities::work, never, options);
            work.cancel();
            Ok(said(work.await))
        }
        Step::Cancelled => Ok(ctx.cancelled().await.unwrap_or_default()),
        Step::Show(text) => {
            ctx.upsert_search_attributes([STATE.value_set(text.clone())]);
            ctx.upsert_memo([("state", Some(MemoValue::new(text.clone())))])?;
            ctx.set_current_details(text);
            Ok("shown".to_owned())
        }
        Step::Clear => {
            ctx.upsert_search_attributes([STATE.value_unset()]);
            ctx.upsert_memo([("state", None)])?;
            Ok("cleared".to_owned())
        }
        Step::NextRun => {
            while !ctx.continue_as_new_suggested() {
                sleep(3600).await;
            }
            let (steps, mut log) = ctx.state(|toy| (toy.steps.clone(), toy.log.clone()));
            log.push(format!("{} events", ctx.history_length()));
            match ctx.continue_as_new(ToyInput { steps, log }, ContinueAsNewOptions::default())? {}
        }
        Step::Patched => {
            let version = VERSION.get();
            let longer = version >= 3 || version == 2 && ctx.patched("longer");
            sleep(if longer { 2 } else { 1 }).await;
            Ok(format!("longer: {longer}"))
        }
        Step::Count => {
            VERSION.set(VERSION.get() + 1);
            sleep(VERSION.get()).await;
            Ok("counted".to_owned())
        }
        Step::Yield => {
            let mut woken = false;
            std::future::poll_fn(|cx| {
                if std::mem::replace(&mut woken, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            Ok("yielded".to_owned())
        }
        Step::Channel => {
            let (sender, receiver) = oneshot::channel();
            CHANNEL.set(Some(sender));
            let timer = sleep(60);
            let _ = receiver.await;
            timer.cancel();
            Ok("received".to_owned())
        }
        Step::Never => {
            std::future::pending::<()>().await;
            Ok("came".to_owned())
        }
        Step::Panic => panic!("the toy is broken"),
        Step::Drain => {
            let handlers = ctx.clone();
            ctx.wait_condition(move |_| handlers.all_handlers_finished())
                .await?;
            Ok("drained".to_owned())
        }
        Step::Fail => Err(WorkflowTermination::failed_application(
            ApplicationFailure::new("no more"),
        )),
        Step::GiveUp => Err(WorkflowTermination::cancelled()),
        Step::Play => loop {
            ctx.wait_condition(|toy| !toy.ball).await?;
            ctx.state_mut(|toy| toy.ball = true);
        },
    }
}

fn options(cancellation: Cancellation) -> ActivityOptions {
    let detached =
        matches!(cancellation, Cancellation::Detached).then(WorkflowCancellationToken::new);
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(60))
        .cancellation_type(match cancellation {
            Cancellation::Try | Cancellation::Detached => ActivityCancellationType::TryCancel,
            Cancellation::Wait => ActivityCancellationType::WaitCancellationCompleted,
            Cancellation::Abandon => ActivityCancellationType::Abandon,
        })
        .maybe_cancellation_token(detached)
        .task_queue("elsewhere")
        .summary("a piece of work")
        .build()
}

fn said(result: Result<String, ActivityExecutionError>) -> String {
    match result {
        Ok(result) => result,
        Err(ActivityExecutionError::Cancelled(_)) => "cancelled".to_owned(),
        Err(error) => match error.as_timeout() {
            Some(timeout) => format!("{:?}", timeout.timeout_type()),
            None => format!("{:?}", error.reason().map(|reason| reason.to_string())),
        },
    }
}
