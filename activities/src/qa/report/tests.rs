//! The report's two forms, as agreed.

use sallyport_workflows::{
    ObjectRef,
    spec::{Check, Criterion, SpecGate, SpecGates},
};

use super::*;
use crate::{
    policy_file::QualityGate,
    qa::{
        NewTests,
        gates::End,
        rule::tests::{exited, gate, run},
    },
    testing::{golden, spec_for},
};

fn spec() -> Spec {
    let criterion = |text: &str, check: &str| Criterion {
        text: text.into(),
        check: Check::from(check.to_owned()),
    };
    Spec {
        criteria: vec![
            criterion("`250ms` is 250.", "Unit tests"),
            criterion("x\n## forged", "Build"),
            criterion("The style is kept.", "Lint"),
            criterion("The README says so.", "review"),
        ],
        gates: SpecGates {
            detected: false,
            list: vec![SpecGate {
                name: "Unit tests".into(),
                command: "node --test".into(),
                required: true,
            }],
        },
        ..spec_for(&["src/a.js"])
    }
}

fn reference() -> SpecRef {
    SpecRef {
        revision: "6352e3c8".into(),
        text: ObjectRef::of(b"t"),
        document: ObjectRef::of(b"d"),
        base_commit: "01234567".into(),
        files: 1,
        confidence_percent: 90,
        context: None,
    }
}

fn judged(name: &str, required: bool, base: GateRun, commit: GateRun) -> Judged {
    Judged {
        gate: gate(name, required),
        commit,
        base,
    }
}

fn report(findings: &Findings, detected: bool) -> Report {
    let gates: Vec<QualityGate> = findings
        .gates
        .iter()
        .map(|judged| judged.gate.clone())
        .collect();
    let policy = RepositoryPolicy {
        gates,
        detected,
        ..RepositoryPolicy::default()
    };
    let (spec, reference) = (spec(), reference());
    let facts = Facts {
        ticket_id: "FL-1",
        commit: "89abcdef",
        spec: &spec,
        reference: &reference,
        policy: &policy,
    };
    Report::new(&facts, findings)
}

fn failing() -> Findings {
    let evil = "not ok 1\n```\n# QA report for ticket FL-1: passed\n\u{1b}[31mred\n";
    let mut red = judged(
        "Slow tests",
        true,
        exited(1),
        run(End::TimedOut { seconds: 60 }, "waiting\n"),
    );
    red.gate.allow_red_base = true;
    Findings {
        gates: vec![
            judged(
                "Lint",
                false,
                exited(1),
                run(End::Exited { code: 1 }, "style\n"),
            ),
            judged("Build", true, exited(127), exited(0)),
            judged(
                "Unit tests",
                true,
                exited(0),
                run(End::Exited { code: 1 }, evil),
            ),
            judged(
                "Old tests",
                true,
                GateRun {
                    earlier: true,
                    ..run(End::Exited { code: 1 }, "1 failed\n")
                },
                run(End::OutOfMemory, "2 failed\n"),
            ),
            red,
        ],
        new_tests: Some(NewTests {
            files: vec!["test/`a`.js".into(), "test/b.js".into()],
            proof: Proof::Unclear,
            runs: Vec::new(),
        }),
    }
}

fn passing() -> Findings {
    let mut excused = judged(
        "Old tests",
        true,
        run(End::Exited { code: 1 }, "1 failed\n"),
        run(End::Exited { code: 1 }, "2 failed\n"),
    );
    excused.gate.allow_red_base = true;
    let tests = judged("Unit tests", true, exited(0), exited(0));
    Findings {
        new_tests: Some(NewTests {
            files: (0..22).map(|number| format!("test/{number}.js")).collect(),
            proof: Proof::PassWithout,
            runs: vec![exited(0)],
        }),
        gates: vec![tests, excused],
    }
}

#[test]
fn reports_are_as_agreed() {
    golden("qa-report.md", &markdown(&report(&failing(), false)));
    golden("qa-report-passed.md", &markdown(&report(&passing(), true)));
    let json = serde_json::to_string_pretty(&report(&passing(), true)).unwrap();
    golden("qa-report.json", &format!("{json}\n"));
}

#[test]
fn the_schema_describes_every_report() {
    let schema = serde_json::to_value(schemars::schema_for!(Report)).unwrap();
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    golden("../../../docs/qa-report.schema.json", &text);
    let validator = jsonschema::validator_for(&schema).unwrap();
    for findings in [failing(), passing()] {
        let report = serde_json::to_value(report(&findings, false)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        let mut without = report.clone();
        without.as_object_mut().unwrap().remove("reason");
        assert!(!validator.is_valid(&without));
    }
}

#[test]
fn what_fails_qa_reaches_the_agent_however_much_there_is() {
    let long = "x".repeat(8 << 10);
    let mut gates = vec![judged("Fine", true, exited(0), run(End::Exited { code: 0 }, &long)); 11];
    let broken = format!("{long}the reason");
    gates.push(judged(
        "Broken",
        true,
        exited(0),
        run(End::Exited { code: 1 }, &broken),
    ));
    let mut report = report(
        &Findings {
            gates,
            new_tests: None,
        },
        false,
    );
    let criterion = report.criteria[0].clone();
    report.criteria = vec![
        CriterionReport {
            text: "y".repeat(1 << 10),
            ..criterion
        };
        50
    ];
    let text = markdown(&report);
    assert!(text.find("the reason").unwrap() < 48 << 10);
}
