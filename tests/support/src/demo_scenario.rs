//! The ticket of the demo, and what the scripted model says to it when no real model is at hand.

use serde_json::json;

use crate::demo_repository::DEMO_PROJECT;
use crate::flux_lens::{NewTicket, Priority};
use crate::scripted_model::{AgentStep, PlanAnswer, Scenario};

/// The line of `src/parse.js` that holds the bug.
const WRONG_PATTERN: &str = r#"const PART = new RegExp(`\\s*(\\d+(?:\\.\\d+)?)\\s*(${[...UNITS.keys()].join("|")})`, "y");"#;

/// What it becomes.
const RIGHT_PATTERN: &str = r#"// Longest first: the first alternative that fits wins, and "m" would win over "ms".
const NAMES = [...UNITS.keys()].sort((one, other) => other.length - one.length);
const PART = new RegExp(`\\s*(\\d+(?:\\.\\d+)?)\\s*(${NAMES.join("|")})`, "y");"#;

/// The place in `test/parse.test.js` before which the new test goes.
const NEXT_TEST: &str = r#"test("reads fractions", () => {"#;

/// The new test.
const NEW_TEST: &str = r#"test("tells milliseconds from minutes", () => {
  assert.equal(parseDuration("250ms"), 250);
  assert.equal(parseDuration("1m 1ms"), 60_001);
  assert.equal(parseDuration("1s500ms"), 1_500);
});

"#;

/// The states that it goes through, straight to its merge.
pub const STATES: [&str; 10] = [
    "PENDING",
    "PLANNING",
    "AWAITING_SPEC_APPROVAL",
    "SPEC_APPROVED",
    "EXECUTING",
    "QA_RUNNING",
    "PR_CREATED",
    "AWAITING_PR_APPROVAL",
    "MERGED",
    "COMPLETED",
];

/// The bug as a user reports it.
#[must_use]
pub fn demo_ticket() -> NewTicket {
    NewTicket {
        title: "parseDuration cannot read milliseconds".into(),
        description: "`parseDuration(\"250ms\")` throws, although the README lists `ms` and `formatDuration(250)` \
                      writes exactly this text:\n\n\
                      ```\n\
                      DurationError: expected a number and a unit at \"s\"\n\
                      ```\n\n\
                      `parseDuration(\"1m 1ms\")` throws too, with a message about `m` that stands there twice.\n\n\
                      **Expected:** 250 and 60001. Whatever `formatDuration` writes should be read back as the same \
                      number; `test/round-trip.test.js` checks this and fails on main."
            .into(),
        priority: Priority::Normal,
        reporter: "reporter@example.com".into(),
        project: DEMO_PROJECT.into(),
        labels: vec!["bug".into()],
    }
}

/// The plan and the agent's steps that solve [`demo_ticket`].
///
/// Every step takes `thinking_ms` milliseconds, so that a person can watch; 0 in tests.
#[must_use]
pub fn demo_scenario(thinking_ms: u64) -> Scenario {
    let mut plan = PlanAnswer::spec(demo_plan());
    plan.before.delay_ms = thinking_ms;
    Scenario::new().plan([plan]).run(
        demo_steps()
            .into_iter()
            .map(|step| step.delay_ms(thinking_ms)),
    )
}

fn demo_plan() -> serde_json::Value {
    json!({
        "title": "Let parseDuration tell milliseconds from minutes",
        "problem": "`parseDuration` matches units with an alternation in the order of the table: `d|h|m|s|ms`. \
                    A regular expression takes the first alternative that fits, so in `250ms` it reads `250m` and \
                    stumbles over the `s` that is left; in `1m 1ms` it reads `m` twice. What `formatDuration` writes \
                    for durations that are not whole seconds cannot be read back.",
        "solution": "Sort the names of the units by length, longest first, before they become the alternation. \
                     `ms` is then tried before `m` and `s`, and stays so when units are added. The order of the table \
                     itself stays as it is, since `formatDuration` relies on it.",
        "files": [
            {
                "path": "src/parse.js",
                "change": "modify",
                "reason": "The alternation is built here; this is the bug.",
            },
            {
                "path": "test/parse.test.js",
                "change": "modify",
                "reason": "A regression test for milliseconds by themselves and beside minutes and seconds.",
            },
        ],
        "plan": [
            "Run the tests and see the round trip of 250 ms and 61001 ms fail.",
            "Sort the unit names by length in src/parse.js.",
            "Add a test for `250ms`, `1m 1ms` and `1s500ms` to test/parse.test.js.",
            "Run all tests again.",
        ],
        "testing": [
            "`node --test` fails before the change and passes after it.",
            "The new test fails without the change to src/parse.js.",
        ],
        "criteria": [
            {
                "text": "`parseDuration(\"250ms\")` is 250 and `parseDuration(\"1m 1ms\")` is 60001.",
                "check": "Unit tests",
            },
            {
                "text": "Durations without milliseconds are read as before.",
                "check": "Unit tests",
            },
            {
                "text": "formatDuration and the table of units are unchanged.",
                "check": "review",
            },
        ],
        "patterns": [],
        "risks": ["None known: no text that was read before is read differently now."],
        "confidence": 0.96,
        "confidence_reasons": ["It is small, and a test shows it."],
        "open_questions": [],
    })
}

fn demo_steps() -> Vec<AgentStep> {
    vec![
        AgentStep::say("I read the parser, the table of units and the parser's tests first.")
            .read("src/parse.js")
            .read("src/units.js")
            .read("test/parse.test.js"),
        AgentStep::say("The units are tried in the order of the table, so `m` wins over `ms`. I run the tests to see it.")
            .bash("node --test"),
        AgentStep::say("The round trip fails as the ticket says. I sort the names by length.").edit(
            "src/parse.js",
            WRONG_PATTERN,
            RIGHT_PATTERN,
        ),
        AgentStep::say("Now a regression test beside the other tests of the parser.").edit(
            "test/parse.test.js",
            NEXT_TEST,
            format!("{NEW_TEST}{NEXT_TEST}"),
        ),
        AgentStep::say("I run all tests again.").bash("node --test"),
        AgentStep::say(
            "`parseDuration` now tries longer unit names first, so `250ms` is 250 milliseconds and no longer 250 minutes \
             with an `s` left over. I added a test for milliseconds by themselves and beside minutes and seconds. All \
             tests pass, the round trip among them. Nothing else changed.",
        ),
    ]
}
