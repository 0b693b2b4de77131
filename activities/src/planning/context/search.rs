//! Which files a ticket's words point to: all of a commit's files are read once, one after the other, whatever the number
//! of words.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::mirror::{Mirror, MirrorError, TreeFile};

use super::words::words;

/// The largest file that is searched: larger ones are data, or were generated.
const MAXIMUM_SEARCHED: u64 = 1 << 20;
/// The most bytes that are searched in all.
const SEARCH_BUDGET: u64 = 4 << 30;
/// The most words that are counted in one file: a hostile one may hold nothing else.
const MAXIMUM_COUNT: usize = 10_000;
/// Where a file's beginning has a zero byte, it is no text; as git sees it.
const BEGINNING: usize = 8000;

/// How fast a word that is there once more counts less, and how much a long file counts less: the usual constants of
/// BM25.
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.75;

/// What a file counts whose path, name or stem stands in the ticket; a rare word in a file's text counts up to about 12.
const NAMED_BY_PATH: f64 = 100.0;
const NAMED_BY_NAME: f64 = 50.0;
const NAMED_BY_STEM: f64 = 6.0;

/// How often a file has each of the words that it has.
struct Hit {
    file: usize,
    /// Word and number.
    words: Vec<(usize, u32)>,
}

/// Those of `files` that fit the words in `ticket`, the most fitting first.
pub(super) async fn fitting<'a>(
    mirror: &Mirror,
    files: &'a [TreeFile],
    ticket: &str,
) -> Result<Vec<&'a TreeFile>, MirrorError> {
    let mut scores = named(files, ticket);
    let hits = search(mirror, files, &words(ticket)).await?;
    for (file, score) in weigh(files, &hits) {
        *scores.entry(file).or_default() += score;
    }
    let mut fitting: Vec<(usize, f64)> = scores.into_iter().collect();
    // The sort is stable, and the scores were in the order of the paths.
    fitting.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    Ok(fitting.into_iter().map(|(file, _)| &files[file]).collect())
}

/// What files count that the ticket names.
fn named(files: &[TreeFile], ticket: &str) -> BTreeMap<usize, f64> {
    let ticket = ticket.to_lowercase();
    let count = |file: &TreeFile| {
        let path = file.path.to_lowercase();
        let name = path.rsplit('/').next().unwrap_or(&path);
        let stem = name.split('.').next().unwrap_or(name);
        if ticket.contains(&path) {
            Some(NAMED_BY_PATH)
        } else if name.len() > 4 && ticket.contains(name) {
            Some(NAMED_BY_NAME)
        } else if stem.len() > 3 && ticket.contains(stem) {
            Some(NAMED_BY_STEM)
        } else {
            None
        }
    };
    let counts = files.iter().enumerate();
    counts
        .filter_map(|(number, file)| Some((number, count(file)?)))
        .collect()
}

/// Reads the files once and counts `words` in them, upper and lower case alike.
async fn search(
    mirror: &Mirror,
    files: &[TreeFile],
    words: &[String],
) -> Result<Vec<Hit>, MirrorError> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let built = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .build(words);
    // A few words of a few letters always fit.
    let Ok(matcher) = built else {
        return Ok(Vec::new());
    };
    let mut left = SEARCH_BUDGET;
    let searched: Vec<usize> = (0..files.len())
        .filter(|file| (1..=MAXIMUM_SEARCHED).contains(&files[*file].bytes))
        .take_while(|file| {
            let fits = files[*file].bytes <= left;
            left = left.saturating_sub(files[*file].bytes);
            fits
        })
        .collect();
    let objects = searched.iter().map(|file| files[*file].object.clone());
    let mut contents = mirror.git().contents(objects.collect(), MAXIMUM_SEARCHED)?;
    let mut hits = Vec::new();
    let mut counts = vec![0_u32; words.len()];
    for file in searched {
        let Some(content) = contents.next().await? else {
            break;
        };
        if content[..content.len().min(BEGINNING)].contains(&0) {
            continue;
        }
        counts.fill(0);
        for found in matcher.find_overlapping_iter(content).take(MAXIMUM_COUNT) {
            counts[found.pattern().as_usize()] += 1;
        }
        let counted = counts.iter().copied().enumerate();
        let words: Vec<(usize, u32)> = counted.filter(|(_, count)| *count > 0).collect();
        if !words.is_empty() {
            hits.push(Hit { file, words });
        }
    }
    Ok(hits)
}

/// What each hit counts, by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009): a word counts
/// the more, the fewer files have it; a file the more, the more of the words it has for its length.
fn weigh(files: &[TreeFile], hits: &[Hit]) -> Vec<(usize, f64)> {
    let mut with_word: BTreeMap<usize, u32> = BTreeMap::new();
    for (word, _) in hits.iter().flat_map(|hit| &hit.words) {
        *with_word.entry(*word).or_default() += 1;
    }
    let all = files.len().max(1) as f64;
    let rare = |word: &usize| {
        let with = f64::from(with_word.get(word).copied().unwrap_or(0));
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    };
    let bytes = |file: usize| files[file].bytes as f64;
    let sum: f64 = hits.iter().map(|hit| bytes(hit.file)).sum();
    let average = (sum / hits.len().max(1) as f64).max(1.0);
    let score = |hit: &Hit| {
        let length = 1.0 - LENGTH + LENGTH * bytes(hit.file) / average;
        let parts = hit.words.iter().map(|(word, count)| {
            let count = f64::from(*count);
            rare(word) * count * (SATURATION + 1.0) / (count + SATURATION * length)
        });
        parts.sum::<f64>()
    };
    hits.iter().map(|hit| (hit.file, score(hit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Origin;

    async fn found(files: &[(&str, &str)], ticket: &str) -> Vec<String> {
        let origin = Origin::new(files).await;
        let (_folder, mirror, head) = origin.mirror().await;
        let files = mirror.files(&head).await.unwrap();
        let found = fitting(&mirror, &files, ticket).await.unwrap();
        found.into_iter().map(|file| file.path.clone()).collect()
    }

    #[tokio::test]
    async fn rare_words_count_more_than_common_ones_and_names_most() {
        let files = [
            ("a.js", "value value value value\n"),
            ("b.js", "parseDuration\n"),
            ("c.js", "VALUE\n"),
            ("deep/units.js", "nothing\n"),
            ("e.bin", "parseDuration \0\n"),
            ("f.js", "value\n"),
            ("g.js", "other\n"),
        ];
        let ticket = "parseDuration gives a wrong value, see deep/units.js";
        let found = found(&files, ticket).await;
        assert_eq!(found, ["deep/units.js", "b.js", "a.js", "c.js", "f.js"]);
    }

    #[tokio::test]
    async fn words_that_hold_each_other_are_counted_both() {
        let files = [("a.js", "parserOptions\n"), ("b.js", "nothing\n")];
        let found = found(&files, "parser parserOptions").await;
        assert_eq!(found, ["a.js"]);
    }

    #[test]
    fn a_long_file_counts_less_for_the_same_word() {
        let file = |bytes| TreeFile {
            path: format!("{bytes}"),
            bytes,
            object: String::new(),
        };
        let files = [file(100), file(100_000), file(100)];
        let hit = |file, count| Hit {
            file,
            words: vec![(0, count)],
        };
        let scores = weigh(&files, &[hit(0, 1), hit(1, 1), hit(2, 3)]);
        assert!(scores[0].1 > scores[1].1 && scores[2].1 > scores[0].1);
    }
}
