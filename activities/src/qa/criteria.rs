//! What shows that the SPEC's criteria are met.

use sallyport_workflows::{
    activities::GateEffect,
    spec::{Check, Criterion},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Findings,
    new_tests::{self, Proof},
    rule::Judged,
};

/// Whether a criterion is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CriterionState {
    /// Its check passed.
    Met,
    /// Its check failed.
    NotMet,
    /// A person must look.
    ToReview,
}

/// A criterion and what QA says to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CriterionReport {
    /// Its number in the SPEC, from 1.
    pub number: u32,
    /// What must be true.
    pub text: String,
    /// What shows it: a gate's name, or `review`.
    pub check: String,
    /// Whether it is met.
    pub state: CriterionState,
    /// Why, in a few words.
    pub why: String,
}

/// What the findings say to each of `criteria`.
pub fn answers(criteria: &[Criterion], findings: &Findings) -> Vec<CriterionReport> {
    (1..)
        .zip(criteria)
        .map(|(number, criterion)| {
            let (state, why) = answer(&criterion.check, findings);
            CriterionReport {
                number,
                text: criterion.text.clone(),
                check: criterion.check.name().to_owned(),
                state,
                why,
            }
        })
        .collect()
}

fn answer(check: &Check, findings: &Findings) -> (CriterionState, String) {
    let name = match check {
        Check::Review => {
            return (CriterionState::ToReview, "a person must look".to_owned());
        }
        Check::Gate(name) => name,
    };
    let judged = findings
        .gates
        .iter()
        .find(|judged| judged.gate.name == *name);
    let Some(judged) = judged else {
        // The base branch, and with it the policy, may have moved on since the SPEC was written.
        let why = format!("there is no gate {name} any more: a person must look");
        return (CriterionState::ToReview, why);
    };
    match judged.result().effect() {
        GateEffect::Passes if is_flagged(judged, findings) => (
            CriterionState::Met,
            format!("{name} passed, but the new tests pass without the change too"),
        ),
        GateEffect::Passes => (CriterionState::Met, format!("{name} passed")),
        GateEffect::Repaired => (
            CriterionState::Met,
            format!("{name} passed, and failed before the change"),
        ),
        GateEffect::RedBefore => (
            CriterionState::NotMet,
            format!("{name} failed, as before the change"),
        ),
        GateEffect::Broken | GateEffect::Fails => {
            (CriterionState::NotMet, format!("{name} failed"))
        }
    }
}

fn is_flagged(judged: &Judged, findings: &Findings) -> bool {
    new_tests::runs_tests(&judged.gate)
        && findings
            .new_tests
            .as_ref()
            .is_some_and(|tests| tests.proof == Proof::PassWithout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qa::{
        NewTests,
        rule::tests::{exited, gate},
    };

    #[test]
    fn each_criterion_is_answered_by_its_check() {
        let judged = |name: &str, base, commit| Judged {
            gate: gate(name, true),
            base: exited(base),
            commit: exited(commit),
        };
        let mut findings = Findings {
            gates: vec![
                judged("Unit tests", 0, 0),
                judged("Build", 1, 0),
                judged("Lint", 0, 1),
                judged("Types", 1, 1),
            ],
            new_tests: None,
        };
        let checks = ["Unit tests", "Build", "Lint", "Types", "Gone", "review"];
        let criteria: Vec<_> = checks
            .iter()
            .map(|check| Criterion {
                text: "t".into(),
                check: Check::from((*check).to_owned()),
            })
            .collect();
        let answered = answers(&criteria, &findings);
        use CriterionState::{Met, NotMet, ToReview};
        let states: Vec<_> = answered.iter().map(|answer| answer.state).collect();
        assert_eq!(states, [Met, Met, NotMet, NotMet, ToReview, ToReview]);
        assert_eq!(answered[5].number, 6);
        let whys: Vec<_> = answered.iter().map(|answer| answer.why.as_str()).collect();
        assert_eq!(
            whys,
            [
                "Unit tests passed",
                "Build passed, and failed before the change",
                "Lint failed",
                "Types failed, as before the change",
                "there is no gate Gone any more: a person must look",
                "a person must look",
            ]
        );
        findings.new_tests = Some(NewTests {
            files: vec!["test/a.js".into()],
            proof: Proof::PassWithout,
            runs: Vec::new(),
        });
        let answered = answers(&criteria[..1], &findings);
        assert!(answered[0].why.contains("without the change too"));
    }
}
