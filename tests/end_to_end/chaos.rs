//! A few seeds of `cargo xtask chaos`, on every test run.

use sallyport_test_support::chaos::{plan::Plan, trial};

use crate::fixture::scratch;

// Its tests need more than one thread: the proxies work beside what waits for a command.
async fn trial(seed: u64) {
    let folder = scratch(&format!("chaos-{seed}"));
    let outcome = trial::run(Plan::of(seed), &folder)
        .await
        .expect("a trial can be made");
    assert!(
        outcome.is_good(),
        "seed {seed} ({}): struck {:?}, wrong {:#?}; logs in {}",
        outcome.plan,
        outcome.struck,
        outcome.wrong,
        outcome.folder.display()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calm_ticket_reaches_exactly_the_boundaries_that_seeds_strike() {
    trial(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_between_a_gates_record_and_its_opening_loses_no_decision() {
    trial(14).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_and_cuts_of_every_kind_lose_and_double_nothing() {
    trial(43).await;
}
