//! What a planner may answer: a wish to look further, questions to people, or a SPEC. One schema for all three, since vendors
//! differ in what else they let a model do beside an answer in JSON.

use std::collections::BTreeSet;

use sallyport_workflows::{
    questions::{MAXIMUM_QUESTION_BYTES, MAXIMUM_QUESTIONS},
    spec::Spec,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    draft::{self, Draft, check_text},
    look::{Look, MAXIMUM_LOOKS},
};
use crate::policy_file::{QualityGate, RepositoryPolicy};

/// A planner's answer that was understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It wants to see more.
    Looks(Vec<Look>),
    /// The ticket does not say enough.
    Questions(Vec<String>),
    /// A SPEC.
    Spec(Box<Spec>),
}

/// What the planner may answer just now beside a SPEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Whether it may look further.
    pub looks: bool,
    /// How many questions it may ask.
    pub questions: usize,
}

/// The planner's JSON, before it is judged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    looks: Vec<Look>,
    questions: Vec<String>,
    spec: Vec<Draft>,
}

/// The schema that the model's vendor holds the answer to, in a repository with `gates`. Only keywords that all vendors
/// take; so that exactly one of the three is there is checked by [`parse`].
pub fn schema(gates: &[QualityGate]) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["looks", "questions", "spec"],
        "properties": {
            "looks": {
                "type": "array",
                "description": "What to see of the repository before you answer; empty if you ask or plan",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["action", "path", "text", "line"],
                    "properties": {
                        "action": {
                            "type": "string",
                            "enum": ["list", "search", "read"],
                            "description": "`list` the folder `path`; `search` for `text` in files in or below `path`; `read` the file `path` from `line` on",
                        },
                        "path": {"type": "string", "description": "Relative to the top of the repository, which is the empty text"},
                        "text": {"type": "string", "description": "What to search for, as it is written; otherwise empty"},
                        "line": {"type": "integer", "description": "From which line to read, from 1; otherwise 0"},
                    },
                },
            },
            "questions": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Questions to the people of the ticket, in its language; empty if you look or plan",
            },
            "spec": {
                "type": "array",
                "items": draft::schema(gates),
                "description": "One SPEC; empty if you look or ask",
            },
        },
    })
}

/// What `answer` comes to, or what is wrong with it, in words for the planner. `existing` are the base commit's files,
/// `policy` has its gates.
pub fn parse(
    answer: &str,
    existing: &BTreeSet<String>,
    policy: &RepositoryPolicy,
    allowed: Allowed,
) -> Result<Reply, String> {
    let mut json = serde_json::Deserializer::from_str(strip_fence(answer));
    let misfit = |error: String| format!("it is not JSON that fits the schema: {error}");
    let envelope: Envelope =
        serde_path_to_error::deserialize(&mut json).map_err(|error| misfit(error.to_string()))?;
    json.end().map_err(|error| misfit(error.to_string()))?;
    let Envelope {
        looks,
        questions,
        mut spec,
    } = envelope;
    match (looks.is_empty(), questions.is_empty(), spec.pop()) {
        (false, true, None) if !allowed.looks => {
            Err("you have looked as often as you may; plan, or ask".to_owned())
        }
        (false, true, None) => check_looks(&looks).map(|()| Reply::Looks(looks)),
        (true, false, None) => {
            check_questions(&questions, allowed.questions).map(|()| Reply::Questions(questions))
        }
        (true, true, Some(draft)) if spec.is_empty() => {
            let spec = draft::judge(draft, existing, policy)?;
            Ok(Reply::Spec(Box::new(spec)))
        }
        (true, true, Some(_)) => Err("`spec` has more than one entry".to_owned()),
        _ => {
            Err("exactly one of `looks`, `questions` and `spec` must have entries; the others are empty".to_owned())
        }
    }
}

fn check_looks(looks: &[Look]) -> Result<(), String> {
    if looks.len() > MAXIMUM_LOOKS {
        return Err(format!(
            "`looks` has more than {MAXIMUM_LOOKS} entries; look again later"
        ));
    }
    looks.iter().try_for_each(Look::check)
}

fn check_questions(questions: &[String], allowed: usize) -> Result<(), String> {
    if allowed == 0 {
        return Err(format!(
            "{MAXIMUM_QUESTIONS} questions were asked about this ticket, and no more may be; write a SPEC that says under \
             `open_questions` what it assumes"
        ));
    }
    if questions.len() > allowed {
        return Err(format!(
            "`questions` has more than {allowed} entries; ask what matters most"
        ));
    }
    for question in questions {
        check_text("questions", question, MAXIMUM_QUESTION_BYTES)?;
    }
    Ok(())
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

#[cfg(test)]
pub(crate) mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};
    use sallyport_workflows::spec::FileChange;

    use super::*;
    pub(crate) use crate::planning::draft::tests::policy;
    use crate::planning::{
        draft::tests::{existing, good_spec},
        render::spec_markdown,
    };

    /// What may be answered at first.
    pub(crate) const ALL: Allowed = Allowed {
        looks: true,
        questions: 3,
    };

    /// A SPEC as an answer.
    pub(crate) fn answer(spec: Value) -> Value {
        json!({"looks": [], "questions": [], "spec": [spec]})
    }

    /// An answer that is a good SPEC.
    pub(crate) fn good() -> Value {
        answer(good_spec())
    }

    fn judged(answer: &Value, allowed: Allowed) -> Result<Reply, String> {
        parse(&answer.to_string(), &existing(), &policy(), allowed)
    }

    fn look(action: &str, path: &str, text: &str, line: i64) -> Value {
        json!({"action": action, "path": path, "text": text, "line": line})
    }

    #[test]
    fn an_answer_is_one_of_three_also_in_a_fence() {
        let Reply::Spec(spec) = judged(&good(), ALL).unwrap() else {
            panic!("no SPEC");
        };
        let fenced = format!("```json\n{}\n```", good());
        let reply = parse(&fenced, &existing(), &policy(), ALL).unwrap();
        assert_eq!(reply, Reply::Spec(spec));
        let looks = json!({"looks": [look("read", "a", "", 1)], "questions": [], "spec": []});
        assert!(matches!(judged(&looks, ALL), Ok(Reply::Looks(looks)) if looks.len() == 1));
        let questions = json!({"looks": [], "questions": ["Which unit?"], "spec": []});
        assert_eq!(
            judged(&questions, ALL),
            Ok(Reply::Questions(vec!["Which unit?".into()]))
        );
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_named() {
        let none = Allowed {
            looks: false,
            questions: 0,
        };
        let one = Allowed {
            looks: true,
            questions: 1,
        };
        let looks = |looks: Vec<Value>| json!({"looks": looks, "questions": [], "spec": []});
        let questions =
            |questions: &[&str]| json!({"looks": [], "questions": questions, "spec": []});
        let read = look("read", "a", "", 1);
        let long = "x".repeat(MAXIMUM_QUESTION_BYTES + 1);
        for (answer, allowed, words) in [
            (looks(vec![]), ALL, "exactly one of"),
            (
                json!({"looks": [read], "questions": ["x"], "spec": []}),
                ALL,
                "exactly one of",
            ),
            (
                json!({"looks": [], "questions": ["x"], "spec": [good_spec()]}),
                ALL,
                "exactly one of",
            ),
            (
                json!({"looks": [], "questions": [], "spec": [good_spec(), good_spec()]}),
                ALL,
                "more than one",
            ),
            (good_spec(), ALL, "fits the schema"),
            (looks(vec![read.clone()]), none, "as often as you may"),
            (looks(vec![read; MAXIMUM_LOOKS + 1]), ALL, "more than 6"),
            (looks(vec![look("run", "a", "", 0)]), ALL, "looks[0].action"),
            (looks(vec![look("search", "", "x", 0)]), ALL, "2 to 200"),
            (looks(vec![look("search", "", &long, 0)]), ALL, "2 to 200"),
            (looks(vec![look("search", "", "a\nb", 0)]), ALL, "one line"),
            (looks(vec![look("read", "", "", 0)]), ALL, "names no file"),
            (questions(&["a"]), none, "write a SPEC that says"),
            (questions(&["a", "b"]), one, "more than 1 entries"),
            (questions(&["a", "b", "c", "d"]), ALL, "more than 3 entries"),
            (questions(&[" "]), ALL, "empty text"),
            (questions(&[&long]), ALL, "longer than"),
        ] {
            let problem = judged(&answer, allowed).unwrap_err();
            assert!(problem.contains(words), "{answer}: {problem}");
        }
        assert!(parse("I would rather not.", &existing(), &policy(), ALL).is_err());
        let behind = format!("{} and more", good());
        assert!(parse(&behind, &existing(), &policy(), ALL).is_err());
    }

    /// A text that a model may write; now and then one that it may not.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            60 => "[a-z]{1,12}",
            20 => "[!-~][ -~\n#`*<>|\u{0}\u{202e}\u{e9}]{0,40}",
            1 => Just(" ".to_owned()),
            1 => Just("x".repeat(1100)),
        ]
    }

    /// A file and what happens to it; now and then one that may not be.
    fn file() -> impl Strategy<Value = (String, &'static str)> {
        let good = [
            ("src/parse.js", "modify"),
            ("README.md", "delete"),
            ("test/new.js", "create"),
            ("docs/a b.md", "create"),
        ];
        let odd = [
            ".git/config",
            "../x",
            "/etc/passwd",
            "",
            "a//b",
            "Src/x",
            "readme.MD",
            "deploy/x",
            "src/none.js",
        ];
        let change = select(vec!["create", "modify", "delete"]);
        prop_oneof![
            30 => select(good.to_vec()).prop_map(|(path, change)| (path.to_owned(), change)),
            1 => (select(odd.to_vec()).prop_map(str::to_owned), change.clone()),
            1 => ("[a-zA-Z./*-]{1,20}", change),
        ]
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        prop_oneof![20 => vec(text(), 1..3), 1 => Just(Vec::new())]
    }

    /// A SPEC that satisfies the schema, whatever it says.
    fn any_spec() -> impl Strategy<Value = Value> {
        let files = vec((file(), text()), 0..3);
        let patterns = prop_oneof![4 => Just(Vec::new()), 1 => vec((file(), text()), 1..2)];
        let criteria = vec((text(), select(vec!["Unit tests", "review"])), 1..3);
        let words = (text(), text(), text());
        let lists = (texts(), texts(), texts(), texts(), texts());
        let confidence = prop_oneof![20 => 0.0..=1.0_f64, 1 => -1.0..=2.0_f64];
        (words, files, patterns, criteria, lists, confidence).prop_map(
            |((title, problem, solution), files, patterns, criteria, lists, confidence)| {
                let (plan, testing, risks, reasons, open) = lists;
                let named = |key: &str, all: Vec<((String, &str), String)>| -> Vec<Value> {
                    let one = |((name, change), reason)| json!({key: name, "change": change, "reason": reason});
                    all.into_iter().map(one).collect()
                };
                let criteria: Vec<Value> = criteria
                    .into_iter()
                    .map(|(text, check)| json!({"text": text, "check": check}))
                    .collect();
                json!({
                    "title": title, "problem": problem, "solution": solution, "files": named("path", files),
                    "patterns": named("pattern", patterns), "plan": plan, "testing": testing, "criteria": criteria,
                    "risks": risks, "confidence": confidence, "confidence_reasons": reasons, "open_questions": open,
                })
            },
        )
    }

    /// Takes away, adds or changes something that the schema is about.
    fn damage(mut answer: Value, key: usize, how: usize) -> Value {
        let spec = &mut answer["spec"][0];
        let keys: Vec<String> = spec
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect();
        let key = &keys[key % keys.len()];
        match how {
            0 => drop(spec.as_object_mut().and_then(|spec| spec.remove(key))),
            1 => spec[format!("{key}_")] = json!("more"),
            2 => spec[key] = json!({"no": "such type"}),
            _ => drop(
                answer
                    .as_object_mut()
                    .and_then(|answer| answer.remove("looks")),
            ),
        }
        answer
    }

    proptest! {
        #[test]
        fn a_spec_that_is_taken_satisfies_the_schema_and_the_scope(spec in any_spec()) {
            let validator = jsonschema::validator_for(&schema(&policy().gates)).unwrap();
            let answer = answer(spec);
            prop_assert!(validator.is_valid(&answer), "{answer}");
            let Ok(Reply::Spec(spec)) = judged(&answer, ALL) else {
                return Ok(());
            };
            prop_assert!(!spec.files.is_empty() || !spec.patterns.is_empty());
            for file in &spec.files {
                let path = file.path.as_str();
                prop_assert!(!path.starts_with(".git/") && !path.contains("..") && !path.starts_with('/'), "{path}");
                prop_assert!(!path.starts_with("deploy/"), "{path}");
                prop_assert_eq!(existing().contains(path), file.change != FileChange::Create, "{}", path);
            }
            prop_assert_eq!(&spec.gates, &policy().as_in_spec());
            prop_assert!((0.0..=1.0).contains(&spec.confidence) && !spec.confidence_reasons.is_empty());
            // As it is stored and read again it renders to the text that was approved.
            let stored: Spec = serde_json::from_slice(&serde_json::to_vec(&spec).unwrap()).unwrap();
            prop_assert_eq!(spec_markdown("FL-1", &stored), spec_markdown("FL-1", &spec));
            prop_assert_eq!(stored, *spec);
        }

        #[test]
        fn what_does_not_satisfy_the_schema_is_not_taken(key in 0..12_usize, how in 0..4_usize) {
            let validator = jsonschema::validator_for(&schema(&policy().gates)).unwrap();
            let damaged = damage(good(), key, how);
            prop_assert!(!validator.is_valid(&damaged), "{damaged}");
            prop_assert!(judged(&damaged, ALL).is_err(), "{damaged}");
        }
    }
}
