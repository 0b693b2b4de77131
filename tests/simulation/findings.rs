//! What the property test has found: each a short life that the workflow once got wrong.

use sallyport_workflows::{
    State,
    command::Action,
    decision::Verdict,
    policy::{Budget, InstallationPolicy},
};

use crate::{
    chance::{Happening, Happening::*, Life, Via},
    directed::{command, decide, join, life},
    player::play,
    ticket::input,
};

/// Plays a life that must be as the model says, and answers with its states.
fn path(life: &Life) -> Vec<State> {
    let played = play(life);
    if let Err(error) = played.result {
        panic!("{error}\n{}", played.story.join("\n"));
    }
    played.path.iter().map(|step| step.to).collect()
}

/// The same by signal.
fn signal(mut happening: Happening) -> Happening {
    if let Decide { via, .. } | Command { via, .. } = &mut happening {
        *via = Via::Signal;
    }
    happening
}

#[test]
fn a_decision_that_is_looked_at_when_the_ticket_ends_is_looked_at_once() {
    // It was looked at twice, and the first look could still run when the workflow had ended.
    let ends = ["close_gate", "record_transition", "comment_on_ticket"].map(EndOf);
    let begin = vec![Settle, decide(Verdict::Approve), Cancel];
    let path = path(&life(join(begin, ends.to_vec())));
    assert_eq!(path.last(), Some(&State::Cancelled));
}

#[test]
fn a_pull_request_is_not_reopened_twice_at_once() {
    // The second reopening was accepted, nobody took it, and no later command got through.
    let reopen = || command(Action::Reopen, None);
    let closed = vec![Settle, Help, decide(Verdict::Reject), Settle, reopen()];
    let reopening = ["admit_command", "record_command"].map(EndOf).to_vec();
    let then = vec![reopen(), Settle, command(Action::Cancel, None)];
    let path = path(&life(join(join(closed, reopening), then)));
    let end = [State::PrClosed, State::AwaitingPrApproval, State::Cancelled];
    assert_eq!(path[path.len() - 3..], end);
}

#[test]
fn nothing_counts_once_a_ticket_is_cancelled_in_temporal() {
    // While the comment about the gate was being posted, the gate still took decisions.
    let opened = vec![Until("open_gate"), EndOf("open_gate"), Cancel];
    let path = path(&life(join(opened, vec![decide(Verdict::Approve)])));
    assert_eq!(path.last(), Some(&State::Cancelled));
}

#[test]
fn a_cancellation_in_time_wins_over_the_deadline() {
    // It was accepted, and the ticket ended as rejected by silence.
    let cancel = command(Action::Cancel, None);
    let mut life = life(vec![Settle, cancel, FallDue { exactly: true }, Settle]);
    life.policy.spec_gate.reminders_percent.clear();
    let path = path(&life);
    assert_eq!(path.last(), Some(&State::Cancelled));
}

#[test]
fn a_cancelled_ticket_with_a_long_history_ends() {
    // The workflow code went round for ever.
    let mut life = life(vec![Until("open_gate"), EndOf("open_gate"), Cancel]);
    life.tasks[1].insert(0, GrowLong);
    assert_eq!(path(&life).last(), Some(&State::Cancelled));
}

#[test]
fn a_refused_command_is_on_record_with_the_state_that_it_found() {
    // It was on record with the state that the ticket had reached until somebody looked at it.
    let cancel = command(Action::Cancel, None);
    let cancelled = vec![Until("plan"), cancel, EndOf("admit_command")];
    let late = vec![signal(command(Action::Retry, None)), EndOf("plan")];
    let mut life = life(join(join(cancelled, late), vec![EndOf("record_command")]));
    let at_once = vec![EndOf("record_transition"), EndOf("admit_command")];
    life.tasks.push(at_once);
    assert_eq!(path(&life).last(), Some(&State::Cancelled));
}

#[test]
fn a_gate_whose_time_is_up_asks_nobody_again() {
    // It did in a new run, when a merge that was decided in time was refused after it and the history was long.
    let approve = || decide(Verdict::Approve);
    let decided = vec![Settle, Help, approve(), FallDue { exactly: true }];
    let looked_at = ["admit_decision", "record_decision"].map(EndOf).to_vec();
    let mut life = life(join(join(decided, looked_at), vec![GrowLong, approve()]));
    life.tasks[6].extend([Script("merge_pull_request", 0), EndOf("merge_pull_request")]);
    life.policy.pr_gate.reminders_percent.clear();
    let path = path(&life);
    let end = [State::AwaitingPrApproval, State::PrClosed, State::Cancelled];
    assert_eq!(path[path.len() - 3..], end);
}

#[test]
fn a_gate_that_was_extended_in_time_waits_on_when_a_merge_is_refused() {
    // It expired: the time was up, whatever was added to it.
    let approve = || decide(Verdict::Approve);
    let extend = command(Action::Extend, None);
    let begin = vec![Settle, Help, Script("merge_pull_request", 0)];
    let decided = vec![extend, approve(), FallDue { exactly: true }, Settle];
    let mut life = life(join(join(begin, decided), vec![approve()]));
    life.policy.pr_gate.reminders_percent.clear();
    assert_eq!(path(&life).last(), Some(&State::Completed));
}

#[test]
fn a_cancelled_ticket_is_not_taken_up_again() {
    // A retry that waited for a long history to be left was carried out first.
    let parked = vec![Script("fetch_ticket", 1), Settle];
    let mut life = life(parked);
    life.tasks.extend([
        vec![
            signal(decide(Verdict::Approve)),
            command(Action::Retry, None),
        ],
        vec![GrowLong, EndOf("admit_decision")],
        vec![EndOf("record_decision")],
        vec![EndOf("admit_command")],
        vec![Cancel],
    ]);
    let path = path(&life);
    assert_eq!(path[path.len() - 2..], [State::Error, State::Cancelled]);
}

#[test]
fn the_planner_gets_what_the_repository_allows() {
    // It got what the installation allows.
    let policy = input().installation_policy;
    let strict = |planning_cost_micro_usd| InstallationPolicy {
        budget: Budget {
            planning_cost_micro_usd,
            ..policy.budget.clone()
        },
        ..policy.clone()
    };
    for (allowed, state) in [(0, State::Error), (5, State::AwaitingSpecApproval)] {
        let mut life = life(vec![Settle]);
        life.effective = Some(strict(allowed));
        assert_eq!(path(&life)[2], state);
    }
}

#[test]
fn a_decision_that_comes_while_its_gate_opens_counts() {
    // It was refused for good, as about a gate that is not open: chaos killed the worker between the request on record,
    // which people see, and the workflow's word that the gate is open.
    for send in [signal, std::convert::identity] {
        let approve = send(decide(Verdict::Approve));
        let path = path(&life(vec![
            Until("open_gate"),
            approve,
            EndOf("open_gate"),
            Settle,
        ]));
        assert!(path.contains(&State::SpecApproved), "{path:?}");
    }
}
