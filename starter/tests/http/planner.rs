//! A worker that takes tickets to gate 1, for what only a workflow with an open gate can answer.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use sallyport_ledger::{
    Database, Objects,
    approvals::{self, ApprovalRow, Opening},
    commands, decisions,
    notifications::Notice,
    proof::{DecisionKey, Proof},
    transitions,
};
use sallyport_test_support::{child::until, temporal::TemporalServer};
use sallyport_workflows::{
    ObjectRef,
    activities::{
        Admission, AdmitCommand, AdmitDecision, BaseCheck, CheckBase, CloseGate, LoadPolicy,
        OpenGateRequest, PinnedPolicy, PlanInput, PlanOutcome, Planned, RecordCommand,
        RecordDecision, SetTicketStatus, TicketComment, TransitionRecord, definitions,
    },
    failure::kind,
    gate::OpenGate,
    spec::SpecRef,
    ticket::{FLUX_LENS, TicketKey, TicketSummary},
    usage::Usage,
};
use temporalio_common::error::ApplicationFailure;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    DECISION_KEY, Starter, event, starter_at,
    worker::{admitted, work},
};

/// How long a busy machine may take.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Has a ticket filed, and waits until gate 1 asks about it.
pub async fn at_gate_one(starter: &Starter, id: &str) -> (TicketKey, ApprovalRow) {
    let ticket = TicketKey::first(FLUX_LENS, id);
    let delivery = format!("created/{id}");
    starter
        .deliver(&delivery, &event("ticket.created", id))
        .await;
    starter.dispatch_all().await;
    let gate = until(PATIENCE, "gate 1 is open", async || {
        let asked = approvals::of_workflow(&starter.database, ticket.ledger_id()).await;
        asked.unwrap().into_iter().next()
    });
    let gate = gate.await.unwrap();
    (ticket, gate)
}

/// Takes a ticket to gate 1 without any outside world, and keeps the real ledger.
pub struct Planner {
    ledger: Database,
    objects: Objects,
}

/// A starter on a Temporal server of its own, with a worker that takes its tickets to gate 1.
pub async fn starter_with_planner() -> (Starter, TemporalServer) {
    let server = TemporalServer::own().unwrap();
    let starter = starter_at(&server.address).await;
    let planner = Planner {
        ledger: starter.database.clone(),
        objects: starter.objects.clone(),
    };
    work(&server.address, planner);
    (starter, server)
}

impl Planner {
    async fn object(&self, text: &'static str) -> ObjectRef {
        self.objects.put(text).await.unwrap()
    }
}

#[activities]
impl Planner {
    #[activity(definition = definitions::RecordTransition)]
    pub async fn record_transition(
        self: Arc<Self>,
        _ctx: ActivityContext,
        record: TransitionRecord,
    ) -> Result<(), ActivityError> {
        transitions::record_transition(&self.ledger, &record)
            .await
            .unwrap();
        Ok(())
    }

    #[activity(definition = definitions::FetchTicket)]
    pub async fn fetch_ticket(
        self: Arc<Self>,
        _ctx: ActivityContext,
        ticket: TicketKey,
    ) -> Result<TicketSummary, ActivityError> {
        Ok(TicketSummary {
            title: "Totals are wrong".to_owned(),
            url: format!("https://flux-lens.example.com/{}", ticket.ticket_id),
            reporter: "reporter@example.com".to_owned(),
            content: self.object("ticket").await,
        })
    }

    #[activity(definition = definitions::CommentOnTicket)]
    pub async fn comment_on_ticket(
        self: Arc<Self>,
        _ctx: ActivityContext,
        _comment: TicketComment,
    ) -> Result<(), ActivityError> {
        Ok(())
    }

    #[activity(definition = definitions::SetTicketStatus)]
    pub async fn set_ticket_status(
        self: Arc<Self>,
        _ctx: ActivityContext,
        _change: SetTicketStatus,
    ) -> Result<(), ActivityError> {
        Ok(())
    }

    #[activity(definition = definitions::LoadPolicy)]
    pub async fn load_policy(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: LoadPolicy,
    ) -> Result<PinnedPolicy, ActivityError> {
        Ok(PinnedPolicy {
            base_branch: "main".to_owned(),
            base_commit: "1".repeat(40),
            policy: self.object("policy").await,
            effective: input.installation,
            planner: None,
        })
    }

    #[activity(definition = definitions::Plan)]
    pub async fn plan(
        self: Arc<Self>,
        _ctx: ActivityContext,
        _input: PlanInput,
    ) -> Result<Planned, ActivityError> {
        Ok(Planned {
            outcome: PlanOutcome::Spec(SpecRef {
                revision: "a".repeat(64),
                text: self.object("# SPEC\n").await,
                document: self.object("{}").await,
                base_commit: "1".repeat(40),
                files: 1,
                confidence_percent: 80,
                context: None,
            }),
            usage: Usage::default(),
            seen: None,
            context: None,
        })
    }

    #[activity(definition = definitions::OpenGate)]
    pub async fn open_gate(
        self: Arc<Self>,
        _ctx: ActivityContext,
        request: OpenGateRequest,
    ) -> Result<OpenGate, ActivityError> {
        let notice = Notice {
            key: format!("opened/{}", request.approval_id),
            subject: "a SPEC waits".to_owned(),
            body: "Please decide.".to_owned(),
        };
        let opening = Opening {
            request: &request,
            deadline: Utc::now() + TimeDelta::hours(24),
            reminders: &[],
            notice: &notice,
        };
        Ok(approvals::open_gate(&self.ledger, &opening).await.unwrap())
    }

    #[activity(definition = definitions::AdmitDecision)]
    pub async fn admit_decision(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: AdmitDecision,
    ) -> Result<Admission, ActivityError> {
        let key = DecisionKey::new(&DECISION_KEY.into()).unwrap();
        let proof = key.check_decision(&input.decision, &input.ticket.workflow_id());
        Ok(Admission {
            proven: proof == Proof::Valid,
            refused: None,
            comments: None,
        })
    }

    #[activity(definition = definitions::RecordDecision)]
    pub async fn record_decision(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: RecordDecision,
    ) -> Result<(), ActivityError> {
        decisions::record_decision(&self.ledger, &input)
            .await
            .unwrap();
        Ok(())
    }

    #[activity(definition = definitions::CloseGate)]
    pub async fn close_gate(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: CloseGate,
    ) -> Result<(), ActivityError> {
        approvals::close_gate(&self.ledger, &input).await.unwrap();
        Ok(())
    }

    #[activity(definition = definitions::AdmitCommand)]
    pub async fn admit_command(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: AdmitCommand,
    ) -> Result<Admission, ActivityError> {
        Ok(admitted(&input))
    }

    #[activity(definition = definitions::RecordCommand)]
    pub async fn record_command(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: RecordCommand,
    ) -> Result<(), ActivityError> {
        commands::record_command(&self.ledger, &input)
            .await
            .unwrap();
        Ok(())
    }

    /// An approved ticket is parked here: its decision is what counts.
    #[activity(definition = definitions::CheckBase)]
    pub async fn check_base(
        self: Arc<Self>,
        _ctx: ActivityContext,
        _input: CheckBase,
    ) -> Result<BaseCheck, ActivityError> {
        let enough = std::io::Error::other("there is nothing behind gate 1");
        Err(ApplicationFailure::builder(enough)
            .type_name(kind::STEP_FAILED.to_owned())
            .non_retryable(true)
            .build()
            .into())
    }
}
