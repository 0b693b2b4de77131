//! Lives that take the rows of the table which chance takes too seldom.

use sallyport_workflows::{
    State, command::Action, decision::Verdict, policy::InstallationPolicy, ticket::NewsEvent,
};

use crate::{
    chance::{Aim, Extra, From, Happening, Happening::*, Life, Proof, Via},
    ticket::{ANN, input},
};

/// All of them.
pub fn lives() -> Vec<Life> {
    let scope = || vec![Settle, Script("run_agent", 1)];
    let asks = || vec![Script("plan", 2)];
    let qa_fails = || {
        let red = || Script("run_qa", 0);
        vec![Settle, red(), red(), red(), Help]
    };
    vec![
        life(vec![Cancel]),
        // The planner asks: answered, answered twice, in silence, by an edit while it planned, and cancelled.
        life(join(
            asks(),
            vec![Help, Settle, FallDue { exactly: true }, Help],
        )),
        life(join(
            asks(),
            vec![
                Settle,
                News(NewsEvent::Commented),
                Stall(0),
                News(NewsEvent::Edited),
                FallDue { exactly: true },
                FallDue { exactly: true },
                Help,
            ],
        )),
        life(join(
            asks(),
            vec![Settle, FallDue { exactly: true }, retry(None), Settle, Help],
        )),
        life(join(
            asks(),
            vec![Until("plan"), News(NewsEvent::Edited), Settle, Help],
        )),
        life(join(
            asks(),
            vec![Settle, News(NewsEvent::Commented), Cancel],
        )),
        life(join(
            asks(),
            vec![Settle, GrowLong, Settle, extend(), Help, Settle],
        )),
        life(vec![Until("plan"), Cancel]),
        life(vec![Settle, Cancel]),
        life(vec![Script("fetch_ticket", 1), Settle, retry(None), Settle]),
        life(vec![Script("open_gate", 0), Settle, retry(None), Settle]),
        life(vec![Settle, Script("check_base", 0), Help, Help, Help]),
        life(vec![
            Settle,
            Script("open_pull_request", 0),
            Help,
            retry(None),
            Settle,
            Help,
        ]),
        life(join(scope(), vec![Help, Help, Help])),
        life(join(scope(), vec![Script("open_gate", 0), Help])),
        life(join(scope(), vec![Help, Cancel])),
        // Refused, and by silence; both times the agent goes on without the file.
        life(join(
            scope(),
            vec![Help, decide(Verdict::Reject), Settle, Help],
        )),
        life(join(scope(), vec![Help, FallDue { exactly: true }, Settle])),
        // What was granted for a SPEC is not granted for the next one.
        life(join(
            scope(),
            vec![
                Help,
                Script("run_qa", 3),
                Help,
                retry(Some(State::Planning)),
                Help,
                Help,
            ],
        )),
        // A branch that is published is not planned anew.
        life(vec![
            Settle,
            Script("open_pull_request", 0),
            Help,
            retry(Some(State::Planning)),
            retry(Some(State::SpecApproved)),
            retry(Some(State::Executing)),
            Settle,
            Help,
        ]),
        // What is being merged is not cancelled; what the forge refuses to merge is.
        life(vec![
            Settle,
            Help,
            decide(Verdict::Approve),
            Until("merge_pull_request"),
            command(Action::Cancel, None),
            Settle,
        ]),
        life(vec![
            Settle,
            Help,
            Script("merge_pull_request", 0),
            decide(Verdict::Approve),
            Settle,
            command(Action::Cancel, None),
        ]),
        // Merged on the forge, by somebody.
        life(vec![
            Settle,
            Help,
            Script("close_pull_request", 0),
            decide(Verdict::Reject),
            Settle,
        ]),
        life(join(
            qa_fails(),
            vec![retry(Some(State::Planning)), Settle, Help, Help],
        )),
        life(join(
            qa_fails(),
            vec![retry(Some(State::Executing)), Settle, Help],
        )),
        life(join(qa_fails(), vec![retry(None), Settle, Help])),
        life(qa_fails()),
        life(vec![
            Settle,
            Script("run_qa", 3),
            Help,
            retry(None),
            Settle,
            Help,
        ]),
        life(vec![Settle, Script("open_gate", 0), Help]),
        life(vec![
            Settle,
            decide(Verdict::Approve),
            Until("check_base"),
            Cancel,
        ]),
        life(vec![
            Settle,
            decide(Verdict::Approve),
            Until("run_agent"),
            Cancel,
        ]),
        life(vec![
            Settle,
            decide(Verdict::Approve),
            Until("run_qa"),
            Cancel,
        ]),
        life(vec![
            Settle,
            decide(Verdict::Approve),
            Until("publish_branch"),
            Cancel,
        ]),
        life(vec![
            Settle,
            Help,
            decide(Verdict::Reject),
            Settle,
            Help,
            Help,
        ]),
        life(vec![
            Settle,
            Help,
            decide(Verdict::Reject),
            Settle,
            Script("reopen_pull_request", 0),
            Help,
        ]),
        life(vec![
            Settle,
            Script("check_base", 3),
            Help,
            retry(None),
            Settle,
            Help,
        ]),
    ]
}

pub fn join(mut first: Vec<Happening>, then: Vec<Happening>) -> Vec<Happening> {
    first.extend(then);
    first
}

/// One happening after the other, each in a task of its own, then silence.
pub fn life(happenings: Vec<Happening>) -> Life {
    Life {
        policy: InstallationPolicy {
            ..input().installation_policy
        },
        effective: None,
        fortune: Vec::new(),
        early: Vec::new(),
        tasks: happenings.into_iter().map(|one| vec![one]).collect(),
        is_helped: false,
    }
}

fn extend() -> Happening {
    Happening::Command {
        action: Action::Extend,
        from: From::Failed,
        more: Extra::Seconds(3600),
        by: ANN,
        proof: Proof::Holds,
        via: Via::Update,
    }
}

fn retry(from: Option<State>) -> Happening {
    command(Action::Retry, from)
}

pub fn command(action: Action, from: Option<State>) -> Happening {
    Command {
        action,
        from: from.map_or(From::Failed, From::State),
        more: Extra::Nothing,
        by: ANN,
        proof: Proof::Holds,
        via: Via::Update,
    }
}

pub fn decide(verdict: Verdict) -> Happening {
    Decide {
        aim: Aim::Right,
        verdict,
        by: ANN,
        proof: Proof::Holds,
        via: Via::Update,
    }
}
