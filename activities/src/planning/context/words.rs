//! The words of a ticket that may be names in code.

use std::collections::BTreeSet;

/// The most words of a ticket that are looked for.
const MAXIMUM_WORDS: usize = 24;

/// Words of four letters and more that any English text has, code or not.
const COMMON: &[&str] = &[
    "about", "after", "again", "also", "although", "always", "another", "because", "been",
    "before", "being", "below", "between", "both", "cannot", "could", "does", "done", "each",
    "either", "else", "even", "ever", "every", "from", "gets", "give", "given", "have", "here",
    "however", "into", "instead", "just", "less", "like", "make", "many", "more", "most", "much",
    "must", "need", "needs", "never", "only", "other", "ought", "over", "please", "rather", "same",
    "shall", "should", "since", "some", "still", "such", "than", "that", "their", "them", "then",
    "there", "these", "they", "thing", "this", "those", "through", "under", "until", "upon",
    "used", "very", "want", "wants", "well", "were", "what", "when", "where", "whether", "which",
    "while", "will", "with", "without", "would", "your",
];

/// The words of a ticket that may be names in code: long enough, each once, those that look like code first.
pub(super) fn words(ticket: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut words: Vec<&str> = ticket
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| (4..=60).contains(&word.len()) && !word.chars().all(|c| c.is_numeric()))
        .filter(|word| !COMMON.contains(&word.to_lowercase().as_str()))
        .filter(|word| seen.insert(word.to_lowercase()))
        .collect();
    // The sort is stable: within each half the ticket's order stays.
    words.sort_by_key(|word| !looks_like_code(word));
    words
        .into_iter()
        .take(MAXIMUM_WORDS)
        .map(str::to_owned)
        .collect()
}

/// Whether a word has a mark that English has not: an underscore, or a capital after a small letter.
pub(super) fn looks_like_code(word: &str) -> bool {
    let pairs = word.chars().zip(word.chars().skip(1));
    word.contains('_') || { pairs }.any(|(one, next)| one.is_lowercase() && next.is_uppercase())
}

/// The words of any text that tell something about it, in lower case: of four letters and more, and not those that all have.
pub(in crate::planning) fn telling_words(text: &str) -> BTreeSet<String> {
    let mut words = all_words(text);
    words.retain(|word| word.len() >= 4 && !COMMON.contains(&word.as_str()));
    words
}

/// All words of a ticket, in lower case.
pub(super) fn all_words(ticket: &str) -> BTreeSet<String> {
    ticket
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_code_come_first() {
        let found = words(
            "The parser fails, with which it should not: parseDuration(\"1m\") throws DurationError, see parse_all, the parser and 12345",
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
