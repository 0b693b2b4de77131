//! What people send in a life of chance: from what the life says and what gates ask at the moment.

use answers::spec;
use sallyport_workflows::{
    command::{Action, Command},
    decision::{Decision, Verdict},
    gate::Gate,
    policy::{BudgetRaise, MAXIMUM_WAIT_SECONDS},
};

use crate::{
    chance::{Aim, Extra, From, Happening, Proof, Via},
    model::What,
    world::PROOF,
};

/// What somebody sends, and whether by signal.
pub fn message(
    happening: &Happening,
    open: Option<(Gate, String)>,
    asked: &[(Gate, String)],
    ids: &mut u128,
) -> Option<(What, bool)> {
    *ids += 1;
    let id = uuid::Uuid::from_u128(*ids);
    let signed = |proof: &Proof| match proof {
        Proof::Holds => Some(PROOF.to_owned()),
        Proof::None => None,
        Proof::Forged => Some("forged".to_owned()),
    };
    match happening {
        Happening::Decide {
            aim,
            verdict,
            by,
            proof,
            via,
        } => {
            let (gate, revision) = open.unwrap_or((Gate::Spec, spec(1).revision));
            let others = [Gate::Spec, Gate::Scope, Gate::Pr];
            let (gate, revision) = match aim {
                Aim::Right => (gate, revision),
                Aim::Prefix => (
                    gate,
                    revision[..8 + usize::from(revision.as_bytes()[0] % 9)].to_uppercase(),
                ),
                Aim::Earlier(which) if !asked.is_empty() => {
                    asked[usize::from(*which) % asked.len()].clone()
                }
                Aim::OtherGate(which) => (others[usize::from(*which) % 3], revision),
                Aim::Earlier(_) | Aim::Nothing => (gate, "deadbeef".repeat(8)),
                Aim::Short => (gate, revision[..7].to_owned()),
            };
            let comments = (*verdict == Verdict::Revise).then(|| "Please name the test".to_owned());
            let decision = Decision {
                id: (*via != Via::Typed).then_some(id),
                gate,
                revision,
                decision: *verdict,
                by: (*by).to_owned(),
                comments: comments.filter(|_| !ids.is_multiple_of(16)),
                proof: signed(proof),
            };
            Some((What::Decision(decision), *via != Via::Update))
        }
        Happening::Command {
            action,
            from,
            more,
            by,
            proof,
            via,
        } => {
            let mut command = Command {
                id: (*via != Via::Typed).then_some(id),
                action: *action,
                from: None,
                raise: BudgetRaise::default(),
                seconds: (*action == Action::Extend).then_some(3600),
                by: (*by).to_owned(),
                reason: None,
                proof: signed(proof),
            };
            if *action == Action::Retry
                && let From::State(state) = from
            {
                command.from = Some(*state);
            }
            match (more, action) {
                (Extra::Wrong, Action::Extend) => command.seconds = Some(MAXIMUM_WAIT_SECONDS + 1),
                (Extra::Wrong, Action::Retry) => command.seconds = Some(1),
                (Extra::Wrong, _) => command.raise.repairs = 1,
                (Extra::Raise, Action::Retry) => {
                    command.raise = BudgetRaise {
                        cost_micro_usd: 20,
                        tokens: 500,
                        agent_seconds: 120,
                        repairs: 1,
                        revisions: 1,
                        change_rounds: 1,
                        scope_requests: 1,
                    };
                }
                (Extra::Seconds(seconds), Action::Extend) => command.seconds = Some(*seconds),
                _ => {}
            }
            Some((What::Command(command), *via != Via::Update))
        }
        _ => None,
    }
}
