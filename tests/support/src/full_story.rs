//! The demo's long story: the same ticket, but nothing goes right at first. The SPEC is sent back, the agent asks for a
//! file that the SPEC does not list, QA finds what it got wrong, and a reviewer asks for changes on the pull request.

use serde_json::json;

use crate::scripted_model::{AgentStep, PlanAnswer, Scenario};

/// What a person answers at one gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The gate.
    pub gate: &'static str,
    /// The `sallyport` command.
    pub verb: &'static str,
    /// What is said with it.
    pub message: Option<&'static str>,
}

const REVISE: &str = "Also add a regression test to test/parse.test.js: no test of the parser has a millisecond in it.";
const REQUEST_CHANGES: &str =
    "Please call it UNIT_NAMES_LONGEST_FIRST: the order is the point of it.";

/// What people answer in this story, in order.
pub const ANSWERS: [Answer; 5] = [
    Answer {
        gate: "SPEC",
        verb: "revise",
        message: Some(REVISE),
    },
    Answer {
        gate: "SPEC",
        verb: "approve",
        message: None,
    },
    Answer {
        gate: "SCOPE",
        verb: "approve",
        message: Some("Yes, the order belongs beside the table."),
    },
    Answer {
        gate: "PR",
        verb: "revise",
        message: Some(REQUEST_CHANGES),
    },
    Answer {
        gate: "PR",
        verb: "approve",
        message: None,
    },
];

/// The states that a ticket goes through in this story.
pub const STATES: [&str; 20] = [
    "PENDING",
    "PLANNING",
    "AWAITING_SPEC_APPROVAL",
    "PLANNING",
    "AWAITING_SPEC_APPROVAL",
    "SPEC_APPROVED",
    "EXECUTING",
    "AWAITING_SCOPE_APPROVAL",
    "EXECUTING",
    "QA_RUNNING",
    "EXECUTING",
    "QA_RUNNING",
    "PR_CREATED",
    "AWAITING_PR_APPROVAL",
    "EXECUTING",
    "QA_RUNNING",
    "PR_CREATED",
    "AWAITING_PR_APPROVAL",
    "MERGED",
    "COMPLETED",
];

/// The parser's line with the bug, and what it becomes.
const WRONG_PATTERN: &str = r#"const PART = new RegExp(`\\s*(\\d+(?:\\.\\d+)?)\\s*(${[...UNITS.keys()].join("|")})`, "y");"#;
const RIGHT_PATTERN: &str =
    r#"const PART = new RegExp(`\\s*(\\d+(?:\\.\\d+)?)\\s*(${UNIT_NAMES.join("|")})`, "y");"#;

const IMPORT: &str = r#"import { UNITS } from "./units.js";"#;
const LAST_UNIT: &str = "  [\"ms\", 1],\n]);";

/// The names, at first sorted the wrong way round.
const NAMES: &str = "\n\n/** The units' names for a pattern, longest first: the first that fits wins, and \"m\" would win over \"ms\". */\n\
                     export const UNIT_NAMES = [...UNITS.keys()].sort((one, other) => ";
const SHORTEST_FIRST: &str = "one.length - other.length";
const LONGEST_FIRST: &str = "other.length - one.length";

const NEXT_TEST: &str = r#"test("reads fractions", () => {"#;
const NEW_TEST: &str = r#"test("tells milliseconds from minutes", () => {
  assert.equal(parseDuration("250ms"), 250);
  assert.equal(parseDuration("1m 1ms"), 60_001);
  assert.equal(parseDuration("1s500ms"), 1_500);
});

"#;

/// What the scripted model says in this story. Every step takes `thinking_ms` milliseconds, so that a person can watch; 0
/// in tests.
#[must_use]
pub fn full_story(thinking_ms: u64) -> Scenario {
    let plan = |with_test| {
        let mut plan = PlanAnswer::spec(spec(with_test));
        plan.before.delay_ms = thinking_ms;
        [plan]
    };
    let slowly = |steps: Vec<AgentStep>| -> Vec<AgentStep> {
        let slow = |step: AgentStep| step.delay_ms(thinking_ms);
        steps.into_iter().map(slow).collect()
    };
    Scenario::new()
        .plan(plan(false))
        .plan_when(&[REVISE], plan(true))
        .run_when(&["Carry out the approved SPEC"], slowly(implement()))
        .run_when(&["Your request for more files"], slowly(go_on()))
        .run_when(&["The quality gates ran"], slowly(repair()))
        .run_when(&["A reviewer read your change"], slowly(change()))
}

fn spec(with_test: bool) -> serde_json::Value {
    let mut files = vec![json!({
        "path": "src/parse.js",
        "change": "modify",
        "reason": "The alternation is built here; this is the bug.",
    })];
    let mut plan = vec!["Sort the unit names by length before they become the alternation."];
    let mut testing = vec![
        "`node --test`: the round trip of 250 ms and 61001 ms fails before the change and passes after it.",
    ];
    if with_test {
        files.push(json!({
            "path": "test/parse.test.js",
            "change": "modify",
            "reason": "A regression test for milliseconds beside minutes and seconds.",
        }));
        plan.push("Add a test for `250ms`, `1m 1ms` and `1s500ms` to test/parse.test.js.");
        testing.push("The new test fails without the change to src/parse.js.");
    }
    json!({
        "title": "Let parseDuration tell milliseconds from minutes",
        "problem": "`parseDuration` tries the units in the order of the table: `d|h|m|s|ms`. A regular expression takes the \
                    first alternative that fits, so in `250ms` it reads `250m` and stumbles over the `s` that is left.",
        "solution": "Sort the names of the units by length, longest first, before they become the alternation. The order of \
                     the table itself stays, since `formatDuration` relies on it.",
        "files": files,
        "plan": plan,
        "testing": testing,
        "criteria": [
            {
                "text": "`parseDuration(\"250ms\")` is 250 and `parseDuration(\"1m 1ms\")` is 60001.",
                "check": "Unit tests",
            },
            {
                "text": "formatDuration and the order of the table of units are unchanged.",
                "check": "review",
            },
        ],
        "patterns": [],
        "risks": ["None known: no text that was read before is read differently now."],
        "confidence": if with_test { 0.94 } else { 0.81 },
        "confidence_reasons": ["The function was read, and its callers."],
        "open_questions": [],
    })
}

/// The agent finds that another file is the right place, and asks for it.
fn implement() -> Vec<AgentStep> {
    vec![
        AgentStep::say("I read the parser and the table of units first.")
            .read("src/parse.js")
            .read("src/units.js"),
        AgentStep::say(
            "The order of the names belongs beside the table, where the next reader of it would look. That file is not in \
             the SPEC's scope, so I ask for it.",
        )
        .request_scope(
            &["src/units.js"],
            "The names sorted by length belong beside the table of units; sorted in src/parse.js, every other reader of the \
             table would have to sort them again.",
        ),
    ]
}

/// It goes on with the file, gets the order wrong, and does not look.
fn go_on() -> Vec<AgentStep> {
    vec![
        AgentStep::say("I may change the table's file now, and add the sorted names to it.").edit(
            "src/units.js",
            LAST_UNIT,
            format!("{LAST_UNIT}{NAMES}{SHORTEST_FIRST});"),
        ),
        AgentStep::say("The parser takes them from there.").edit(
            "src/parse.js",
            IMPORT,
            r#"import { UNIT_NAMES, UNITS } from "./units.js";"#,
        ),
        AgentStep::say("And uses them.").edit("src/parse.js", WRONG_PATTERN, RIGHT_PATTERN),
        AgentStep::say("Now the regression test.").edit(
            "test/parse.test.js",
            NEXT_TEST,
            format!("{NEW_TEST}{NEXT_TEST}"),
        ),
        AgentStep::say(
            "The names of the units are sorted by length beside the table, and the parser uses them.",
        ),
    ]
}

/// What QA found: the names are sorted the wrong way round.
fn repair() -> Vec<AgentStep> {
    vec![
        AgentStep::say("The tests of milliseconds still fail. I run them to see why.")
            .bash("node --test"),
        AgentStep::say("The shortest name comes first: I sorted the wrong way round.").edit(
            "src/units.js",
            SHORTEST_FIRST,
            LONGEST_FIRST,
        ),
        AgentStep::say("I run all tests again.").bash("node --test"),
        AgentStep::say(
            "The unit names were sorted the wrong way round; now the longest comes first, and all tests pass.",
        ),
    ]
}

/// What the reviewer asked for.
fn change() -> Vec<AgentStep> {
    vec![
        AgentStep::say("I rename it where it is made and where it is used.")
            .bash("sed -i 's/UNIT_NAMES/UNIT_NAMES_LONGEST_FIRST/g' src/units.js src/parse.js"),
        AgentStep::say("I run all tests again.").bash("node --test"),
        AgentStep::say("The names are called UNIT_NAMES_LONGEST_FIRST now. All tests pass."),
    ]
}
