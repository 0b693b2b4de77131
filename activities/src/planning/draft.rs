//! What counts as a SPEC in a planner's answer: its JSON schema, and all that a schema cannot say.

use std::collections::BTreeSet;

use sallyport_workflows::spec::{Check, Criterion, REVIEW, Spec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::{DraftFile, DraftPattern, check_files, check_patterns, check_scope};
use crate::policy_file::{QualityGate, RepositoryPolicy};

/// The longest text field, in bytes.
const MAXIMUM_TEXT: usize = 8 << 10;
/// The longest entry of a list, in bytes.
pub(super) const MAXIMUM_ENTRY: usize = 1 << 10;
/// The most entries of a list.
const MAXIMUM_ENTRIES: usize = 50;

/// A SPEC as the planner writes it, before it is judged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    title: String,
    problem: String,
    solution: String,
    files: Vec<DraftFile>,
    patterns: Vec<DraftPattern>,
    plan: Vec<String>,
    testing: Vec<String>,
    criteria: Vec<DraftCriterion>,
    risks: Vec<String>,
    confidence: f64,
    confidence_reasons: Vec<String>,
    open_questions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftCriterion {
    text: String,
    check: String,
}

/// What may show that a criterion is met.
fn checks(gates: &[QualityGate]) -> Vec<&str> {
    let names = gates.iter().map(|gate| gate.name.as_str());
    names.chain([REVIEW]).collect()
}

/// The schema of a SPEC in a repository with `gates`. Only keywords that all vendors take.
pub(super) fn schema(gates: &[QualityGate]) -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let list = |description: &str| json!({"type": "array", "items": {"type": "string"}, "description": description});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["title", "problem", "solution", "files", "patterns", "plan", "testing", "criteria", "risks", "confidence", "confidence_reasons", "open_questions"],
        "properties": {
            "title": text("What is done, in one line"),
            "problem": text("What is wrong or missing, and where in the code"),
            "solution": text("What will be done about it, and why so"),
            "files": {
                "type": "array",
                "description": "Every file that will be created, changed or deleted, tests included; no others may be, but for `patterns`",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["path", "change", "reason"],
                    "properties": {
                        "path": text("Relative to the top of the repository"),
                        "change": {"type": "string", "enum": ["create", "modify", "delete"]},
                        "reason": text("Why, in one line"),
                    },
                },
            },
            "patterns": {
                "type": "array",
                "description": "Only for files that cannot be named one by one, such as generated ones; empty otherwise",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["pattern", "change", "reason"],
                    "properties": {
                        "pattern": text("Relative to the top of the repository; `*` within a name, `**` for folders"),
                        "change": {"type": "string", "enum": ["create", "modify", "delete"]},
                        "reason": text("Why they cannot be named, in one line"),
                    },
                },
            },
            "plan": list("The steps, in order"),
            "testing": list("Which tests show that it works"),
            "criteria": {
                "type": "array",
                "description": "What is true once the change is made, and what shows it",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["text", "check"],
                    "properties": {
                        "text": text("What is true, in one line"),
                        "check": {
                            "type": "string",
                            "enum": checks(gates),
                            "description": "The quality gate that fails if it is not true, or `review` if a person has to look",
                        },
                    },
                },
            },
            "risks": list("What may go wrong, and what is done against it; may be empty"),
            "confidence": {"type": "number", "description": "From 0 to 1: how likely it is that this solves the ticket"},
            "confidence_reasons": list("Why not more and not less: what you saw, and what you did not see"),
            "open_questions": list("What you could not find out, each with what you assume in its place; may be empty"),
        },
    })
}

/// The SPEC of `draft`, or what is wrong with it, in words for the planner. `existing` are the base commit's files,
/// `policy` has its gates.
pub(super) fn judge(
    draft: Draft,
    existing: &BTreeSet<String>,
    policy: &RepositoryPolicy,
) -> Result<Spec, String> {
    for (name, text) in [
        ("title", &draft.title),
        ("problem", &draft.problem),
        ("solution", &draft.solution),
    ] {
        check_text(name, text, MAXIMUM_TEXT)?;
    }
    if draft.title.len() > 200 {
        return Err("`title` is longer than 200 bytes".to_owned());
    }
    for (name, entries, may_be_empty) in [
        ("plan", &draft.plan, false),
        ("testing", &draft.testing, false),
        ("risks", &draft.risks, true),
        ("confidence_reasons", &draft.confidence_reasons, false),
        ("open_questions", &draft.open_questions, true),
    ] {
        if entries.is_empty() && !may_be_empty {
            return Err(format!("`{name}` is empty"));
        }
        if entries.len() > MAXIMUM_ENTRIES {
            return Err(format!("`{name}` has more than {MAXIMUM_ENTRIES} entries"));
        }
        for entry in entries {
            check_text(name, entry, MAXIMUM_ENTRY)?;
        }
    }
    if !(0.0..=1.0).contains(&draft.confidence) {
        return Err("`confidence` must be from 0 to 1".to_owned());
    }
    let spec = Spec {
        files: check_files(draft.files, existing)?,
        patterns: check_patterns(draft.patterns, existing)?,
        scope_rules: policy.scope.clone(),
        title: draft.title,
        problem: draft.problem,
        solution: draft.solution,
        plan: draft.plan,
        testing: draft.testing,
        criteria: check_criteria(draft.criteria, &policy.gates)?,
        gates: policy.as_in_spec(),
        risks: draft.risks,
        confidence: draft.confidence,
        confidence_reasons: draft.confidence_reasons,
        open_questions: draft.open_questions,
    };
    check_scope(&spec)?;
    Ok(spec)
}

pub(super) fn check_text(name: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("`{name}` has an empty text"));
    }
    if text.len() > limit {
        return Err(format!("`{name}` has a text longer than {limit} bytes"));
    }
    Ok(())
}

fn check_criteria(
    drafts: Vec<DraftCriterion>,
    gates: &[QualityGate],
) -> Result<Vec<Criterion>, String> {
    if drafts.is_empty() || drafts.len() > MAXIMUM_ENTRIES {
        return Err(format!(
            "`criteria` must have 1 to {MAXIMUM_ENTRIES} entries"
        ));
    }
    let mut criteria = Vec::new();
    for draft in drafts {
        check_text("criteria.text", &draft.text, MAXIMUM_ENTRY)?;
        if draft.text.contains("checked by:") {
            return Err(
                "`criteria.text` must not say what it is checked by; `criteria.check` does"
                    .to_owned(),
            );
        }
        let known = checks(gates);
        if !known.contains(&draft.check.as_str()) {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            return Err(format!(
                "`{}` is no check for a criterion, since there is no such gate; a check is one of {}",
                draft.check,
                known.join(", ")
            ));
        }
        criteria.push(Criterion {
            text: draft.text,
            check: Check::from(draft.check),
        });
    }
    Ok(criteria)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::policy_file;

    pub(crate) fn good_spec() -> Value {
        json!({
            "title": "Read milliseconds", "problem": "p", "solution": "s",
            "files": [
                {"path": "src/parse.js", "change": "modify", "reason": "r"},
                {"path": "test/new.js", "change": "create", "reason": "r"},
            ],
            "plan": ["1"], "testing": ["t"], "patterns": [], "risks": [], "confidence": 0.9,
            "confidence_reasons": ["c"], "open_questions": [],
            "criteria": [{"text": "c", "check": "Unit tests"}, {"text": "d", "check": "review"}],
        })
    }

    pub(crate) fn existing() -> BTreeSet<String> {
        ["README.md", "src/parse.js"].map(str::to_owned).into()
    }

    pub(crate) fn policy() -> RepositoryPolicy {
        let gate = "[scope]\nnever = ['deploy/**']\n\n[[gates]]\nname = 'Unit tests'\ncommand = 'node --test'\n";
        policy_file::parse(Some(gate.as_bytes())).unwrap()
    }

    fn parse(
        spec: &Value,
        existing: &BTreeSet<String>,
        policy: &RepositoryPolicy,
    ) -> Result<Spec, String> {
        let draft = Draft::deserialize(spec).map_err(|error| error.to_string())?;
        judge(draft, existing, policy)
    }

    #[test]
    fn a_good_spec_is_taken() {
        let spec = parse(&good_spec(), &existing(), &policy()).unwrap();
        assert_eq!(spec.files.len(), 2);
        assert_eq!(spec.criteria[0].check, Check::Gate("Unit tests".into()));
        assert_eq!(spec.criteria[1].check, Check::Review);
        assert_eq!(spec.gates, policy().as_in_spec());
        assert_eq!(spec.scope_rules, policy().scope);
        assert_eq!(spec.confidence_reasons, ["c"]);
    }

    #[test]
    fn a_pattern_says_how_many_files_it_fits_and_may_stand_alone() {
        let mut answer = good_spec();
        answer["files"] = json!([]);
        answer["patterns"] = json!([{"pattern": "src/*.js", "change": "modify", "reason": "r", }]);
        let spec = parse(&answer, &existing(), &policy()).unwrap();
        assert_eq!((spec.patterns[0].matched, spec.file_count()), (1, 1));
        let many: BTreeSet<String> = (0..101).map(|number| format!("src/{number}.js")).collect();
        let problem = parse(&answer, &many, &policy()).unwrap_err();
        assert!(problem.contains("fits 101 files"), "{problem}");
    }

    #[test]
    fn the_schema_names_the_repositorys_gates() {
        let schema = schema(&policy().gates);
        let check = &schema["properties"]["criteria"]["items"]["properties"]["check"];
        assert_eq!(check["enum"], json!(["Unit tests", "review"]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many: Vec<Value> = (0..101)
            .map(|number| json!({"path": format!("f{number}"), "change": "create", "reason": "r"}))
            .collect();
        let file =
            |path: &str, change: &str| json!([{"path": path, "change": change, "reason": "r"}]);
        let pattern = |pattern: &str, change: &str| json!([{"pattern": pattern, "change": change, "reason": "r"}]);
        let criterion = |text: &str, check: &str| json!([{"text": text, "check": check}]);
        for (key, value, words) in [
            ("title", json!(" "), "title"),
            ("plan", json!([]), "plan"),
            ("testing", json!([""]), "testing"),
            ("criteria", json!([]), "1 to 50"),
            (
                "criteria",
                json!(vec![criterion("x", "review")[0].clone(); 51]),
                "1 to 50",
            ),
            ("criteria", criterion("", "review"), "criteria.text"),
            (
                "criteria",
                criterion("x", "Lint"),
                "`Lint` is no check for a criterion, since there is no such gate; a check is one of `Unit tests`, `review`",
            ),
            ("criteria", criterion("x", "unit tests"), "no such gate"),
            (
                "criteria",
                criterion("x — checked by: me", "review"),
                "must not say",
            ),
            ("criteria", json!(["x"]), "DraftCriterion"),
            ("confidence", json!(1.5), "confidence"),
            ("confidence", json!("high"), "f64"),
            (
                "confidence_reasons",
                json!([]),
                "`confidence_reasons` is empty",
            ),
            ("open_questions", json!([" "]), "open_questions"),
            ("surprise", json!(1), "surprise"),
            ("problem", json!("x".repeat(9000)), "problem"),
            ("files", json!([]), "files"),
            ("files", json!(many), "at most 100"),
            ("files", file("../etc/passwd", "modify"), "no path inside"),
            ("files", file(".git/config", "create"), "off limits"),
            ("files", file("none.js", "modify"), "no such file"),
            ("files", file("none.js", "delete"), "no such file"),
            ("files", file("README.md", "create"), "exists already"),
            ("files", file("x", "rename"), "rename"),
            (
                "files",
                file("readme.md", "create"),
                "differs from `README.md`",
            ),
            ("files", file("Src/new.js", "create"), "differs from `src`"),
            (
                "files",
                file("deploy/x", "create"),
                "keeps it from every agent, by `deploy/**`",
            ),
            ("patterns", pattern("src/*.ts", "modify"), "fits none"),
            ("patterns", pattern("**", "create"), "every file"),
            ("patterns", pattern("src/*.{js,ts}", "modify"), "no meaning"),
            (
                "patterns",
                json!([pattern("a/*", "create")[0], pattern("a/*", "create")[0]]),
                "twice",
            ),
            (
                "patterns",
                json!(vec![pattern("a/*", "create")[0].clone(); 21]),
                "at most 20",
            ),
            (
                "files",
                json!([file("a", "create")[0], file("a", "create")[0]]),
                "twice",
            ),
        ] {
            let mut answer = good_spec();
            answer[key] = value;
            let problem = parse(&answer, &existing(), &policy()).unwrap_err();
            assert!(problem.contains(words), "{key}: {problem}");
        }
    }
}
