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
    use super::*;
    pub(crate) use crate::planning::draft::tests::policy;
    use crate::planning::draft::tests::{existing, good_spec};

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
}
