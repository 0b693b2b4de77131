//! Tickets whose life is chance: under chance policies activities end in any order and in any way, people decide and
//! command at any time, rightly and wrongly, workers stall, restart and lose their memory, histories grow long. Every
//! workflow task of every life is held against the model; every life goes to its end and is replayed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestError, TestRunner},
};
use sallyport_workflows::State;

use crate::{
    chance::{Life, life},
    directed, model,
    player::play,
};

/// So many lives take about half a minute on one core. `PROPTEST_CASES` asks for more, or for fewer.
const CASES: u32 = 400;

/// Rows that the table allows and no ticket takes: what follows a merge is tried until it succeeds, whoever cancels; and a
/// parked ticket does nothing that could fail.
const NEVER: &[(State, State)] = &[
    (State::QaFailed, State::Error),
    (State::Merged, State::Error),
    (State::Merged, State::Cancelled),
    (State::Error, State::Merged),
];

/// How often each transition was taken.
type Taken = BTreeMap<(State, State), u64>;

fn count(taken: &mut Taken, path: &[model::Step]) {
    for step in path.windows(2) {
        *taken.entry((step[0].to, step[1].to)).or_default() += 1;
    }
}

/// Every transition that the table allows, those to ERROR and CANCELLED included.
fn table() -> Vec<(State, State)> {
    let pairs = State::ALL
        .into_iter()
        .flat_map(|from| State::ALL.map(|to| (from, to)));
    pairs.filter(|(from, to)| from.may_go_to(*to)).collect()
}

fn one(life: &Life) -> Result<Vec<model::Step>, TestCaseError> {
    let played = play(life);
    match played.result {
        Ok(()) => Ok(played.path),
        Err(error) => {
            let story = played.story.join("\n");
            Err(TestCaseError::fail(format!(
                "{error}\nwhat happened:\n{story}"
            )))
        }
    }
}

#[test]
fn any_life_is_as_the_model_says() {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => CASES,
    };
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    };
    let taken = Arc::new(Mutex::new(Taken::new()));
    let began = std::time::Instant::now();
    let by_case = taken.clone();
    let ran = TestRunner::new(config).run(&life(), |life| {
        let path = one(&life)?;
        count(&mut by_case.lock().expect("one thread"), &path);
        Ok(())
    });
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(why, life)) => panic!("{why}\nthe shortest such life: {life:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
    let mut taken = taken.lock().expect("one thread");
    let took = began.elapsed().as_secs_f64();
    println!(
        "{cases} lives in {took:.1} s: {:.0} a second",
        f64::from(cases) / took
    );
    for life in directed::lives() {
        count(
            &mut taken,
            &one(&life).unwrap_or_else(|error| panic!("{life:?}: {error}")),
        );
    }
    for (from, to) in table() {
        println!(
            "{:>8} {from} -> {to}",
            taken.get(&(from, to)).copied().unwrap_or(0)
        );
    }
    let rows = table().into_iter();
    let never: Vec<_> = rows.filter(|row| !taken.contains_key(row)).collect();
    assert_eq!(never, NEVER, "rows of the table that no life took");
}

/// How long chance lets workers be away.
pub const STALLS: [Duration; 3] = [
    Duration::from_secs(30),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(3 * 24 * 3600),
];
