//! What a gate's result means, now that it is known how the gate did before the change.
//!
//! | on the base | on the commit | the change | a required gate then |
//! | --- | --- | --- | --- |
//! | passes | passes | left it alone | passes |
//! | fails | passes | **repaired** it | passes |
//! | passes | fails | **broke** it | fails QA |
//! | fails | fails | did not repair it: **red before** | fails QA, unless the policy says `allow_red_base = true` for it and it fails in the same way |
//!
//! Red before is no excuse by itself. A repository whose suite always fails would let everything through, and a ticket
//! that asks for a failing test to pass would be done without a change. Who knows that a gate is red for reasons that no
//! ticket can mend says so, on the base branch, for that gate. "In the same way" means the same exit code: a suite that
//! failed and now hangs, or does not even start, is broken all the same.

use sallyport_workflows::{
    activities::{GateEffect, GateResult},
    text::shorten,
};

use super::gates::{End, GateRun};
use crate::policy_file::QualityGate;

/// A gate with its results on both commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The gate.
    pub gate: QualityGate,
    /// On the commit.
    pub commit: GateRun,
    /// On its base.
    pub base: GateRun,
}

impl Judged {
    /// The result as the workflow keeps it.
    pub fn result(&self) -> GateResult {
        GateResult {
            name: short_name(&self.gate.name),
            required: self.gate.required,
            passed: self.commit.passed(),
            base: Some(self.base.passed()),
            excused: self.excused(),
            duration_ms: self.commit.duration_ms,
        }
    }

    fn excused(&self) -> bool {
        self.gate.allow_red_base
            && !self.commit.passed()
            && !self.base.passed()
            && self.fails_as_before()
    }

    /// Whether it ends on both in the same way. What depends on the machine's memory says nothing.
    fn fails_as_before(&self) -> bool {
        self.commit.end == self.base.end && self.commit.end != End::OutOfMemory
    }

    /// Why QA fails because of this gate, in a sentence; nothing if it does not.
    fn complaint(&self) -> Option<String> {
        let result = self.result();
        if !result.fails_qa() {
            return None;
        }
        let name = &self.gate.name;
        let (here, there) = (end_in_words(&self.commit.end), end_in_words(&self.base.end));
        Some(match result.effect() {
            _ if self.commit.end == End::OutOfMemory => {
                format!(
                    "The machine's memory ran out in {name}, so it is not known whether it passes."
                )
            }
            GateEffect::RedBefore if self.gate.allow_red_base => format!(
                "{name} failed ({here}), on the base commit too but in another way ({there}), so this does not pass as red \
                 before."
            ),
            GateEffect::RedBefore => format!(
                "{name} failed ({here}), as on the base commit before the change: the change has to make it pass."
            ),
            _ => format!(
                "{name} failed ({here}), but passed on the base commit: the change broke it."
            ),
        })
    }
}

/// Whether QA passed, and why.
pub fn verdict(gates: &[Judged]) -> (bool, String) {
    let complaints: Vec<String> = gates.iter().filter_map(Judged::complaint).collect();
    if !complaints.is_empty() {
        return (false, complaints.join(" "));
    }
    let required = gates.iter().filter(|judged| judged.gate.required);
    let (excused, passed): (Vec<&Judged>, Vec<&Judged>) =
        required.partition(|judged| judged.excused());
    let mut reason = match (passed.len(), excused.len()) {
        (0, 0) => "No gate is required, so there was nothing that could have failed.".to_owned(),
        (1, 0) => "The required gate passed.".to_owned(),
        (count, 0) => format!("All {count} required gates passed."),
        (count, more) => format!("{count} of {} required gates passed.", count + more),
    };
    for judged in excused {
        reason.push_str(&format!(
            " {} failed ({}), as on the base commit, and the policy lets that pass: nothing here shows that the change made \
             it no worse.",
            judged.gate.name,
            end_in_words(&judged.commit.end)
        ));
    }
    (true, reason)
}

/// How a command ended, in a few words.
pub(super) fn end_in_words(end: &End) -> String {
    match end {
        End::Exited {
            code: code @ (126 | 127),
        } => {
            format!("exit code {code}: a program was not found or could not be started")
        }
        End::Exited { code } => format!("exit code {code}"),
        End::TimedOut { seconds } => format!("stopped after {seconds} seconds"),
        End::OutOfMemory => "killed because the machine's memory ran out".to_owned(),
        End::Outgrown { limit } => format!("stopped because {limit}"),
    }
}

fn short_name(name: &str) -> String {
    // Characters may have several bytes.
    let mut limit = GateResult::LONGEST_NAME;
    loop {
        let short = shorten(name, limit);
        if short.len() <= GateResult::LONGEST_NAME {
            return short;
        }
        limit -= 1;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use sallyport_workflows::{ObjectRef, activities::QaResult};

    use super::*;
    use crate::policy_file::MAXIMUM_GATES;

    pub(crate) fn gate(name: &str, required: bool) -> QualityGate {
        QualityGate {
            name: name.into(),
            command: "node --test".into(),
            required,
            allow_red_base: false,
            timeout_seconds: 60,
        }
    }

    pub(crate) fn run(end: End, output: &str) -> GateRun {
        GateRun {
            end,
            duration_ms: 1500,
            output: output.into(),
            stored: ObjectRef::of(output.as_bytes()),
            earlier: false,
        }
    }

    pub(crate) fn exited(code: i32) -> GateRun {
        run(End::Exited { code }, "")
    }

    fn judged(required: bool, allow: bool, base: End, commit: End) -> Judged {
        Judged {
            gate: QualityGate {
                allow_red_base: allow,
                ..gate("Tests", required)
            },
            commit: run(commit, ""),
            base: run(base, ""),
        }
    }

    #[test]
    fn the_rule_is_as_its_table_says() {
        // need, allow_red_base, on the base, on the commit | effect | QA | words of the reason
        let table = "
            required no   0      0      | Passes    | passes | The required gate passed.
            required no   1      0      | Repaired  | passes | The required gate passed.
            required no   0      1      | Broken    | fails  | (exit code 1), but passed on the base commit: the change broke it.
            required no   1      1      | RedBefore | fails  | (exit code 1), as on the base commit before the change: the change has to
            required no   1      2      | RedBefore | fails  | the change has to make it pass.
            required no   0      late   | Broken    | fails  | (stopped after 60 seconds), but passed on the base commit
            required no   0      memory | Broken    | fails  | so it is not known whether it passes.
            required yes  0      0      | Passes    | passes | The required gate passed.
            required yes  1      0      | Repaired  | passes | The required gate passed.
            required yes  0      1      | Broken    | fails  | the change broke it.
            required yes  1      1      | RedBefore | passes | 0 of 1 required gates passed. Tests failed (exit code 1), as on the base
            required yes  1      2      | RedBefore | fails  | (exit code 2), on the base commit too but in another way (exit code 1)
            required yes  1      late   | RedBefore | fails  | in another way (exit code 1)
            required yes  late   late   | RedBefore | passes | and the policy lets that pass: nothing here shows
            required yes  large  large  | RedBefore | passes | and the policy lets that pass
            required yes  memory memory | RedBefore | fails  | The machine's memory ran out in Tests
            optional no   0      1      | Broken    | passes | No gate is required
            optional no   1      1      | RedBefore | passes | No gate is required
        ";
        let end = |word: &str| match word {
            "late" => End::TimedOut { seconds: 60 },
            "large" => End::Outgrown { limit: "x".into() },
            "memory" => End::OutOfMemory,
            code => End::Exited {
                code: code.parse().unwrap(),
            },
        };
        for line in table.lines().filter(|line| line.contains('|')) {
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let given: Vec<&str> = columns[0].split_whitespace().collect();
            let judged = judged(
                given[0] == "required",
                given[1] == "yes",
                end(given[2]),
                end(given[3]),
            );
            let (passed, reason) = verdict(std::slice::from_ref(&judged));
            let effect = format!("{:?}", judged.result().effect());
            assert_eq!(
                (&*effect, passed),
                (columns[1], columns[2] == "passes"),
                "{line}"
            );
            assert!(reason.contains(columns[3]), "{line}: {reason}");
            assert_eq!(passed, !judged.result().fails_qa());
        }
    }

    #[test]
    fn one_gate_that_fails_is_enough() {
        let good = judged(
            true,
            false,
            End::Exited { code: 0 },
            End::Exited { code: 0 },
        );
        let bad = judged(
            true,
            false,
            End::Exited { code: 0 },
            End::Exited { code: 1 },
        );
        assert!(!verdict(&[good.clone(), bad, good.clone()]).0);
        let (passed, reason) = verdict(&[good.clone(), good]);
        assert!(passed && reason == "All 2 required gates passed.");
    }

    #[test]
    fn what_the_workflow_keeps_is_small_however_long_the_names() {
        let mut worst = judged(true, true, End::Exited { code: 1 }, End::Exited { code: 1 });
        worst.gate.name = "ü".repeat(60);
        worst.commit.duration_ms = 3_600_000;
        let object = ObjectRef {
            bytes: 999_999,
            ..ObjectRef::of(b"")
        };
        let result = QaResult {
            passed: true,
            gates: vec![worst.result(); MAXIMUM_GATES],
            flagged_tests: 100,
            report: object.clone(),
            report_json: object,
        };
        let bytes = serde_json::to_vec(&result).unwrap().len();
        assert!(bytes < 2048, "{bytes}");
        assert!(result.gates[0].name.ends_with("ü…"));
    }
}
