use sallyport_ledger::{
    Database, approvals,
    commands::{CommandRow, RefusedByApi, of_workflow, record_command, record_refusal},
    decisions::Origin,
    workflows::find,
};
use sallyport_workflows::{
    State,
    activities::{CloseGate, ExtendedGate, GateClosing, RecordCommand},
    command::{Action, Command, CommandRecord},
    policy::BudgetRaise,
    ticket::TicketKey,
};
use uuid::Uuid;

use crate::{
    at, begun,
    gates::{open, request},
    ledger, ticket,
};

fn recorded(ticket: &TicketKey, id: u128, action: Action) -> RecordCommand {
    RecordCommand {
        ticket: ticket.clone(),
        record: CommandRecord {
            id: Uuid::from_u128(id),
            action,
            by: "admin@example.com".into(),
            reason: Some("because\0".into()),
            at: at(id as i64),
            state: State::Error,
            proven: true,
            refused: None,
        },
        from: None,
        raise: BudgetRaise::default(),
        seconds: None,
        extended: None,
    }
}

fn refused(ticket: &TicketKey, id: u128) -> RefusedByApi {
    RefusedByApi {
        ticket: ticket.clone(),
        id: Uuid::from_u128(id),
        command: Command {
            id: Some(Uuid::from_u128(id)),
            action: Action::Retry,
            from: Some(State::Planning),
            raise: BudgetRaise {
                repairs: 1,
                ..BudgetRaise::default()
            },
            seconds: None,
            by: "viewer@example.com".into(),
            reason: None,
            proof: None,
        },
        reason: "only an admin may retry".into(),
        at: at(1),
    }
}

async fn rows(database: &Database, ticket: &TicketKey) -> Vec<CommandRow> {
    of_workflow(database, ticket.ledger_id()).await.unwrap()
}

#[tokio::test]
async fn every_action_is_on_record_as_it_was_given() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let actions = [
        Action::Retry,
        Action::Abandon,
        Action::Cancel,
        Action::Extend,
        Action::Reopen,
    ];
    for (id, action) in (1..).zip(actions) {
        let mut record = recorded(&ticket, id, action);
        if action == Action::Retry {
            record.from = Some(State::Planning);
            record.raise.tokens = u64::MAX;
        }
        if action == Action::Extend {
            record.seconds = Some(60);
            record.record.refused = Some("nothing waits".into());
        }
        record_command(&database, &record).await.unwrap();
    }
    let rows = rows(&database, &ticket).await;
    assert_eq!(
        rows.iter().map(|row| row.action).collect::<Vec<_>>(),
        actions
    );
    let expected = CommandRow {
        id: Uuid::from_u128(1),
        action: Action::Retry,
        from: Some(State::Planning),
        raise: BudgetRaise {
            tokens: u64::MAX,
            ..BudgetRaise::default()
        },
        seconds: None,
        approval_id: None,
        extended_until: None,
        by: "admin@example.com".into(),
        reason: Some("because\u{fffd}".into()),
        state: Some(State::Error),
        proven: true,
        refused: None,
        origin: Origin::Workflow,
        at: at(1),
    };
    assert_eq!(rows[0], expected);
    assert_eq!(rows[1].raise, BudgetRaise::default());
    assert_eq!(
        (rows[3].seconds, rows[3].refused.as_deref()),
        (Some(60), Some("nothing waits"))
    );
}

#[tokio::test]
async fn a_command_is_on_record_once_and_the_workflow_has_the_last_word() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    for _ in 0..2 {
        record_refusal(&database, &refused(&ticket, 1))
            .await
            .unwrap();
    }
    let api = rows(&database, &ticket).await;
    assert_eq!(api.len(), 1);
    assert_eq!((api[0].origin, api[0].state), (Origin::Api, None));
    assert_eq!(api[0].refused.as_deref(), Some("only an admin may retry"));
    assert_eq!(
        (api[0].from, api[0].raise.repairs),
        (Some(State::Planning), 1)
    );

    record_command(&database, &recorded(&ticket, 1, Action::Abandon))
        .await
        .unwrap();
    let known = rows(&database, &ticket).await;
    assert_eq!(known.len(), 1);
    assert_eq!(
        (known[0].origin, known[0].action, known[0].refused.clone()),
        (Origin::Workflow, Action::Abandon, None)
    );
    assert_eq!((known[0].from, known[0].raise.repairs), (None, 0));
    record_command(&database, &recorded(&ticket, 1, Action::Cancel))
        .await
        .unwrap();
    record_refusal(&database, &refused(&ticket, 1))
        .await
        .unwrap();
    assert_eq!(rows(&database, &ticket).await, known);
}

#[tokio::test]
async fn a_commands_id_belongs_to_its_ticket() {
    let database = ledger().await;
    for id in ["FL-1", "FL-2"] {
        let ticket = begun(&database, id).await;
        record_command(&database, &recorded(&ticket, 1, Action::Cancel))
            .await
            .unwrap();
    }
    assert_eq!(rows(&database, &ticket("FL-2")).await.len(), 1);
}

#[tokio::test]
async fn an_extension_moves_the_gates_deadline_once() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let gate = open(&database, &request(&ticket, 1)).await;
    let before = find(&database, "FL-1").await.unwrap().updated_at;
    let extend = |id, seconds| RecordCommand {
        seconds: Some(60),
        extended: Some(ExtendedGate {
            approval_id: gate.approval_id,
            deadline: at(seconds),
        }),
        ..recorded(&ticket, id, Action::Extend)
    };
    let deadline = async || {
        approvals::get(&database, gate.approval_id)
            .await
            .unwrap()
            .expires_at
    };
    // The API refused it first, and then it reached the workflow by signal.
    record_refusal(&database, &refused(&ticket, 1))
        .await
        .unwrap();
    record_command(&database, &extend(1, 100_000))
        .await
        .unwrap();
    assert_eq!(deadline().await, at(100_000));
    assert!(find(&database, "FL-1").await.unwrap().updated_at > before);
    let row = &rows(&database, &ticket).await[0];
    assert_eq!(row.extended_until, Some(at(100_000)));
    assert_eq!(row.approval_id, Some(gate.approval_id));

    record_command(&database, &extend(2, 200_000))
        .await
        .unwrap();
    // A late second record of the first.
    record_command(&database, &extend(1, 100_000))
        .await
        .unwrap();
    assert_eq!(deadline().await, at(200_000));

    let closing = CloseGate {
        ticket: ticket.clone(),
        approval_id: gate.approval_id,
        closing: GateClosing::Expired,
        by: None,
        at: at(6),
    };
    approvals::close_gate(&database, &closing).await.unwrap();
    record_command(&database, &extend(3, 300_000))
        .await
        .unwrap();
    assert_eq!(deadline().await, at(200_000));
}

#[tokio::test]
async fn another_ticket_cannot_extend_the_gate() {
    let database = ledger().await;
    let (mine, other) = (
        begun(&database, "FL-1").await,
        begun(&database, "FL-2").await,
    );
    let gate = open(&database, &request(&mine, 1)).await;
    let extend = RecordCommand {
        extended: Some(ExtendedGate {
            approval_id: gate.approval_id,
            deadline: at(200_000),
        }),
        ..recorded(&other, 1, Action::Extend)
    };
    record_command(&database, &extend).await.unwrap();
    let row = approvals::get(&database, gate.approval_id).await.unwrap();
    assert_eq!(row.expires_at, gate.deadline);
}
