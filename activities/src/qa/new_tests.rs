//! Whether the tests that a change brings show anything: on the base commit's code they should fail.
//!
//! Which files are tests is told by their names, as the tools of each language do:
//!
//! | | test files |
//! | --- | --- |
//! | all | all below a folder `test`, `tests`, `__tests__`, `spec` or `specs`, so what tests need is there too |
//! | JavaScript, TypeScript | `*.test.*`, `*.spec.*` |
//! | Python | `test_*.py`, `*_test.py`, `conftest.py` |
//! | Go | `*_test.go` |
//! | Java, Kotlin | `*Test`, `*Tests`, `*IT` with `.java`, `.kt`, `.groovy` or `.scala` |
//!
//! Tests inside a file of code, as Rust has them, cannot be told from the code, and are not judged.
//!
//! All gates run on the base commit with these files on top, as they ran on the base commit itself, so that the tests
//! are all that differs. Those required gates count that look like tests and pass on the change's commit.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::Judged;
use crate::{
    git::{Git, GitError},
    policy_file::QualityGate,
};

/// Folders of tests.
const FOLDERS: [&str; 5] = ["test", "tests", "__tests__", "spec", "specs"];

/// What is in the name or the command of a gate that runs tests.
const TEST_WORDS: [&str; 10] = [
    "test",
    "spec",
    "jest",
    "mocha",
    "tox",
    "nox",
    "make check",
    "ctest",
    "rake",
    "verify",
];

/// How many paths git is given at once.
const PATHS_AT_ONCE: usize = 200;

/// What the tests of a change show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// They fail without the change, as they should.
    FailWithout,
    /// They pass without the change too, so they prove nothing.
    PassWithout,
    /// It cannot be told.
    Unclear,
}

/// Whether the file at `path` is one of tests.
pub fn is_test_file(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if folders.split('/').any(|folder| FOLDERS.contains(&folder)) {
        return true;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    match extension {
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "vue" | "svelte" => {
            stem.ends_with(".test") || stem.ends_with(".spec")
        }
        "py" => stem.starts_with("test_") || stem.ends_with("_test") || stem == "conftest",
        "go" => stem.ends_with("_test"),
        "java" | "kt" | "groovy" | "scala" => ["Test", "Tests", "IT"]
            .iter()
            .any(|end| stem.ends_with(end)),
        _ => false,
    }
}

/// Whether `gate` runs tests, by its name or command.
pub(super) fn runs_tests(gate: &QualityGate) -> bool {
    let text = format!("{}\n{}", gate.name, gate.command).to_lowercase();
    TEST_WORDS.iter().any(|word| text.contains(word))
}

/// How many of `gates` have to run so that the last one that counts has run; none if none counts.
pub(super) fn needed(gates: &[Judged]) -> usize {
    gates
        .iter()
        .rposition(counts)
        .map_or(0, |position| position + 1)
}

fn counts(judged: &Judged) -> bool {
    judged.gate.required && judged.commit.passed() && runs_tests(&judged.gate)
}

/// What it means that the first of `gates` passed or failed with the new tests on top of the base.
pub(super) fn proof(gates: &[Judged], with_tests: &[bool]) -> Proof {
    let counted = gates.iter().zip(with_tests);
    let counted: Vec<_> = counted.filter(|(judged, _)| counts(judged)).collect();
    let fails_by_tests = |(judged, passed): &(&Judged, &bool)| judged.base.passed() && !**passed;
    if counted.iter().any(fails_by_tests) {
        Proof::FailWithout
    } else if !counted.is_empty() && counted.iter().all(|(_, passed)| **passed) {
        Proof::PassWithout
    } else {
        // It fails, and did so before the tests were there.
        Proof::Unclear
    }
}

/// The regular test files that `commit` has and `base` has not, or has with another content. As git has their paths.
pub(super) async fn changed(git: &Git, base: &str, commit: &str) -> Result<Vec<Vec<u8>>, GitError> {
    let names = git
        .run("diff-tree")
        .arguments(["-r", "-z", "--name-only", "--no-renames", "--no-ext-diff"])
        .arguments(["--diff-filter=AM", base, commit])
        .output()
        .await?;
    let names = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let tests = names.filter(|name| is_test_file(&String::from_utf8_lossy(name)));
    Ok(tests.map(<[u8]>::to_vec).collect())
}

/// Makes a tree of `base` with the files at `paths` as they are in `commit`, and answers its id. `index` is a file that
/// does not exist yet.
pub(super) async fn on_top_of(
    git: &Git,
    index: &Path,
    base: &str,
    commit: &str,
    paths: &[Vec<u8>],
) -> Result<String, GitError> {
    git.run("read-tree")
        .index(index)
        .argument(base)
        .done()
        .await?;
    for paths in paths.chunks(PATHS_AT_ONCE) {
        let entries = git
            .run("ls-tree")
            .arguments(["-r", "-z", "--full-tree", commit, "--"])
            .arguments(paths.iter().map(|path| OsStr::from_bytes(path)))
            .output()
            .await?;
        let mut regular = Vec::new();
        for entry in entries.split_inclusive(|byte| *byte == 0) {
            if entry.starts_with(b"100") {
                regular.extend_from_slice(entry);
            }
        }
        git.run("update-index")
            .index(index)
            .arguments(["--add", "--replace", "-z", "--index-info"])
            .input(regular)
            .done()
            .await?;
    }
    git.run("write-tree").index(index).text().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mirror::Mirrors,
        qa::rule::tests::{exited, gate},
        testing::Origin,
    };

    #[test]
    fn tests_are_told_by_their_names() {
        for path in [
            "test/parse.js",
            "src/__tests__/a.tsx",
            "crates/x/tests/data/input.json",
            "src/a.test.ts",
            "a.spec.mjs",
            "test_a.py",
            "pkg/a_test.py",
            "conftest.py",
            "pkg/a_test.go",
            "src/test/java/org/x/Helper.java",
            "app/ParserTest.java",
            "app/ParserIT.kt",
        ] {
            assert!(is_test_file(path), "{path}");
        }
        for path in [
            "src/parse.js",
            "src/latest.js",
            "contest.py",
            "attest.go",
            "test",
            "src/test.rs",
            "testing/a.js",
            "README.md",
            "src/Contestant.java",
        ] {
            assert!(!is_test_file(path), "{path}");
        }
    }

    #[test]
    fn gates_that_run_tests_are_told_by_their_words() {
        for (name, command, expected) in [
            ("Unit tests", "./run", true),
            ("All", "python3 -m pytest", true),
            ("Make check", "make check", true),
            ("Lint", "eslint .", false),
            ("Types", "npm run type-check", false),
        ] {
            let mut gate = gate(name, true);
            gate.command = command.into();
            assert_eq!(runs_tests(&gate), expected, "{name}");
        }
    }

    fn judged(required: bool, base: i32, commit: i32) -> Judged {
        Judged {
            gate: gate("Tests", required),
            base: exited(base),
            commit: exited(commit),
        }
    }

    #[test]
    fn what_the_tests_show() {
        // required, on the base, on the commit, on the base with the tests
        for (gates, with_tests, expected) in [
            (vec![(true, 0, 0)], vec![false], Proof::FailWithout),
            (vec![(true, 0, 0)], vec![true], Proof::PassWithout),
            // The tests alone made it pass, not the code.
            (vec![(true, 1, 0)], vec![true], Proof::PassWithout),
            (vec![(true, 1, 0)], vec![false], Proof::Unclear),
            // What counts: required, and passes on the commit.
            (vec![(false, 0, 0)], vec![true], Proof::Unclear),
            (vec![(true, 0, 1)], vec![true], Proof::Unclear),
            // The tests are those of one of two languages.
            (
                vec![(true, 0, 0), (true, 0, 0)],
                vec![true, false],
                Proof::FailWithout,
            ),
            (
                vec![(true, 0, 0), (true, 1, 0)],
                vec![true, false],
                Proof::Unclear,
            ),
        ] {
            let gates: Vec<_> = gates
                .into_iter()
                .map(|(required, base, commit)| judged(required, base, commit))
                .collect();
            assert_eq!(proof(&gates, &with_tests), expected, "{gates:?}");
        }
        let gates = [judged(true, 0, 0), judged(true, 0, 1), judged(false, 0, 0)];
        assert_eq!(needed(&gates), 1);
        assert_eq!(needed(&gates[1..]), 0);
    }

    #[tokio::test]
    async fn only_new_and_changed_test_files_are_put_on_top() {
        let origin = Origin::new(&[
            ("src/a.js", "old\n"),
            ("test/kept.js", "kept\n"),
            ("test/changed.js", "old\n"),
        ])
        .await;
        let base = origin.head("main").await;
        origin
            .commit_entries(&[
                ("100644", "src/a.js", b"new\n"),
                ("100644", "src/b.js", b"new\n"),
                ("100644", "test/changed.js", b"new\n"),
                ("100755", "test/new ü.js", b"new\n"),
                ("120000", "test/link.js", b"/etc/passwd"),
            ])
            .await;
        let commit = origin.head("main").await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path().join("m"))
            .fetch(origin.url())
            .await
            .unwrap();
        let git = mirror.git();
        let paths = changed(git, &base, &commit).await.unwrap();
        let tree = on_top_of(git, &folder.path().join("i"), &base, &commit, &paths)
            .await
            .unwrap();
        let difference = git
            .run("diff-tree")
            .arguments(["-r", "-z", "--name-status", "--no-renames", &base, &tree])
            .text()
            .await
            .unwrap();
        assert_eq!(difference, "M\0test/changed.js\0A\0test/new ü.js\0");
    }
}
