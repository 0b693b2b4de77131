//! Business hours on a real server whose clock runs ahead: over a weekend in which the clocks are changed.

use chrono::{DateTime, Datelike, Days, NaiveTime, Offset, TimeDelta, Utc, Weekday};
use chrono_tz::{Europe::Berlin, Tz};
use sallyport_workflows::{
    State,
    gate::{Gate, OpenGate},
    policy::{Calendar, GatePolicy, InstallationPolicy},
};

use crate::{
    harness::{ANN, Ticket, policy},
    scripted::lock,
};

const HOUR: u64 = 60 * 60;
const YEAR: u64 = 366 * 24 * HOUR;

fn at(day: DateTime<Tz>, hour: u32) -> DateTime<Tz> {
    let time = NaiveTime::from_hms_opt(hour, 0, 0).expect("a time of day");
    day.with_time(time).single().expect("it is there once")
}

fn offset(day: DateTime<Tz>) -> i32 {
    at(day, 12).offset().fix().local_minus_utc()
}

/// The Friday, at four in the afternoon, before the next weekend in which Berlin's clocks go forward, or back.
fn friday_before_the_clocks_change(forward: bool) -> DateTime<Tz> {
    let is_before = |friday: DateTime<Tz>| {
        let change = offset(friday + Days::new(3)) - offset(friday);
        change == if forward { 3600 } else { -3600 }
    };
    // What is nearer than two days could be past before the ticket gets there.
    (2..=366)
        .map(|days| at(Utc::now().with_timezone(&Berlin) + Days::new(days), 16))
        .find(|day| day.weekday() == Weekday::Fri && is_before(*day))
        .expect("the clocks are changed every half year")
}

/// A ticket whose gate 2, open for ten business hours, opened that Friday at four.
async fn at_gate_2(ticket_id: &str, friday: DateTime<Tz>) -> (Ticket, OpenGate) {
    let berlin = Calendar {
        time_zone: "Europe/Berlin".to_owned(),
        days: vec![
            Weekday::Mon,
            Weekday::Tue,
            Weekday::Wed,
            Weekday::Thu,
            Weekday::Fri,
        ],
        from: at(friday, 9).time(),
        to: at(friday, 17).time(),
        holidays: Vec::new(),
    };
    let patient = InstallationPolicy {
        // Gate 1 waits until that Friday.
        spec_gate: GatePolicy {
            reminders_percent: Vec::new(),
            ..GatePolicy::seconds(2 * YEAR)
        },
        pr_gate: GatePolicy {
            calendar: Some(berlin),
            reminders_percent: vec![50],
            ..GatePolicy::seconds(10 * HOUR)
        },
        ..policy()
    };
    let ticket = Ticket::start(ticket_id, patient, |_| {}).await;
    let first = ticket.until_gate(Gate::Spec).await;
    let until_friday = (friday.with_timezone(&Utc) - first.opened_at)
        .to_std()
        .expect("it is to come");
    // To the next whole second: not before four.
    ticket.skip(until_friday.as_secs() + 1, "that Friday").await;
    ticket.approve(Gate::Spec, ANN).await;
    let open = ticket.until_gate(Gate::Pr).await;
    (ticket, open)
}

/// Silence closes the gate on Tuesday at ten by Berlin's clock, and a reminder comes on Monday at one.
async fn waits_until_tuesday_at_ten(ticket_id: &str, forward: bool) {
    let friday = friday_before_the_clocks_change(forward);
    let (ticket, open) = at_gate_2(ticket_id, friday).await;
    // So late did the gate open: the work before it took real seconds.
    let late = open.opened_at - friday.with_timezone(&Utc);
    assert!(
        late >= TimeDelta::zero() && late < TimeDelta::minutes(55),
        "{late}"
    );
    let tuesday = at(friday + Days::new(4), 10) + late;
    assert_eq!(open.deadline.with_timezone(&Berlin), tuesday);
    let monday = at(friday + Days::new(3), 13) + late;
    assert_eq!(open.reminders, [monday.with_timezone(&Utc)]);
    // By the wall the hours are one fewer, or one more, than over any other weekend.
    let hours = (open.deadline - open.opened_at).num_hours();
    assert_eq!(hours, if forward { 89 } else { 91 });

    let seconds = |length: TimeDelta| length.num_seconds().unsigned_abs();
    let reminded = || lock(&ticket.world).reminders.len();
    ticket
        .skip(
            seconds(open.reminders[0] - open.opened_at) - 60,
            "Monday at noon",
        )
        .await;
    assert_eq!(reminded(), 0);
    let rest = open.deadline - open.reminders[0];
    ticket.skip(seconds(rest) - 60, "almost Tuesday").await;
    assert_eq!(reminded(), 1);
    assert_eq!(ticket.status().await.state, State::AwaitingPrApproval);
    ticket.skip(2 * 60, "Tuesday at ten").await;
    let status = ticket.until_state(State::PrClosed).await;
    assert!(status.since >= open.deadline, "{status:?}");
}

#[tokio::test]
async fn business_hours_pass_over_a_weekend_in_which_the_clocks_go_forward() {
    waits_until_tuesday_at_ten("SPRING-1", true).await;
}

#[tokio::test]
async fn business_hours_pass_over_a_weekend_in_which_the_clocks_go_back() {
    waits_until_tuesday_at_ten("AUTUMN-1", false).await;
}
