//! The words of a ticket that may be names in code.

use std::collections::BTreeSet;

/// The most words of a ticket that are looked for.
const MAXIMUM_WORDS: usize = 24;

/// The words of a ticket that may be names in code: long enough, each once, those that look like code first.
pub(super) fn words(ticket: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut words: Vec<&str> = ticket
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| (4..=60).contains(&word.len()) && !word.chars().all(|c| c.is_numeric()))
        .filter(|word| seen.insert(word.to_lowercase()))
        .collect();
    let looks_like_code =
        |word: &str| word.contains('_') || word.chars().skip(1).any(|letter| letter.is_uppercase());
    // The sort is stable: within each half the ticket's order stays.
    words.sort_by_key(|word| !looks_like_code(word));
    words
        .into_iter()
        .take(MAXIMUM_WORDS)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_code_come_first() {
        let found = words(
            "The parser fails: parseDuration(\"1m\") throws DurationError, see parse_all, the parser and 12345",
        );
        assert_eq!(
            found,
            [
                "parseDuration",
                "DurationError",
                "parse_all",
                "parser",
                "fails",
                "throws"
            ]
        );
    }
}
