use std::process::Command;

use serde_json::json;

use super::*;
use crate::testing::spec_for;

fn pattern(text: &str) -> ScopePattern {
    ScopePattern::try_from(text.to_owned()).unwrap()
}

/// A SPEC on `src/a.js`, with `rules` in it.
fn spec(rules: serde_json::Value) -> Spec {
    Spec {
        scope_rules: serde_json::from_value(rules).unwrap(),
        ..spec_for(&["src/a.js"])
    }
}

fn scope(rules: serde_json::Value) -> Scope {
    Scope::of(&spec(rules), &ScopeRules::default())
}

/// Patterns, and paths that they fit and do not fit where something is let pass.
const LET_PASS: [(&str, &[&str], &[&str]); 8] = [
    (
        "Cargo.lock",
        &["Cargo.lock"],
        &["cargo.lock", "x/Cargo.lock", "Cargo.lock/x", "CargoXlock"],
    ),
    (
        "**/*.snap",
        &["a.snap", "x/y/a.snap", "\u{fc}.snap"],
        &[".snap", "x/.snap", ".x/a.snap", "a.snap/b", "a.snapx"],
    ),
    (
        "test/**",
        &["test/a", "test/a/b.js"],
        &["test", "tests/a", "test/.env", "test/.x/a", "test/a/.b"],
    ),
    (
        "src/*",
        &["src/a", "src/a.b"],
        &["src/a/b", "src", "src/.a"],
    ),
    (
        "*_test.go",
        &["_test.go", "a_test.go"],
        &[".a_test.go", "x/a_test.go"],
    ),
    (
        "a*b*c/d",
        &["abc/d", "axxbxc/d"],
        &["abc", "ab/c/d", "aXb/d"],
    ),
    (
        ".github/**/x.yml",
        &[".github/x.yml", ".github/a/b/x.yml"],
        &[".github/.a/x.yml", "github/x.yml"],
    ),
    (
        "a+(b)/^$|-#&~.txt",
        &["a+(b)/^$|-#&~.txt"],
        &["aa(b)/^$|-#&~.txt", "a+b/x.txt"],
    ),
];

/// Patterns, and paths that they fit and do not fit where something is kept back.
const KEPT: [(&str, &[&str], &[&str]); 4] = [
    (
        "deploy",
        &["deploy", "deploy/a", "deploy/.env", "Deploy/a/b"],
        &["x/deploy", "deploys"],
    ),
    (
        "**/*.sql",
        &["a.sql", "x/.y/A.SQL", ".sql", "a.sql/x"],
        &["a.sqlx"],
    ),
    (
        "migrations/**",
        &["migrations/1", "migrations/.x", "MIGRATIONS/x"],
        &["migrations", "x/migrations/1"],
    ),
    (
        "caf\u{e9}/\u{df}*",
        &["cafe\u{301}/ss1", "CAF\u{c9}/SS"],
        &["cafe/ss1"],
    ),
];

#[test]
fn patterns_fit_what_they_say() {
    let judge = |matcher: &Matcher, fitting: &[&str], others: &[&str]| {
        for path in fitting.iter().chain(others) {
            let is_expected = matcher.fits(path) == fitting.contains(path);
            assert!(
                is_expected,
                "{} and {path}: {}",
                matcher.pattern(),
                matcher.source()
            );
        }
    };
    for (text, fitting, others) in LET_PASS {
        judge(&Matcher::within(&pattern(text)), fitting, others);
    }
    for (text, fitting, others) in KEPT {
        judge(&Matcher::all_below(&pattern(text)), fitting, others);
    }
}

/// The extension's own module, run by the node that Pi runs on.
#[test]
fn the_extension_judges_as_the_worker_does() {
    let mut paths: Vec<&str> = vec!["src/a.js", "SRC/a.js"];
    let mut rules = ScopeRules::default();
    for (text, fitting, others) in LET_PASS {
        rules.create.push(pattern(text));
        paths.extend(fitting.iter().chain(others));
    }
    for (text, fitting, others) in KEPT {
        rules.never.push(pattern(text));
        paths.extend(fitting.iter().chain(others));
    }
    let scope = scope(serde_json::to_value(&rules).unwrap());

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("policy.ts"),
        include_str!("../agent/extension/policy.ts"),
    )
    .unwrap();
    let policy = json!({"workspace": folder.path(), "scope": crate::agent::in_policy(&scope)});
    std::fs::write(at("policy.json"), policy.to_string()).unwrap();
    std::fs::write(at("paths.json"), json!(paths).to_string()).unwrap();
    let program = "import { changes, absolute } from './policy.ts';
        import { readFileSync } from 'node:fs';
        const paths = JSON.parse(readFileSync('paths.json', 'utf8'));
        console.log(JSON.stringify(paths.map((path) => [...changes(absolute(path))].sort())));";
    std::fs::write(at("run.mts"), program).unwrap();
    let done = Command::new(crate::testing::tools().node())
        .current_dir(folder.path())
        .args(["--experimental-strip-types", "run.mts"])
        .env("SALLYPORT_POLICY", at("policy.json"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let answers: Vec<BTreeSet<FileChange>> = serde_json::from_str(&said).unwrap();
    assert_eq!(answers.len(), paths.len());
    for (path, answer) in paths.into_iter().zip(answers) {
        assert_eq!(answer, scope.changes(path.as_bytes()), "{path}");
    }
}

#[test]
fn each_file_is_in_scope_for_what_the_spec_says() {
    let mut spec =
        spec(json!({"create": ["test/**"], "modify": ["Cargo.lock"], "delete": ["old/*"]}));
    spec.files.push(
        serde_json::from_value(json!({"path": "new.js", "change": "create", "reason": "r"}))
            .unwrap(),
    );
    spec.patterns.push(
        serde_json::from_value(
            json!({"pattern": "gen/*.js", "change": "modify", "matched": 1, "reason": "r"}),
        )
        .unwrap(),
    );
    let scope = Scope::of(&spec, &ScopeRules::default());
    use FileChange::{Create, Delete, Modify};
    for (path, allowed) in [
        ("src/a.js", vec![Modify]),
        ("new.js", vec![Create]),
        ("test/new.js", vec![Create]),
        ("Cargo.lock", vec![Modify]),
        ("old/a", vec![Delete]),
        ("gen/a.js", vec![Modify]),
        ("gen/a.ts", vec![]),
        ("SRC/a.js", vec![]),
        ("src/a.js/b", vec![]),
        ("src", vec![]),
        ("test/../src/b.js", vec![]),
        ("test/a\u{202e}b", vec![]),
        ("", vec![]),
    ] {
        for change in FileChange::ALL {
            let judged = scope.judge(change, path.as_bytes());
            assert_eq!(
                judged.is_ok(),
                allowed.contains(&change),
                "{path}: {judged:?}"
            );
        }
    }
    assert!(scope.judge(Modify, b"src/\xff").is_err());
    let said = |change, path: &str| {
        scope
            .judge(change, path.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        said(Delete, "src/a.js"),
        "it is in scope to modify, and not to delete"
    );
    assert_eq!(said(Modify, "src/b.js"), "the SPEC does not list it");
    assert!(scope.may_touch(b"src/a.js") && scope.may_touch(b"old/a"));
    assert!(!scope.may_touch(b"test/old.js"), "only new ones");
}

#[test]
fn nobody_opens_what_the_repository_keeps() {
    let spec = spec(json!({"create": ["**/*.js"], "never": ["deploy"]}));
    // What the policy says now counts, too.
    let now: ScopeRules = serde_json::from_value(json!({"never": ["src/a.js"]})).unwrap();
    let mut scope = Scope::of(&spec, &now);
    scope.grant(RepositoryPath::try_from("deploy/x.js".to_owned()).unwrap());
    for path in ["deploy/x.js", "Deploy/y.js", "src/a.js"] {
        for change in FileChange::ALL {
            let refusal = scope.judge(change, path.as_bytes()).unwrap_err();
            assert!(matches!(refusal, Refusal::Never(_)), "{path}: {refusal}");
        }
    }
    assert!(scope.judge(FileChange::Create, b"src/b.js").is_ok());
    scope.grant(RepositoryPath::try_from("src/c.js".to_owned()).unwrap());
    assert!(scope.is_open(b"src/c.js") && !scope.is_open(b"src/b.js"));
    // Only what the SPEC itself lists.
    let listed = Scope::listed(&spec);
    assert!(listed.judge(FileChange::Create, b"src/b.js").is_err());
}
