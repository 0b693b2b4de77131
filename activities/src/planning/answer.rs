//! What counts as a planner's answer: its JSON schema, and all that a schema cannot say.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_workflows::{
    scope::{MAXIMUM_FILES, RepositoryPath},
    spec::{FileChange, Spec, SpecFile},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The longest text field, in bytes.
const MAXIMUM_TEXT: usize = 8 << 10;
/// The longest entry of a list, in bytes.
const MAXIMUM_ENTRY: usize = 1 << 10;
/// The most entries of a list.
const MAXIMUM_ENTRIES: usize = 50;

/// The planner's JSON, before it is judged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    title: String,
    problem: String,
    solution: String,
    files: Vec<DraftFile>,
    plan: Vec<String>,
    testing: Vec<String>,
    checklist: Vec<String>,
    risks: Vec<String>,
    confidence: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftFile {
    path: String,
    change: FileChange,
    reason: String,
}

/// The schema that the model's vendor holds the answer to. Only keywords that all vendors take.
pub fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let list = |description: &str| json!({"type": "array", "items": {"type": "string"}, "description": description});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["title", "problem", "solution", "files", "plan", "testing", "checklist", "risks", "confidence"],
        "properties": {
            "title": text("What is done, in one line"),
            "problem": text("What is wrong or missing, and where in the code"),
            "solution": text("What will be done about it, and why so"),
            "files": {
                "type": "array",
                "description": "Every file that will be created, changed or deleted, tests included; no others may be",
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
            "plan": list("The steps, in order"),
            "testing": list("Which tests show that it works"),
            "checklist": list("What a reviewer ticks off"),
            "risks": list("What may go wrong, and what is done against it; may be empty"),
            "confidence": {"type": "number", "description": "From 0 to 1: how likely it is that this solves the ticket"},
        },
    })
}

/// The SPEC in a planner's answer, or what is wrong with it, in words for the planner. `existing` are the base commit's
/// files.
pub fn parse(answer: &str, existing: &BTreeSet<String>) -> Result<Spec, String> {
    let mut json = serde_json::Deserializer::from_str(strip_fence(answer));
    let misfit = |error: String| format!("it is not JSON that fits the schema: {error}");
    let draft: Draft =
        serde_path_to_error::deserialize(&mut json).map_err(|error| misfit(error.to_string()))?;
    json.end().map_err(|error| misfit(error.to_string()))?;
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
        ("checklist", &draft.checklist, false),
        ("risks", &draft.risks, true),
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
    Ok(Spec {
        files: check_files(draft.files, existing)?,
        title: draft.title,
        problem: draft.problem,
        solution: draft.solution,
        plan: draft.plan,
        testing: draft.testing,
        checklist: draft.checklist,
        risks: draft.risks,
        confidence: draft.confidence,
    })
}

/// Some models put a fence around JSON although the schema leaves no room for one.
fn strip_fence(answer: &str) -> &str {
    let answer = answer.trim();
    let inner = answer
        .strip_prefix("```json")
        .or_else(|| answer.strip_prefix("```"))
        .and_then(|inner| inner.strip_suffix("```"));
    inner.unwrap_or(answer)
}

fn check_text(name: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("`{name}` has an empty text"));
    }
    if text.len() > limit {
        return Err(format!("`{name}` has a text longer than {limit} bytes"));
    }
    Ok(())
}

fn check_files(
    drafts: Vec<DraftFile>,
    existing: &BTreeSet<String>,
) -> Result<Vec<SpecFile>, String> {
    if drafts.is_empty() {
        return Err("`files` is empty: a SPEC names the files that it changes".to_owned());
    }
    if drafts.len() > MAXIMUM_FILES {
        let count = drafts.len();
        return Err(format!(
            "`files` has {count} entries; at most {MAXIMUM_FILES} are allowed"
        ));
    }
    let mut files: BTreeMap<RepositoryPath, SpecFile> = BTreeMap::new();
    for draft in drafts {
        check_text("files.reason", &draft.reason, MAXIMUM_ENTRY)?;
        let path = RepositoryPath::try_from(draft.path).map_err(|problem| problem.to_string())?;
        let exists = existing.contains(path.as_str());
        match draft.change {
            FileChange::Create if exists => {
                return Err(format!("`{path}` is to be created, but it exists already"));
            }
            FileChange::Modify | FileChange::Delete if !exists => {
                return Err(format!(
                    "`{path}` is to be changed or deleted, but there is no such file"
                ));
            }
            _ => {}
        }
        let file = SpecFile {
            path: path.clone(),
            change: draft.change,
            reason: draft.reason,
        };
        if files.insert(path.clone(), file).is_some() {
            return Err(format!("`{path}` is listed twice"));
        }
    }
    Ok(files.into_values().collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn good() -> Value {
        json!({
            "title": "Read milliseconds", "problem": "p", "solution": "s",
            "files": [
                {"path": "src/parse.js", "change": "modify", "reason": "r"},
                {"path": "test/new.js", "change": "create", "reason": "r"},
            ],
            "plan": ["1"], "testing": ["t"], "checklist": ["c"], "risks": [], "confidence": 0.9,
        })
    }

    fn existing() -> BTreeSet<String> {
        ["README.md", "src/parse.js"].map(str::to_owned).into()
    }

    #[test]
    fn a_good_answer_is_taken_also_in_a_fence() {
        let spec = parse(&good().to_string(), &existing()).unwrap();
        assert_eq!(spec.scope().paths().count(), 2);
        let fenced = format!("```json\n{}\n```", good());
        assert_eq!(parse(&fenced, &existing()).unwrap(), spec);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many: Vec<Value> = (0..101)
            .map(|number| json!({"path": format!("f{number}"), "change": "create", "reason": "r"}))
            .collect();
        let file =
            |path: &str, change: &str| json!([{"path": path, "change": change, "reason": "r"}]);
        for (key, value, words) in [
            ("title", json!(" "), "title"),
            ("plan", json!([]), "plan"),
            ("testing", json!([""]), "testing"),
            ("checklist", json!(vec!["x"; 51]), "checklist"),
            ("confidence", json!(1.5), "confidence"),
            ("confidence", json!("high"), "confidence"),
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
                json!([file("a", "create")[0], file("a", "create")[0]]),
                "twice",
            ),
        ] {
            let mut answer = good();
            answer[key] = value;
            let problem = parse(&answer.to_string(), &existing()).unwrap_err();
            assert!(problem.contains(words), "{key}: {problem}");
        }
        assert!(parse("I would rather not.", &existing()).is_err());
    }
}
