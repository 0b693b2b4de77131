use sallyport_ledger::{
    Database,
    approvals::close_gate,
    notifications::{
        ANY_CHANNEL, EVERYBODY, Notice, NotificationRow, NotificationStatus, of_workflow, tell,
    },
};
use sallyport_workflows::{
    activities::{CloseGate, GateClosing},
    gate::OpenGate,
    ticket::TicketKey,
};

use crate::{
    at, begun,
    gates::{open, request},
    ledger, owner, second_process, ticket,
};

fn reminder(gate: &OpenGate) -> Notice {
    Notice {
        key: format!("reminder/{}/1", gate.approval_id),
        subject: "it still waits".into(),
        body: "Decide.".into(),
    }
}

fn closing(ticket: &TicketKey, gate: &OpenGate) -> CloseGate {
    CloseGate {
        ticket: ticket.clone(),
        approval_id: gate.approval_id,
        closing: GateClosing::Expired,
        by: None,
        at: at(6),
    }
}

async fn rows(database: &Database, ticket: &TicketKey) -> Vec<NotificationRow> {
    of_workflow(database, ticket.ledger_id()).await.unwrap()
}

#[tokio::test]
async fn each_named_approver_is_told_once() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let mut asked = request(&ticket, 1);
    asked.policy.approvers = vec!["a@example.com".into(), "b@example.com".into()];
    let gate = open(&database, &asked).await;
    open(&database, &asked).await;
    let rows = rows(&database, &ticket).await;
    let recipients: Vec<_> = rows.iter().map(|row| row.recipient.as_str()).collect();
    assert_eq!(recipients, ["a@example.com", "b@example.com"]);
    for row in rows {
        assert_eq!(row.key, format!("opened/{}", gate.approval_id));
        assert_eq!(
            (row.channel.as_str(), row.status, row.sent_at),
            (ANY_CHANNEL, NotificationStatus::Pending, None)
        );
        assert_eq!(
            (row.subject.as_str(), row.body.as_str()),
            ("a SPEC waits", "Decide\u{fffd}.")
        );
        assert_eq!(row.approval_id, Some(gate.approval_id));
    }
}

#[tokio::test]
async fn a_reminder_is_written_once_for_everybody() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let gate = open(&database, &request(&ticket, 1)).await;
    let remind = async || {
        tell(&database, &ticket, gate.approval_id, &reminder(&gate))
            .await
            .unwrap()
    };
    assert_eq!((remind().await, remind().await), (1, 0));
    let rows = rows(&database, &ticket).await;
    let recipients: Vec<_> = rows.iter().map(|row| row.recipient.as_str()).collect();
    assert_eq!(recipients, [EVERYBODY, EVERYBODY]);
}

#[tokio::test]
async fn a_closed_gate_leaves_nothing_waiting() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let (gate, other) = (
        open(&database, &request(&ticket, 1)).await,
        open(&database, &request(&ticket, 2)).await,
    );
    mark_sent(&database, &ticket, &gate).await;
    tell(&database, &ticket, gate.approval_id, &reminder(&gate))
        .await
        .unwrap();
    assert!(
        close_gate(&database, &closing(&ticket, &gate))
            .await
            .unwrap()
    );
    let late = Notice {
        key: "late".into(),
        ..reminder(&gate)
    };
    let told = tell(&database, &ticket, gate.approval_id, &late).await;
    assert_eq!(told.unwrap(), 0);
    let statuses: Vec<_> = rows(&database, &ticket)
        .await
        .into_iter()
        .map(|row| (row.approval_id == Some(other.approval_id), row.status))
        .collect();
    assert_eq!(
        statuses,
        [
            (false, NotificationStatus::Sent),
            (true, NotificationStatus::Pending),
            (false, NotificationStatus::Skipped),
        ]
    );
}

/// A channel has sent what waits about the gate.
async fn mark_sent(database: &Database, ticket: &TicketKey, gate: &OpenGate) {
    let waiting = rows(database, ticket).await;
    assert!(
        waiting
            .iter()
            .any(|row| row.approval_id == Some(gate.approval_id))
    );
    sqlx::query("UPDATE notifications SET status = 'SENT', sent_at = now() WHERE approval_id = $1")
        .bind(gate.approval_id)
        .execute(database.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn another_ticket_neither_tells_nor_takes_back() {
    let database = ledger().await;
    let mine = begun(&database, "FL-1").await;
    begun(&database, "FL-2").await;
    let gate = open(&database, &request(&mine, 1)).await;
    let other = ticket("FL-2");
    let told = tell(&database, &other, gate.approval_id, &reminder(&gate)).await;
    assert_eq!(told.unwrap(), 0);
    assert!(
        !close_gate(&database, &closing(&other, &gate))
            .await
            .unwrap()
    );
    let rows = rows(&database, &mine).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].status, NotificationStatus::Pending);
}

#[tokio::test]
async fn a_gate_cannot_close_between_the_look_and_the_row() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let gate = open(&database, &request(&ticket, 1)).await;
    // Somebody is about to close the gate.
    let mut closer = second_process(&database)
        .await
        .pool()
        .begin()
        .await
        .unwrap();
    sqlx::query("UPDATE approvals SET status = 'EXPIRED', decided_at = now() WHERE id = $1")
        .bind(gate.approval_id)
        .execute(&mut *closer)
        .await
        .unwrap();
    let telling = {
        let (database, ticket, gate) = (database.clone(), ticket.clone(), gate.clone());
        tokio::spawn(
            async move { tell(&database, &ticket, gate.approval_id, &reminder(&gate)).await },
        )
    };
    let mut owner = owner(&database).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waits)
        .fetch_one(&mut owner)
        .await
        .unwrap()
        == 0
    {
        assert!(!telling.is_finished(), "it did not wait for the closing");
        tokio::task::yield_now().await;
    }
    closer.commit().await.unwrap();
    assert_eq!(telling.await.unwrap().unwrap(), 0);
}
