//! QA in real rooms, on real repositories.

use sallyport_ledger::config::ObjectsConfig;
use sallyport_workflows::{activities::GateEffect, ticket::TicketKey};

use super::*;
use crate::{
    mirror::{Mirror, Mirrors},
    sandbox::tests::{marker, runs},
    testing::{Origin, reachable_folder, tools},
};

/// A repository, and all that QA needs to look at it.
struct Laboratory {
    folder: tempfile::TempDir,
    origin: Origin,
    sandbox: Sandbox,
    objects: Objects,
    workspace: Workspace,
    earlier: EarlierResults,
    leaks: LeakCheck,
}

impl Laboratory {
    async fn new(files: &[(&str, &str)]) -> Self {
        let folder = reachable_folder();
        let objects = ObjectsConfig::folder(folder.path().join("objects"));
        Self {
            origin: Origin::new(files).await,
            sandbox: Sandbox::open(&tools(), &folder.path().join("kit")).unwrap(),
            objects: Objects::open(&objects).unwrap(),
            workspace: Workspace::of(folder.path(), &TicketKey::first("flux-lens", "FL-1")),
            earlier: EarlierResults::in_folder(folder.path().join("earlier")),
            leaks: LeakCheck::new([], 1 << 20),
            folder,
        }
    }

    async fn mirror(&self) -> Mirror {
        Mirrors::new(self.folder.path().join("m"))
            .fetch(self.origin.url())
            .await
            .unwrap()
    }

    /// What QA finds, and what ran.
    async fn examine(
        &self,
        base: &str,
        commit: &str,
        gates: &[QualityGate],
    ) -> (Findings, Vec<String>) {
        let mirror = self.mirror().await;
        let room = QaRoom {
            sandbox: &self.sandbox,
            objects: &self.objects,
            git: mirror.git(),
            workspace: &self.workspace,
            earlier: &self.earlier,
            leaks: &self.leaks,
            installed: None,
        };
        let subject = Subject {
            commit,
            base,
            gates,
        };
        let mut told = Vec::new();
        let findings = examine(room, 7, subject, |what| told.push(what.to_owned()))
            .await
            .unwrap();
        assert!(!self.workspace.qa(7).exists());
        (findings, told)
    }
}

fn gate(name: &str, command: &str) -> QualityGate {
    QualityGate {
        name: name.into(),
        command: command.into(),
        required: true,
        allow_red_base: false,
        timeout_seconds: 60,
    }
}

fn effects(findings: &Findings) -> Vec<GateEffect> {
    let gates = findings.gates.iter();
    gates.map(|judged| judged.result().effect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_run_on_the_commit_and_nothing_else() {
    let lab = Laboratory::new(&[("value.txt", "base\n"), ("test.mjs", "process.exit(0)")]).await;
    let base = lab.origin.head("main").await;
    let commit = lab.origin.commit(&[("value.txt", "committed\n")]).await;
    // What the agent left beside its commit is not there in QA.
    std::fs::create_dir_all(lab.workspace.tree()).unwrap();
    std::fs::write(lab.workspace.tree().join("value.txt"), "not committed\n").unwrap();
    let gates = [
        gate("Value", "cat value.txt; ls -A"),
        gate("Node", "node test.mjs && touch made-by-node"),
        gate("Lint", "test -e made-by-node; echo complaint >&2; exit 3"),
        QualityGate {
            timeout_seconds: 1,
            ..gate("Slow", "sleep 100")
        },
        gate("Git", "test ! -e .git"),
        gate(
            "Large",
            "head -c 700000 /dev/zero | tr '\\0' x; echo the end",
        ),
    ];
    let (findings, _) = lab.examine(&base, &commit, &gates).await;
    let on_commit = |number: usize| &findings.gates[number].commit;
    let ends: Vec<_> = findings
        .gates
        .iter()
        .map(|judged| &judged.commit.end)
        .collect();
    let exited = |code| End::Exited { code };
    assert_eq!(ends[..3], [&exited(0), &exited(0), &exited(3)]);
    assert_eq!(*ends[3], End::TimedOut { seconds: 1 });
    assert_eq!(ends[4..], [&exited(0), &exited(0)]);
    assert_eq!(on_commit(0).output, "committed\ntest.mjs\nvalue.txt\n");
    assert_eq!(findings.gates[0].base.output, "base\ntest.mjs\nvalue.txt\n");
    assert_eq!(on_commit(2).output, "complaint\n");
    let stored = lab.objects.get_text(&on_commit(2).stored).await;
    assert_eq!(stored.unwrap(), "complaint\n");
    assert!(on_commit(5).output.len() <= gates::OUTPUT_AT_HAND);
    assert!(on_commit(5).output.ends_with("xthe end\n"));
    let stored = lab.objects.get_text(&on_commit(5).stored).await;
    assert!(stored.unwrap().len() > 200_000);
    assert!(findings.new_tests.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_red_before_is_told_from_what_the_change_broke_and_the_base_is_paid_once() {
    let lab = Laboratory::new(&[("a", "1"), ("b", "0"), ("c", "1")]).await;
    let base = lab.origin.head("main").await;
    let first = lab.origin.commit(&[("a", "0"), ("b", "1")]).await;
    let second = lab.origin.commit(&[("b", "0"), ("c", "0")]).await;
    let gates = ["a", "b", "c"].map(|file| gate(file, &format!("exit $(cat {file})")));
    use GateEffect::{Broken, Passes, RedBefore, Repaired};

    let (findings, told) = lab.examine(&base, &first, &gates).await;
    assert_eq!(effects(&findings), [Repaired, Broken, RedBefore]);
    assert_eq!(
        told,
        [
            "a",
            "b",
            "c",
            "a on the base commit",
            "b on the base commit",
            "c on the base commit"
        ]
    );
    assert!(findings.gates.iter().all(|judged| !judged.base.earlier));

    let (findings, told) = lab.examine(&base, &second, &gates).await;
    assert_eq!(effects(&findings), [Repaired, Passes, Repaired]);
    assert_eq!(told, ["a", "b", "c"], "the base is known");
    assert!(findings.gates.iter().all(|judged| judged.base.earlier));
    assert!(findings.gates.iter().all(|judged| !judged.commit.earlier));

    let mut other = gates.clone();
    other[2].timeout_seconds = 59;
    let (_, told) = lab.examine(&base, &second, &other).await;
    assert_eq!(told.len(), 6, "another time-out is another gate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_missing_is_looked_for_again() {
    let lab = Laboratory::new(&[("a", "base")]).await;
    let base = lab.origin.head("main").await;
    let without = lab.origin.commit(&[("a", "without")]).await;
    let tool: &[u8] = b"#!/bin/sh\nexit 0\n";
    let with = lab.origin.commit_entries(&[("100755", "tool", tool)]).await;
    let gates = [gate("Tool", "./tool")];
    let (findings, _) = lab.examine(&base, &without, &gates).await;
    assert_eq!(findings.gates[0].base.end, End::Exited { code: 127 });
    let (_, told) = lab.examine(&base, &without, &gates).await;
    assert_eq!(told, ["Tool"]);
    let (_, told) = lab.examine(&base, &with, &gates).await;
    assert_eq!(told, ["Tool", "Tool on the base commit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tests_that_pass_without_the_change_are_flagged() {
    let lab = Laboratory::new(&[
        ("src/double.mjs", "export const double = (n) => n + 2;\n"),
        (
            "test/old.test.mjs",
            "import { double } from '../src/double.mjs';\nif (double(2) !== 4) process.exit(1);\n",
        ),
    ])
    .await;
    let base = lab.origin.head("main").await;
    let fixed = ("src/double.mjs", "export const double = (n) => n * 2;\n");
    let test = |number: u32| {
        format!(
            "import {{ double }} from '../src/double.mjs';\nif (double({number}) !== {number} * 2) process.exit(1);\n"
        )
    };
    let gates = [
        gate("Prepare", "touch prepared"),
        gate(
            "Unit tests",
            "test -e prepared && for t in test/*; do node $t || exit 1; done",
        ),
        gate("After", "true"),
    ];

    let weak = lab
        .origin
        .commit(&[fixed, ("test/new.test.mjs", &test(2))])
        .await;
    let (findings, told) = lab.examine(&base, &weak, &gates).await;
    let tests = findings.new_tests.as_ref().unwrap();
    assert_eq!(tests.proof, Proof::PassWithout);
    assert_eq!(tests.files, ["test/new.test.mjs"]);
    assert_eq!(findings.flagged_tests(), 1);
    assert!(
        told.ends_with(&[
            "Prepare on the base commit with the new tests".to_owned(),
            "Unit tests on the base commit with the new tests".to_owned(),
        ]),
        "what comes after the tests does not run: {told:?}"
    );
    assert!(rule::verdict(&findings.gates).0, "a warning, not a failure");

    let good = lab.origin.commit(&[("test/new.test.mjs", &test(3))]).await;
    let (findings, _) = lab.examine(&base, &good, &gates).await;
    let tests = findings.new_tests.as_ref().unwrap();
    assert_eq!(
        (tests.proof, findings.flagged_tests()),
        (Proof::FailWithout, 0)
    );
    assert!(!tests.runs[1].passed());

    let (_, told) = lab.examine(&base, &good, &gates).await;
    assert_eq!(
        told,
        ["Prepare", "Unit tests", "After"],
        "all else is known"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn qa_that_is_dropped_leaves_no_process() {
    let lab = Laboratory::new(&[("where", "base")]).await;
    let base = lab.origin.head("main").await;
    let commit = lab.origin.commit(&[("where", "commit")]).await;
    for place in ["commit", "base"] {
        let marker = marker();
        let command = format!(
            "if [ $(cat where) = {place} ]; then setsid sleep {marker} & exec sleep {marker}; fi"
        );
        let gates = [gate("Unit tests", &command)];
        {
            let examined = lab.examine(&base, &commit, &gates);
            let sleeps = async {
                while !runs(&format!("sleep\0{marker}\0")) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                _ = examined => panic!("it does not end by itself"),
                () = sleeps => {}
            }
        }
        while runs(&marker) {
            tokio::task::yield_now().await;
        }
        // Whoever comes next is not disturbed by what lies about.
        assert!(lab.workspace.qa(7).exists());
        let (findings, _) = lab
            .examine(&base, &commit, &[gate("Unit tests", "true")])
            .await;
        assert!(findings.gates[0].commit.passed());
    }
}
