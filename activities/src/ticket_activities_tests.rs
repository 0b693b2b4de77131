//! The ticket system as the activities see it.

use sallyport_test_support::{
    flux_lens::{NewTicket, Priority, Status},
    scripted_model::Scenario,
};
use sallyport_workflows::{
    activities::{StepKey, TicketEvent, TicketStatusName},
    failure::kind,
};

use super::*;
use crate::testing::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_read_commented_on_and_moved() {
    let house = House::new(&[("a", "a")], Scenario::new()).await;
    let id = house
        .flux_lens
        .create_ticket(NewTicket {
            title: "a is wrong".into(),
            description: "See src/a.js.".into(),
            priority: Priority::Normal,
            reporter: "reporter@example.com".into(),
            project: "DEMO".into(),
            labels: Vec::new(),
        })
        .unwrap();
    let ticket = TicketKey::first("flux-lens", id.clone());
    let steps = TicketSteps::new(house.context.clone());
    let summary = steps.fetch(&ticket).await.unwrap();
    assert_eq!(summary.title, "a is wrong");
    let stored = house
        .context
        .objects
        .get_text(&summary.content)
        .await
        .unwrap();
    assert!(stored.contains("See src/a.js."));

    let comment = TicketComment {
        key: StepKey {
            ticket: ticket.clone(),
            sequence: 3,
        },
        event: TicketEvent::Started,
    };
    for _ in 0..2 {
        steps.comment(&comment).await.unwrap();
    }
    assert_eq!(house.flux_lens.comments(&id).len(), 1);
    let change = SetTicketStatus {
        ticket,
        status: TicketStatusName::InProgress,
    };
    steps.set_status(&change).await.unwrap();
    assert_eq!(house.flux_lens.status(&id), Some(Status::InProgress));

    let unknown = steps
        .fetch(&TicketKey::first("flux-lens", "FL-999"))
        .await
        .unwrap_err();
    assert!(unknown.is_final() && unknown.kind() == kind::TICKET_NOT_FOUND);
    let nowhere = steps
        .fetch(&TicketKey::first("jira", "J-1"))
        .await
        .unwrap_err();
    assert!(nowhere.is_final());
}
