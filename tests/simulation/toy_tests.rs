//! The simulator itself, tried on toys: that it does what a server, the SDK and a worker do, and that it catches what
//! would stop a worker.

use std::time::Duration;

use temporalio_common::protos::temporal::api::enums::v1::TimeoutType;

use crate::{
    driver::{Driver, HistorySize},
    error::SimulationError,
    events::{ActivityOutcome, Event, json, value},
    instance::TaskError,
    server::{Outcome, UpdateAnswer},
    toy::{CHANNEL, Cancellation, Step, Toy, ToyInput, VERSION},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn start(
    steps: impl IntoIterator<Item = Step>,
    events: impl IntoIterator<Item = Event>,
) -> Result<Driver, SimulationError> {
    let steps = steps.into_iter().collect();
    let input = ToyInput {
        steps,
        log: Vec::new(),
    };
    Driver::start::<Toy>("toy-1", "toys", vec![json(&input)], events)
}

fn started(steps: impl IntoIterator<Item = Step>) -> Driver {
    start(steps, []).expect("the toy starts")
}

fn deliver(driver: &mut Driver, events: impl IntoIterator<Item = Event>) {
    driver.deliver(events).expect("the toy runs");
}

fn elapse(driver: &mut Driver, time: Duration) {
    driver.elapse(time).expect("the toy runs");
}

fn log(driver: &mut Driver) -> Vec<String> {
    let answer = driver.query("log", Vec::new()).expect("the toy answers");
    value(&answer.expect("with its log")).expect("a list")
}

/// What the toy ended with, after a replay that must be the same.
fn result(driver: &Driver) -> Vec<String> {
    driver.replay().expect("the replay is the same");
    match &driver.server().outcome {
        Some(Outcome::Completed(result)) => value(result).expect("a list"),
        other => panic!("the toy came to {other:?}"),
    }
}

fn cancel() -> Event {
    Event::cancel("enough")
}

fn done(seq: u32, said: &str) -> Event {
    Event::ended(seq, ActivityOutcome::completed(&said))
}

fn say(word: &str) -> Event {
    Event::signal("say", &word)
}

fn add(driver: &mut Driver, id: &str, seconds: u64) -> UpdateAnswer {
    driver
        .update(id, "add", json(&seconds))
        .expect("the toy runs")
}

#[test]
fn time_is_virtual_and_timers_fire_in_their_order() {
    let mut driver = started([Step::Sleep(60), Step::Sleep(3600)]);
    let begin = driver.server().now;
    let (seq, timer) = driver.server().next_timer().expect("a timer");
    assert_eq!(
        (
            seq,
            (timer.due - begin).num_seconds(),
            timer.summary.as_str()
        ),
        (1, 60, "nap")
    );
    elapse(&mut driver, 59 * SECOND);
    assert!(log(&mut driver).is_empty());
    // The second timer starts when the first fires, not when somebody looks.
    elapse(&mut driver, HOUR);
    assert_eq!(log(&mut driver), ["Fired"]);
    elapse(&mut driver, SECOND);
    assert_eq!(result(&driver), ["Fired", "Fired"]);
    assert_eq!((driver.server().now - begin).num_seconds(), 3660);
}

#[test]
fn what_falls_due_while_no_worker_is_there_comes_after_the_signals() {
    let mut driver = started([Step::Sleep(60), Step::Sleep(60)]);
    driver.stall(61 * SECOND);
    assert!(log(&mut driver).is_empty());
    deliver(
        &mut driver,
        [say("late"), Event::Timer { seq: 1 }, say("later")],
    );
    assert_eq!(log(&mut driver), ["late", "later", "Fired"]);
    let jobs = &driver.recordings()[0].activations[1].activation.jobs;
    let jobs: Vec<_> = jobs.iter().map(ToString::to_string).collect();
    assert_eq!(jobs, ["SignalWorkflow", "SignalWorkflow", "FireTimer(1)"]);
    driver.stall(60 * SECOND);
    deliver(&mut driver, []);
    assert_eq!(result(&driver), ["late", "later", "Fired", "Fired"]);
}

#[test]
fn each_kind_of_activity_outcome_reaches_the_workflow() {
    let mut driver = started([Cancellation::Try; 3].map(Step::Work));
    let work = &driver.server().activities[&1];
    assert_eq!(
        [&work.name, &work.task_queue, &work.summary],
        ["work", "elsewhere", "a piece of work"]
    );
    assert_eq!(value::<String>(&work.input[0]).expect("text"), "please");
    deliver(&mut driver, [done(1, "done")]);
    let spoilt = ActivityOutcome::failed("Bad", "spoilt", true);
    deliver(&mut driver, [Event::ended(2, spoilt)]);
    let late = ActivityOutcome::TimedOut(TimeoutType::ScheduleToClose);
    deliver(&mut driver, [Event::ended(3, late)]);
    let said = result(&driver);
    assert!(said[1].contains("spoilt"), "{said:?}");
    assert_eq!([&said[0], &said[2]], ["done", "ScheduleToClose"]);
}

#[test]
fn what_no_server_would_report_is_refused() {
    let flaky = ActivityOutcome::failed("Flaky", "try again", false);
    let silent = ActivityOutcome::TimedOut(TimeoutType::Heartbeat);
    let impossible = [
        done(2, "done"),
        Event::ended(1, flaky),
        Event::ended(1, silent),
        Event::ended(1, ActivityOutcome::Cancelled),
        Event::Timer { seq: 1 },
    ];
    for event in impossible {
        let mut driver = started([Step::Work(Cancellation::Try)]);
        let refused = driver
            .deliver([event.clone()])
            .expect_err("it cannot happen");
        assert!(
            matches!(refused, SimulationError::Misuse(_)),
            "{event:?}: {refused}"
        );
        assert!(
            driver.deliver([done(1, "done")]).is_err(),
            "a broken driver goes on"
        );
    }
    let mut driver = started([]);
    assert!(matches!(
        driver.deliver([cancel()]),
        Err(SimulationError::Misuse(_))
    ));
    assert!(matches!(
        driver.start_next_run([]),
        Err(SimulationError::Misuse(_))
    ));
    assert!(!driver.is_running());
}

#[test]
fn a_cancelled_activity_ends_by_its_cancellation_type() {
    for at_once in [Cancellation::Try, Cancellation::Abandon] {
        let mut driver = started([Step::Work(at_once)]);
        deliver(&mut driver, [cancel(), cancel()]);
        assert!(driver.server().cancelled && driver.server().activities.is_empty());
        assert_eq!(result(&driver), ["cancelled"]);
    }
    let heeded = [
        (done(1, "too late"), "too late"),
        (Event::ended(1, ActivityOutcome::Cancelled), "cancelled"),
    ];
    for (event, said) in heeded {
        let mut driver = started([Step::Work(Cancellation::Wait)]);
        deliver(&mut driver, [cancel()]);
        assert!(driver.server().activities[&1].cancel_requested);
        deliver(&mut driver, [event]);
        assert_eq!(result(&driver), [said]);
    }
    let mut driver = started([
        Step::Work(Cancellation::Detached),
        Step::Cancelled,
        Step::Sleep(1),
    ]);
    deliver(&mut driver, [cancel()]);
    deliver(&mut driver, [cancel(), done(1, "undisturbed")]);
    assert_eq!(result(&driver), ["undisturbed", "enough", "Cancelled"]);
}

#[test]
fn an_activity_that_is_cancelled_in_the_task_that_schedules_it_is_never_sent() {
    let mut driver = started([Step::Flinch, Step::Sleep(1)]);
    assert!(driver.server().activities.is_empty());
    elapse(&mut driver, SECOND);
    assert_eq!(result(&driver), ["cancelled", "Fired"]);
}

#[test]
fn an_update_is_rejected_accepted_completed_failed_or_lost() {
    let says = |answer: UpdateAnswer| match answer {
        UpdateAnswer::Rejected(failure) => format!("rejected: {}", failure.message),
        UpdateAnswer::Failed(failure) => format!("failed: {}", failure.message),
        other => format!("{other:?}"),
    };
    let mut driver = started([Step::Sleep(60), Step::Drain]);
    assert_eq!(says(add(&mut driver, "a", 0)), "rejected: zero is nothing");
    let unknown = driver
        .update("b", "subtract", json(&1))
        .expect("the toy runs");
    assert!(matches!(unknown, UpdateAnswer::Rejected(_)), "{unknown:?}");
    assert_eq!(
        says(add(&mut driver, "c", 13)),
        "failed: thirteen is no number"
    );
    assert_eq!(add(&mut driver, "d", 90), UpdateAnswer::Accepted);
    // As on a server, the same id is the same update; what was rejected may be sent again.
    assert_eq!(add(&mut driver, "d", 5), UpdateAnswer::Accepted);
    assert_eq!(add(&mut driver, "a", 100), UpdateAnswer::Accepted);
    driver
        .restart()
        .expect("the replay is the same, without what was rejected");
    elapse(&mut driver, 100 * SECOND);
    assert_eq!(
        driver.server().answer("d"),
        Some(&UpdateAnswer::Completed(json(&2)))
    );
    assert_eq!(
        driver
            .server()
            .updates
            .iter()
            .filter(|update| update.run == 1)
            .count(),
        5
    );
    assert_eq!(
        result(&driver),
        ["Fired", "added 90", "added 100", "drained"]
    );

    let mut driver = started([Step::Sleep(60)]);
    add(&mut driver, "e", 90);
    elapse(&mut driver, 60 * SECOND);
    assert_eq!(driver.server().answer("e"), Some(&UpdateAnswer::Lost));
}

#[test]
fn events_can_reach_the_workflow_before_its_first_step() {
    let update = Event::update("a", "add", &0);
    let mut driver = start([Step::Sleep(1)], [update, say("early")]).expect("the toy starts");
    assert!(matches!(
        driver.server().answer("a"),
        Some(UpdateAnswer::Rejected(_))
    ));
    elapse(&mut driver, SECOND);
    assert_eq!(result(&driver), ["early", "Fired"]);
}

#[test]
fn a_restart_goes_on_where_the_worker_stopped() {
    let mut driver = started([Step::Work(Cancellation::Try), Step::Sleep(1)]);
    driver.restart().expect("the replay is the same");
    deliver(&mut driver, [done(1, "done")]);
    driver.restart().expect("the replay is the same");
    elapse(&mut driver, SECOND);
    assert_eq!(result(&driver), ["done", "Fired"]);
}

#[test]
fn what_the_workflow_shows_can_be_seen() {
    let mut driver = started([Step::Show("busy".to_owned()), Step::Sleep(1), Step::Clear]);
    let attribute: String = value(&driver.server().search_attributes["ToyState"]).expect("text");
    let memo: String = value(&driver.server().memo["state"]).expect("text");
    assert_eq!([attribute, memo, driver.current_details()], ["busy"; 3]);
    elapse(&mut driver, SECOND);
    assert!(driver.server().search_attributes.is_empty() && driver.server().memo.is_empty());
    assert_eq!(result(&driver), ["shown", "Fired", "cleared"]);
}

#[test]
fn a_new_run_carries_the_state_on() {
    let mut driver = started([
        Step::Show("busy".to_owned()),
        Step::NextRun,
        Step::Sleep(60),
    ]);
    elapse(&mut driver, HOUR);
    driver.history = HistorySize {
        length: 4321,
        bytes: 1 << 20,
        continue_as_new_suggested: true,
    };
    add(&mut driver, "a", 7200);
    elapse(&mut driver, HOUR);
    assert!(matches!(
        driver.server().outcome,
        Some(Outcome::ContinuedAsNew(_))
    ));
    assert_eq!(driver.server().answer("a"), Some(&UpdateAnswer::Lost));
    let end = driver.server().now;
    driver
        .start_next_run([say("between")])
        .expect("the toy goes on");
    assert_eq!(log(&mut driver), ["shown", "4321 events", "between"]);
    assert_eq!((driver.server().now, driver.server().run), (end, 2));
    assert!(driver.server().search_attributes.contains_key("ToyState"));
    assert_eq!((driver.history.length, driver.history.bytes), (0, 0));
    driver.restart().expect("the second run replays");
    elapse(&mut driver, 60 * SECOND);
    assert_eq!(driver.recordings().len(), 2);
    assert_eq!(
        result(&driver),
        ["shown", "4321 events", "between", "Fired"]
    );
}

#[test]
fn a_patch_lets_old_histories_replay_on_new_code() {
    let mut old = started([Step::Patched]);
    assert!(old.server().patches.is_empty());
    VERSION.set(2);
    old.replay().expect("the patch leaves the old run alone");
    let mut new = started([Step::Patched]);
    assert!(new.server().patches.contains("longer"));
    old.restart()
        .expect("the new worker takes the old run over");
    new.restart().expect("the replay is told of the patch");
    elapse(&mut old, SECOND);
    elapse(&mut new, 2 * SECOND);
    assert_eq!(
        (result(&old), result(&new)),
        (
            vec!["longer: false".to_owned()],
            vec!["longer: true".to_owned()]
        )
    );
    VERSION.set(3);
    let differs = old
        .replay()
        .expect_err("the code changed and no patch says so");
    assert!(
        matches!(differs, SimulationError::Nondeterministic { .. }),
        "{differs}"
    );
}

#[test]
fn code_that_is_not_deterministic_is_caught() {
    let mut driver = started([Step::Sleep(1), Step::Count]);
    driver.replay().expect("so far it is the same");
    elapse(&mut driver, SECOND);
    let differs = driver
        .replay()
        .expect_err("it takes another time each time");
    let SimulationError::Nondeterministic {
        place,
        recorded,
        replayed,
    } = &differs
    else {
        panic!("{differs}")
    };
    assert_eq!(
        (place.run, place.activation, place.jobs.as_str()),
        (1, 2, "FireTimer(1)")
    );
    assert!(
        recorded.contains("seconds: 2") && replayed.contains("seconds: 3"),
        "{differs}"
    );
    assert!(driver.restart().is_err());
}

#[test]
fn what_a_worker_would_try_for_ever_is_an_error() {
    let panicked = start([Step::Panic], [])
        .err()
        .expect("it panics")
        .to_string();
    assert!(
        panicked.contains("the toy is broken") && panicked.contains("InitializeWorkflow"),
        "{panicked}"
    );
    let task_error = |error: Option<SimulationError>| match error {
        Some(SimulationError::Task { error, .. }) => error,
        other => panic!("it came to {other:?}"),
    };
    let unfit = Driver::start::<Toy>("toy-1", "toys", vec![json(&"no steps")], []);
    assert!(matches!(task_error(unfit.err()), TaskError::Failed(_)));
    let mut driver = started([Step::Sleep(1)]);
    let unfit = Event::signal("say", &1);
    assert!(matches!(
        task_error(driver.deliver([unfit]).err()),
        TaskError::Failed(_)
    ));
    let play = Event::Signal {
        name: "play".to_owned(),
        input: Vec::new(),
    };
    assert_eq!(
        task_error(start([Step::Play], [play]).err()),
        TaskError::Endless
    );
    let unsupported = start([Step::LocalWork], []).err();
    assert!(
        matches!(unsupported, Some(SimulationError::Unsupported(_))),
        "{unsupported:?}"
    );
}

#[test]
fn futures_of_others_are_caught() {
    let is_foreign = |error: &SimulationError| {
        matches!(
            error,
            SimulationError::Task {
                error: TaskError::ForeignWake,
                ..
            }
        )
    };
    let woken = start([Step::Yield], []).err().expect("it wakes itself");
    assert!(is_foreign(&woken), "{woken}");
    let stuck = start([Step::Never], []).err().expect("it is stuck");
    assert!(matches!(stuck, SimulationError::Stuck(_)), "{stuck}");

    let mut driver = started([Step::Channel]);
    let sender = CHANNEL.take().expect("it waits");
    let sent = std::thread::spawn(|| sender.send(())).join();
    sent.expect("the thread ends").expect("the toy listens");
    let woken = driver.elapse(60 * SECOND).expect_err("a thread woke it");
    assert!(is_foreign(&woken), "{woken}");
}

#[test]
fn a_run_ends_as_the_workflow_says() {
    let failed = started([Step::Fail]);
    let Some(Outcome::Failed(failure)) = &failed.server().outcome else {
        panic!("{:?}", failed.server().outcome)
    };
    assert_eq!(failure.message, "no more");
    let cancelled = started([Step::GiveUp]);
    assert_eq!(cancelled.server().outcome, Some(Outcome::Cancelled(None)));
    assert!(!cancelled.is_running());
}
