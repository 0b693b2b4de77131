//! The files that fit the ticket: small ones whole, of large ones the places that have the ticket's words.

use aho_corasick::AhoCorasick;

use super::{
    Part, Source,
    report::tokens,
    search::{Found, Named},
};
use crate::mirror::MirrorError;

/// How many of the most fitting files are considered.
const MAXIMUM_CANDIDATES: usize = 200;
/// The largest file that is read.
const MAXIMUM_FILE: u64 = 1 << 20;
/// The largest file that is shown whole, in tokens: of those that the ticket names by their path, of the first few, and of
/// the others.
const WHOLE: [u64; 3] = [10_000, 6000, 3000];
/// The most tokens of a file of which only places are shown, likewise.
const EXCERPT: [u64; 3] = [6000, 2500, 1200];
/// How many are the first few.
const FIRST: usize = 4;
/// A place is a line and that many around it, each way.
const AROUND: usize = 8;
/// The most lines of a file that are weighed.
const MAXIMUM_LINES: usize = 20_000;
/// The longest line that is shown, in bytes.
const MAXIMUM_LINE: usize = 300;
/// With less room than that nothing more is shown.
const TOO_LITTLE: u64 = 100;

/// Shows files in at most `budget` tokens.
pub(super) async fn contents(
    source: &Source<'_>,
    found: &Found<'_>,
    words: &[String],
    budget: u64,
) -> Result<Part, MirrorError> {
    let fits = &found.fits;
    let mut part = Part::new("Files");
    let considered = &fits[..fits.len().min(MAXIMUM_CANDIDATES)];
    let (read, large): (Vec<_>, Vec<_>) = considered
        .iter()
        .partition(|fit| fit.file.bytes <= MAXIMUM_FILE);
    for fit in large {
        part.leave_out(format!(
            "`{}`: it has {} bytes",
            fit.file.path, fit.file.bytes
        ));
    }
    let objects = read.iter().map(|fit| fit.file.object.clone()).collect();
    let mut contents = source.mirror.git().contents(objects, MAXIMUM_FILE)?;
    let mut left = budget;
    let mut unread = read.len();
    for (number, fit) in read.into_iter().enumerate() {
        let rank = match fit.named {
            Some(Named::Path) => 0,
            _ if number < FIRST => 1,
            _ => 2,
        };
        if left < TOO_LITTLE {
            break;
        }
        unread -= 1;
        let path = &fit.file.path;
        let Some(content) = contents.next().await? else {
            break;
        };
        let Some(text) = super::text(content) else {
            part.leave_out(format!("`{path}`: it is no text"));
            continue;
        };
        let why = fit.why(words, &found.weights);
        let whole = tokens(text);
        if whole <= left.min(WHOLE[rank]) {
            left -= whole;
            part.show(path, &why, text.to_owned());
            continue;
        }
        let room = left.min(EXCERPT[rank]);
        let excerpt = excerpt(text, words, &found.weights, room);
        if excerpt.is_empty() {
            part.leave_out(format!("`{path}` ({why}): about {whole} tokens do not fit"));
            continue;
        }
        left = left.saturating_sub(tokens(&excerpt));
        part.leave_out(format!("most of `{path}`, which has about {whole} tokens"));
        part.show(
            path,
            &format!("{why}; only the places with these words"),
            excerpt,
        );
    }
    let unread = unread + fits.len() - considered.len();
    if unread > 0 {
        part.leave_out(format!("{unread} more files that fit the ticket less"));
    }
    Ok(part)
}

/// The places of `text` that have those of `words` that weigh most, in at most `budget` tokens, each line with its number.
fn excerpt(text: &str, words: &[String], weights: &[f64], budget: u64) -> String {
    let Ok(matcher) = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(words)
    else {
        return String::new();
    };
    let lines: Vec<&str> = text.lines().take(MAXIMUM_LINES).collect();
    let mut weighed: Vec<(f64, usize)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let mut found: Vec<_> = matcher
            .find_iter(line)
            .take(50)
            .map(|one| one.pattern())
            .collect();
        found.sort_unstable();
        found.dedup();
        if !found.is_empty() {
            let weight = found.iter().map(|word| weights[word.as_usize()]).sum();
            weighed.push((weight, number));
        }
    }
    // The sort is stable: of lines alike, the first.
    weighed.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut is_shown = vec![false; lines.len()];
    let mut left = budget;
    for (_, number) in weighed {
        let place = number.saturating_sub(AROUND)..(number + AROUND + 1).min(lines.len());
        let new = place.clone().filter(|line| !is_shown[*line]);
        let needed: u64 = new.map(|line| cost(lines[line])).sum();
        if needed > left {
            break;
        }
        left -= needed;
        is_shown[place].fill(true);
    }
    let mut excerpt = String::new();
    for (number, line) in lines
        .iter()
        .enumerate()
        .filter(|(number, _)| is_shown[*number])
    {
        if number > 0 && !is_shown[number - 1] {
            excerpt.push_str("[...]\n");
        }
        excerpt.push_str(&format!(
            "{}: {}\n",
            number + 1,
            super::beginning(line, MAXIMUM_LINE)
        ));
    }
    excerpt
}

/// At most what a line costs with its number, and with the mark of a gap before it.
fn cost(line: &str) -> u64 {
    (line.len().min(MAXIMUM_LINE) as u64 + 14) / 3 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_shows_the_lines_with_the_most_words_first() {
        let mut lines: Vec<String> = (1..=500).map(|number| format!("filler {number}")).collect();
        lines[99] = "alpha".to_owned();
        lines[299] = "alpha and beta".to_owned();
        let words = ["alpha".to_owned(), "beta".to_owned()];
        let weights = [2.0, 1.0];
        let text = lines.join("\n");
        let small = excerpt(&text, &words, &weights, 200);
        assert!(
            small.contains("300: alpha and beta\n") && !small.contains("100: alpha"),
            "{small}"
        );
        assert!(small.starts_with("[...]\n292: filler 292\n"), "{small}");
        let large = excerpt(&text, &words, &weights, 400);
        assert!(
            large.contains("100: alpha\n") && tokens(&large) <= 400,
            "{large}"
        );
        assert_eq!(excerpt("nothing\n", &words, &weights, 400), "");
        let long = format!("alpha {}", "x".repeat(1 << 20));
        assert!(tokens(&excerpt(&long, &words, &weights, 200)) <= 200);
    }
}
