//! What happens to a ticket under a seed: which boundary is struck, and what is killed or cut there. The same seed is
//! always the same plan.

use std::fmt;

/// The activities of the demo's ticket, and how often each is called when nothing goes wrong. A calm trial is held
/// against this.
pub const STORY: [(&str, u32); 19] = [
    ("record_transition", 10),
    ("fetch_ticket", 1),
    ("comment_on_ticket", 4),
    ("set_ticket_status", 3),
    ("load_policy", 1),
    ("plan", 1),
    ("open_gate", 2),
    ("admit_decision", 2),
    ("record_decision", 2),
    ("close_gate", 2),
    ("check_base", 1),
    ("claim_host", 1),
    ("prepare_workspace", 1),
    ("run_agent", 1),
    ("run_qa", 1),
    ("publish_branch", 1),
    ("open_pull_request", 1),
    ("merge_pull_request", 1),
    ("remove_workspace", 1),
];

/// At an activity's work, or after its side effect and before anybody knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing is done yet.
    Before,
    /// The side effect is there, and Temporal does not know.
    After,
}

impl Phase {
    /// As the worker says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// What is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// `SIGKILL` to the worker, which is at the boundary.
    Worker,
    /// `SIGKILL` to the starter.
    Starter,
    /// `SIGKILL` to Temporal.
    Temporal,
    /// `SIGKILL` to Postgres: all its processes.
    Postgres,
    /// All connections to Postgres break off, and none is taken for a while.
    PostgresLink,
    /// The same to Temporal.
    TemporalLink,
    /// The same to the ticket system.
    FluxLensLink,
}

impl Victim {
    const ALL: [Self; 7] = [
        Self::Worker,
        Self::Starter,
        Self::Temporal,
        Self::Postgres,
        Self::PostgresLink,
        Self::TemporalLink,
        Self::FluxLensLink,
    ];
}

impl fmt::Display for Victim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Worker => "kill worker",
            Self::Starter => "kill starter",
            Self::Temporal => "kill temporal",
            Self::Postgres => "kill postgres",
            Self::PostgresLink => "cut postgres",
            Self::TemporalLink => "cut temporal",
            Self::FluxLensLink => "cut flux-lens",
        })
    }
}

/// One blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// The activity.
    pub activity: &'static str,
    /// Which of its calls, from 1.
    pub call: u32,
    /// Where.
    pub phase: Phase,
    /// What is struck.
    pub victim: Victim,
    /// How long a cut link stays cut, in milliseconds.
    pub cut_ms: u64,
}

impl fmt::Display for Strike {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (victim, phase, activity) = (self.victim, self.phase.as_str(), self.activity);
        write!(formatter, "{victim} {phase} {activity}")?;
        if self.call > 1 {
            write!(formatter, " #{}", self.call)?;
        }
        Ok(())
    }
}

/// What a seed does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed; 0 is calm.
    pub seed: u64,
    /// The blows.
    pub strikes: Vec<Strike>,
}

impl Plan {
    /// The plan of a seed. One after the other, the first seeds kill the worker at every boundary that there is; each adds
    /// up to two blows of any kind anywhere. Seed 0 does nothing.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut strikes: Vec<Strike> = Vec::new();
        if seed > 0 {
            let mut chance = Chance(seed);
            let boundaries = boundaries();
            let place = usize::try_from(seed - 1).unwrap_or(usize::MAX);
            let first = boundaries[place % boundaries.len()];
            let victim = match place < boundaries.len() {
                true => Victim::Worker,
                false => *chance.of(&Victim::ALL),
            };
            strikes.push(strike(first, victim, &mut chance));
            for _ in 0..chance.below(3) {
                let boundary = *chance.of(&boundaries);
                let victim = *chance.of(&Victim::ALL);
                let more = strike(boundary, victim, &mut chance);
                let is_taken = strikes.iter().any(|known| {
                    (known.activity, known.call, known.phase)
                        == (more.activity, more.call, more.phase)
                });
                if !is_taken {
                    strikes.push(more);
                }
            }
        }
        Self { seed, strikes }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.strikes.is_empty() {
            return formatter.write_str("nothing");
        }
        let strikes: Vec<String> = self.strikes.iter().map(ToString::to_string).collect();
        formatter.write_str(&strikes.join(", "))
    }
}

/// Every boundary: an activity, how often it is called, and the phase.
#[must_use]
pub fn boundaries() -> Vec<((&'static str, u32), Phase)> {
    STORY
        .into_iter()
        .flat_map(|activity| [Phase::Before, Phase::After].map(|phase| (activity, phase)))
        .collect()
}

fn strike(
    ((activity, calls), phase): ((&'static str, u32), Phase),
    victim: Victim,
    chance: &mut Chance,
) -> Strike {
    Strike {
        activity,
        call: u32::try_from(chance.below(calls.into())).unwrap_or(0) + 1,
        phase,
        victim,
        cut_ms: 200 + chance.below(3000),
    }
}

/// Numbers that depend on a seed and on nothing else: SplitMix64.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let length = u64::try_from(choices.len()).unwrap_or(1);
        &choices[usize::try_from(self.below(length)).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_always_the_same_plan() {
        assert_eq!(Plan::of(17), Plan::of(17));
        assert!(Plan::of(0).strikes.is_empty());
        // Golden: a change here makes old reports mean something else.
        assert_eq!(
            Plan::of(1).to_string(),
            "kill worker before record_transition #6"
        );
        assert_eq!(
            Plan::of(40).to_string(),
            "cut postgres after record_transition #2, kill postgres before open_pull_request, kill postgres before publish_branch"
        );
    }

    #[test]
    fn fifty_seeds_kill_the_worker_at_every_boundary_and_strike_everything() {
        let strikes: Vec<Strike> = (1..=50).flat_map(|seed| Plan::of(seed).strikes).collect();
        let killed: BTreeSet<_> = strikes
            .iter()
            .filter(|strike| strike.victim == Victim::Worker)
            .map(|strike| (strike.activity, strike.phase))
            .collect();
        assert_eq!(killed.len(), boundaries().len());
        let victims: BTreeSet<_> = strikes.iter().map(|strike| strike.victim).collect();
        assert_eq!(victims.len(), Victim::ALL.len());
    }
}
