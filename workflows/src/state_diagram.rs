//! The table of states as people read it: generated from [`crate::state::TRANSITIONS`] and from nothing else, so that the
//! documentation cannot say something else than the code. `cargo xtask generate` writes it to `docs/states.md`.

use std::fmt::Write;

use crate::state::{State, TRANSITIONS};

/// The documentation of the states: a diagram and a table, Markdown.
pub fn markdown() -> String {
    let mut text = String::from(
        "# The states of a ticket\n\nGenerated from the table in `workflows/src/state.rs` by `cargo xtask generate`; do not edit.\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> PENDING\n",
    );
    // Writing to a string does not fail.
    for (from, to) in TRANSITIONS {
        for to in *to {
            let _ = writeln!(text, "    {from} --> {to}");
        }
    }
    for state in State::ALL.into_iter().filter(|state| state.is_end()) {
        let _ = writeln!(text, "    {state} --> [*]");
    }
    text.push_str(
        "```\n\nEvery state that is no end may also go to ERROR (a step failed for good, a budget is used up) and to CANCELLED (by a \
         person); the diagram leaves these out.\n\n| state | waits for people | goes to |\n| --- | --- | --- |\n",
    );
    for (from, to) in TRANSITIONS {
        let names: Vec<&str> = to.iter().map(|to| to.as_str()).collect();
        let goes_to = match from.is_end() {
            true => "an end".to_owned(),
            false => names.join(", "),
        };
        let waits = match from.waits_for_people() {
            true if from.is_parked() => "yes, parked",
            true => "yes",
            false => "",
        };
        let _ = writeln!(text, "| {from} | {waits} | {goes_to} |");
    }
    text.push_str(
        "\nA parked ticket is taken up again by `retry`: from the step that failed, or from an earlier one of its row. No retry \
         leads into an open gate.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_has_every_row_of_the_table() {
        let text = markdown();
        for (from, to) in TRANSITIONS {
            for to in *to {
                assert!(text.contains(&format!("    {from} --> {to}\n")));
            }
            assert!(text.contains(&format!("\n| {from} | ")), "{from}");
        }
    }
}
