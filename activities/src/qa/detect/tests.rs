//! Small repositories, and the gates that they have.

use super::*;
use crate::{mirror::Mirrors, policy_file, testing::Origin};

type Entries<'a> = &'a [(&'a str, &'a str, &'a [u8])];

async fn found(entries: Entries<'_>) -> (Vec<QualityGate>, Vec<String>) {
    let origin = Origin::new(&[("README.md", "A library.\n")]).await;
    origin.commit_entries(entries).await;
    let (_folder, mirror, head) = origin.mirror().await;
    detect(&mirror, &head).await.unwrap()
}

/// Each gate as a line: its name, `!` if it is required, and its command.
async fn gates(entries: Entries<'_>) -> Vec<String> {
    let (gates, _) = found(entries).await;
    let line = |gate: &QualityGate| {
        let mark = if gate.required { "!" } else { "" };
        format!("{}{mark}: {}", gate.name, gate.command)
    };
    gates.iter().map(line).collect()
}

const PLAIN: &str = "100644";
const EXECUTABLE: &str = "100755";
const LINK: &str = "120000";

#[tokio::test]
async fn rust() {
    let manifest: &[u8] = b"[package]\nname = 'x'\n";
    assert_eq!(
        gates(&[(PLAIN, "Cargo.toml", manifest), (PLAIN, "Cargo.lock", b"")]).await,
        [
            "Cargo format: cargo fmt --all --check",
            "Cargo clippy: cargo clippy --workspace --offline --locked --all-targets",
            "Cargo build!: cargo build --workspace --offline --locked",
            "Cargo tests!: cargo test --workspace --offline --locked",
        ]
    );
    let without_lock = gates(&[(PLAIN, "Cargo.toml", b"[workspace]\nmembers = []\n")]).await;
    assert_eq!(
        without_lock[3],
        "Cargo tests!: cargo test --workspace --offline"
    );
}

#[tokio::test]
async fn javascript() {
    let scripts: &[u8] = br#"{"scripts": {"test": "node --test", "lint": "eslint .", "tsc": "tsc", "build": "vite build",
        "postinstall": "curl evil", "deploy": "x"}}"#;
    let test: &[u8] = br#"{"scripts": {"test": "node --test"}}"#;
    let named: &[u8] = br#"{"packageManager": "pnpm@9.1.0+sha512.x", "scripts": {"test": "vitest", "typecheck": "tsc", "tsc": "x"}}"#;
    let unknown: &[u8] =
        br#"{"packageManager": "evil; rm -rf /@1", "scripts": {"test": "node --test"}}"#;
    assert_eq!(
        gates(&[(PLAIN, "package.json", scripts)]).await,
        [
            "npm lint: npm run lint",
            "npm type check: npm run tsc",
            "npm build: npm run build",
            "npm tests!: CI=true npm run test",
        ]
    );
    assert_eq!(
        gates(&[
            (PLAIN, "package.json", test),
            (PLAIN, "yarn.lock", b""),
            (PLAIN, "package-lock.json", b"{}")
        ])
        .await,
        ["yarn tests!: CI=true yarn run test"]
    );
    assert_eq!(
        gates(&[
            (PLAIN, "package.json", test),
            (PLAIN, "pnpm-lock.yaml", b"")
        ])
        .await,
        ["pnpm tests!: CI=true pnpm run test"]
    );
    assert_eq!(
        gates(&[(PLAIN, "package.json", named), (PLAIN, "yarn.lock", b"")]).await,
        [
            "pnpm type check: pnpm run typecheck",
            "pnpm tests!: CI=true pnpm run test"
        ]
    );
    assert_eq!(
        gates(&[(PLAIN, "package.json", unknown)]).await,
        ["npm tests!: CI=true npm run test"]
    );
}

#[tokio::test]
async fn python() {
    let pytest: &str = "Python tests!: python3 -m pytest";
    let plain_test: &[u8] = b"def test_it():\n    assert True\n";
    let class_test: &[u8] =
        b"import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n";
    let configured: &[u8] =
        b"[tool.pytest.ini_options]\n[tool.ruff]\n[tool.mypy]\nfiles = ['src']\n";
    let cases: [(Entries<'_>, &[&str]); 14] = [
        (
            &[(PLAIN, "pyproject.toml", configured)],
            &["Ruff: ruff check .", "mypy: mypy", pytest],
        ),
        (
            &[
                (
                    PLAIN,
                    "setup.cfg",
                    b"[metadata]\n[mypy]\nstrict = true\n[tool:pytest]\n",
                ),
                (PLAIN, ".ruff.toml", b""),
            ],
            &["Ruff: ruff check .", "mypy: mypy .", pytest],
        ),
        (
            &[
                (PLAIN, "mypy.ini", b"[mypy]\nfiles = src\n[mypy-x]\n"),
                (PLAIN, "pytest.ini", b""),
            ],
            &["mypy: mypy", pytest],
        ),
        (
            &[(
                PLAIN,
                "tox.ini",
                b"[testenv]\ncommands = pytest {posargs}\n",
            )],
            &[pytest],
        ),
        (
            &[(
                PLAIN,
                "tox.ini",
                b"[testenv]\n# pytest\ncommands = stestr run\n",
            )],
            &["Python tests!: PIP_NO_INDEX=1 tox run --skip-pkg-install"],
        ),
        (
            &[(PLAIN, "setup.cfg", b"[tox:tox]\nenvlist = py3\n")],
            &["Python tests!: PIP_NO_INDEX=1 tox run --skip-pkg-install"],
        ),
        (
            &[(PLAIN, "pyproject.toml", b"[tool.tox]\nenv_list = ['py3']\n")],
            &["Python tests!: PIP_NO_INDEX=1 tox run --skip-pkg-install"],
        ),
        (
            &[(PLAIN, "noxfile.py", b"import nox\n")],
            &["Python tests!: PIP_NO_INDEX=1 nox --non-interactive"],
        ),
        (
            &[(PLAIN, "noxfile.py", b"session.run('pytest')\n")],
            &[pytest],
        ),
        (&[(PLAIN, "tests/test_a.py", plain_test)], &[pytest]),
        (
            &[(PLAIN, "tests/test_a.py", class_test)],
            &["Python tests!: python3 -m unittest discover -s tests"],
        ),
        (
            &[
                (PLAIN, "test/test_a.py", class_test),
                (PLAIN, "test/__init__.py", b""),
            ],
            &["Python tests!: python3 -m unittest discover -s test -t ."],
        ),
        (
            &[(PLAIN, "test_a.py", class_test)],
            &["Python tests!: python3 -m unittest discover"],
        ),
        // A folder of another language's tests.
        (&[(PLAIN, "tests/a.rs", b"fn test_it() {}\n")], &[]),
    ];
    for (entries, expected) in cases {
        assert_eq!(gates(entries).await, expected, "{entries:?}");
    }
}

#[tokio::test]
async fn go_java_and_make() {
    let go = r#"GOPROXY=off GOTOOLCHAIN=local GOCACHE="$PWD/.cache/go-build" go"#;
    assert_eq!(
        gates(&[(PLAIN, "go.mod", b"module example.com/x\n\ngo 1.22\n")]).await,
        [
            format!("Go vet: {go} vet ./..."),
            format!("Go build!: {go} build ./..."),
            format!("Go tests!: {go} test ./..."),
        ]
    );
    let pom: &[u8] = b"<project></project>";
    for (entries, expected) in [
        (
            &[(PLAIN, "pom.xml", pom)][..],
            "Maven tests!: mvn --offline --batch-mode test",
        ),
        (
            &[
                (PLAIN, "pom.xml", pom),
                (EXECUTABLE, "mvnw", b"#!/bin/sh\n"),
            ],
            "Maven tests!: ./mvnw --offline --batch-mode test",
        ),
        (
            &[(PLAIN, "pom.xml", pom), (LINK, "mvnw", b"/bin/sh")],
            "Maven tests!: mvn --offline --batch-mode test",
        ),
        (
            &[(PLAIN, "build.gradle.kts", b""), (PLAIN, "gradlew", b"")],
            "Gradle tests!: sh ./gradlew --offline --no-daemon --console=plain test",
        ),
        (
            &[(PLAIN, "settings.gradle", b"")],
            "Gradle tests!: gradle --offline --no-daemon --console=plain test",
        ),
        (
            &[(
                PLAIN,
                "Makefile",
                b".PHONY: test\nall: x\ncheck test: all\n\tpytest\n",
            )],
            "Make test!: make test",
        ),
        (
            &[
                (PLAIN, "GNUmakefile", b"check::\n\ttrue\n"),
                (PLAIN, "Makefile", b"test:\n"),
            ],
            "Make check!: make check",
        ),
    ] {
        assert_eq!(gates(entries).await, [expected], "{entries:?}");
    }
    for makefile in [
        ".PHONY: test check\n",
        "test := yes\n",
        "tests: x\n",
        "all:\n\ttest: x\n",
        "# test:\n",
    ] {
        let entries = [(PLAIN, "Makefile", makefile.as_bytes())];
        assert!(gates(&entries).await.is_empty(), "{makefile}");
    }
}

#[tokio::test]
async fn several_languages_come_in_a_fixed_order_and_make_is_then_optional() {
    let all: Entries<'_> = &[
        (PLAIN, "Makefile", b"test:\n\tcargo test\n"),
        (
            PLAIN,
            "package.json",
            br#"{"scripts": {"test": "t", "lint": "l", "build": "b", "tsc": "t"}}"#,
        ),
        (PLAIN, "go.mod", b"module x\n"),
        (PLAIN, "Cargo.toml", b"[package]\n"),
    ];
    let names: Vec<String> = found(all)
        .await
        .0
        .iter()
        .map(|gate| gate.name.clone())
        .collect();
    assert_eq!(
        names,
        [
            "Cargo format",
            "Cargo clippy",
            "Cargo build",
            "Cargo tests",
            "npm lint",
            "npm type check",
            "npm build",
            "npm tests",
            "Go vet",
            "Go build",
            "Go tests",
            "Make test",
        ]
    );
    let (gates, _) = found(all).await;
    assert!(!gates[11].required);
}

#[test]
fn number_and_time_are_bounded_and_what_is_optional_goes_first() {
    let mut proposals = vec![
        Proposal::optional("Lint 1", "l"),
        Proposal::optional("Lint 2", "l"),
    ];
    assert_eq!(bounded(proposals.clone())[0].timeout_seconds, 1800);
    for number in 0..MAXIMUM_GATES {
        proposals.push(Proposal::required(format!("Tests {number}"), "t"));
    }
    proposals.push(Proposal::required("One too many", "t"));
    let gates = bounded(proposals);
    assert_eq!(gates.len(), MAXIMUM_GATES);
    assert!(gates.iter().all(|gate| gate.name.starts_with("Tests ")));
    let seconds: u64 = gates.iter().map(|gate| gate.timeout_seconds).sum();
    assert!(seconds <= MAXIMUM_ALL_GATES_SECONDS, "{seconds}");
}

#[tokio::test]
async fn hostile_and_broken_manifests_give_fewer_gates_and_no_error() {
    let huge = format!(
        r#"{{"scripts": {{"test": "node --test"}}, "x": "{}"}}"#,
        "x".repeat(300 << 10)
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_toml = format!("[package]\nx = {deep}\n");
    let cases: [(Entries<'_>, &str); 14] = [
        (&[(PLAIN, "package.json", huge.as_bytes())], "was not read"),
        (&[(PLAIN, "package.json", deep.as_bytes())], "package.json is malformed"),
        (&[(PLAIN, "Cargo.toml", deep_toml.as_bytes())], "Cargo.toml is malformed"),
        (&[(PLAIN, "package.json", b"\xff\xfe")], "package.json is no text"),
        (&[(PLAIN, "package.json", b"[]")], "package.json is malformed"),
        (&[(PLAIN, "package.json", br#"{"scripts": ["test"]}"#)], "no script `test`"),
        (&[(PLAIN, "package.json", br#"{"scripts": {"test": {"a": 1}}}"#)], "no script `test`"),
        (
            &[(
                PLAIN,
                "package.json",
                br#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#,
            )],
            "no script `test`",
        ),
        (
            &[(
                PLAIN,
                "package.json",
                br#"{"scripts": {"test; touch /pwned": "x", "$(touch /pwned)": "y", "lint && x": "z", "Test": "x"}}"#,
            )],
            "no script `test`",
        ),
        (&[(LINK, "package.json", b"/etc/passwd")], ""),
        (&[(PLAIN, "package.json/scripts", b"x")], ""),
        (&[(PLAIN, "sub/package.json", br#"{"scripts": {"test": "t"}}"#)], ""),
        (&[(PLAIN, "pyproject.toml", b"[tool.pytest\n")], "pyproject.toml is malformed"),
        (&[(PLAIN, "pom.xml", b"project"), (PLAIN, "go.mod", b"x\n")], "go.mod names no module"),
    ];
    for (entries, note) in cases {
        let (gates, notes) = found(entries).await;
        assert!(gates.is_empty(), "{:?}: {gates:?}", entries[0].1);
        assert!(notes.join("; ").contains(note), "{notes:?}");
    }
    // One malformed file does not hide the others.
    let both: Entries<'_> = &[
        (PLAIN, "package.json", b"{"),
        (PLAIN, "go.mod", b"module x\n"),
    ];
    assert_eq!(gates(both).await.len(), 3);
}

#[tokio::test]
async fn a_policy_is_completed_or_refused_with_what_to_write() {
    let origin = Origin::new(&[("package.json", r#"{"scripts": {"lint": "eslint ."}}"#)]).await;
    let folder = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(folder.path());
    let none = || policy_file::parse(None).unwrap();
    let mirror = mirrors.fetch(origin.url()).await.unwrap();
    let head = mirror.head("main").await.unwrap();
    let error = complete(&mirror, &head, none()).await.unwrap_err();
    assert!(error.is_final() && error.kind() == kind::POLICY_INVALID);
    for words in [
        "is missing or names no gates",
        "package.json has no script `test`; only optional checks: npm lint",
        "[[gates]]",
    ] {
        assert!(error.message().contains(words), "{words}: {error}");
    }

    let test = r#"{"scripts": {"lint": "eslint .", "test": "node --test"}}"#;
    origin.commit(&[("package.json", test)]).await;
    let mirror = mirrors.fetch(origin.url()).await.unwrap();
    let head = mirror.head("main").await.unwrap();
    let policy = complete(&mirror, &head, none()).await.unwrap();
    assert!(policy.detected && policy.gates.len() == 2);

    let written = b"[[gates]]\nname = 'a'\ncommand = 'b'\n";
    let written = policy_file::parse(Some(written)).unwrap();
    let policy = complete(&mirror, &head, written.clone()).await.unwrap();
    assert_eq!(policy, written, "what is written counts, and nothing else");
}
