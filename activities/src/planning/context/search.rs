//! Which files a ticket's words point to: all of a commit's files are read once, one after the other, whatever the number
//! of words.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, MatchKind};

use super::words::looks_like_code;
use crate::mirror::{Mirror, MirrorError, TreeFile};

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
/// How many paths of a ticket are looked for.
const MAXIMUM_PATHS: usize = 200;
/// How much more a word counts that looks like a name in code.
const CODE: f64 = 3.0;
/// How much of it counts for a file that nobody wrote.
const GENERATED: f64 = 0.2;

/// A file that fits a ticket.
#[derive(Clone, Debug)]
pub(super) struct Fit<'a> {
    /// Which one.
    pub(super) file: &'a TreeFile,
    /// How well; only good for a comparison with others of the same ticket.
    pub(super) score: f64,
    /// Whether the ticket names it.
    pub(super) named: Option<Named>,
    /// Which of the ticket's words it has, by their number, and how often.
    pub(super) words: Vec<(usize, u32)>,
}

/// How a ticket names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Path,
    Name,
    Stem,
}

impl Named {
    fn counts(self) -> f64 {
        match self {
            Self::Path => NAMED_BY_PATH,
            Self::Name => NAMED_BY_NAME,
            Self::Stem => NAMED_BY_STEM,
        }
    }
}

impl<'a> Fit<'a> {
    /// A file that fits, for tests.
    #[cfg(test)]
    pub(super) fn of(file: &'a TreeFile, score: f64) -> Self {
        Self {
            file,
            score,
            named: None,
            words: Vec::new(),
        }
    }

    /// Why it fits, for people. `words` are the ticket's, with what each tells.
    pub(super) fn why(&self, words: &[String], weights: &[f64]) -> String {
        let named = self.named.map(|named| match named {
            Named::Path => "the ticket names its path".to_owned(),
            Named::Name => "the ticket has its name".to_owned(),
            Named::Stem => "the ticket has its name without its ending".to_owned(),
        });
        let mut telling = self.words.clone();
        telling.sort_by(|(one, _), (other, _)| weights[*other].total_cmp(&weights[*one]));
        let shown = telling.iter().take(4);
        let mut has: Vec<String> = shown
            .map(|(word, count)| format!("`{}` {count}x", words[*word]))
            .collect();
        if self.words.len() > 4 {
            has.push(format!("{} more words", self.words.len() - 4));
        }
        let has = (!has.is_empty()).then(|| format!("has {}", has.join(", ")));
        named.into_iter().chain(has).collect::<Vec<_>>().join("; ")
    }
}

/// How often a file has each of the words that it has.
struct Hit {
    file: usize,
    /// Word and number.
    words: Vec<(usize, u32)>,
}

/// What was found for a ticket.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    /// The files that fit, the most fitting first.
    pub(super) fits: Vec<Fit<'a>>,
    /// How much each of the ticket's words tells: the more, the fewer files have it.
    pub(super) weights: Vec<f64>,
}

/// Those of `files` that fit a ticket with `words`.
pub(super) async fn find<'a>(
    mirror: &Mirror,
    files: &'a [TreeFile],
    ticket: &str,
    words: &[String],
) -> Result<Found<'a>, MirrorError> {
    let mut fits: BTreeMap<usize, Fit<'a>> = named(files, ticket)
        .map(|(number, named)| {
            let fit = Fit {
                file: &files[number],
                score: named.counts(),
                named: Some(named),
                words: Vec::new(),
            };
            (number, fit)
        })
        .collect();
    let hits = search(mirror, files, words).await?;
    let weights = weights(files.len(), &hits, words);
    let scores = weigh(files, &hits, &weights);
    for (hit, score) in hits.into_iter().zip(scores) {
        let file = &files[hit.file];
        let fit = fits.entry(hit.file).or_insert(Fit {
            file,
            score: 0.0,
            named: None,
            words: Vec::new(),
        });
        fit.score += score;
        fit.words = hit.words;
    }
    let mut fits: Vec<Fit<'a>> = fits.into_values().collect();
    for fit in &mut fits {
        if fit.named.is_none() && is_generated(&fit.file.path) {
            fit.score *= GENERATED;
        }
    }
    // The sort is stable, and they were in the order of the paths.
    fits.sort_by(|one, other| other.score.total_cmp(&one.score));
    Ok(Found { fits, weights })
}

/// Whether a file was most likely written by a program, or by somebody else.
fn is_generated(path: &str) -> bool {
    let mut folders = path.split('/');
    let name = folders.next_back().unwrap_or(path).to_ascii_lowercase();
    let is_copied =
        |folder: &str| matches!(folder, "node_modules" | "vendor" | "third_party" | "dist");
    folders.any(is_copied)
        || [
            ".lock",
            ".min.js",
            ".min.css",
            ".map",
            ".svg",
            ".snap",
            "-lock.json",
            "-lock.yaml",
        ]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// The files that the ticket names: by the end of their path, by name, or by name without ending.
fn named(files: &[TreeFile], ticket: &str) -> impl Iterator<Item = (usize, Named)> {
    let is_between = |letter: char| !(letter.is_alphanumeric() || "_-./@+".contains(letter));
    let tokens = ticket.to_lowercase();
    let tokens: BTreeSet<String> = tokens
        .split(is_between)
        .map(|token| token.trim_start_matches("./").trim_matches('.').to_owned())
        .filter(|token| token.len() > 3)
        .collect();
    let paths: Vec<String> = tokens
        .iter()
        .filter(|token| token.contains('/'))
        .take(MAXIMUM_PATHS)
        .cloned()
        .collect();
    let is_end = |path: &str, token: &str| {
        path.strip_suffix(token)
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    let how = move |file: &TreeFile| {
        let path = file.path.to_lowercase();
        let name = path.rsplit('/').next().unwrap_or(&path);
        let stem = name.split('.').next().unwrap_or(name);
        if paths.iter().any(|token| is_end(&path, token)) {
            Some(Named::Path)
        } else if tokens.contains(name) {
            Some(Named::Name)
        } else if tokens.contains(stem) {
            Some(Named::Stem)
        } else {
            None
        }
    };
    let files = files.iter().enumerate();
    files.filter_map(move |(number, file)| Some((number, how(file)?)))
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
    let mut hits = Vec::new();
    let mut counts = vec![0_u32; words.len()];
    read_texts(mirror, files, 0..files.len(), |file, content| {
        counts.fill(0);
        for found in matcher.find_overlapping_iter(content).take(MAXIMUM_COUNT) {
            counts[found.pattern().as_usize()] += 1;
        }
        let counted = counts.iter().copied().enumerate();
        let words: Vec<(usize, u32)> = counted.filter(|(_, count)| *count > 0).collect();
        if !words.is_empty() {
            hits.push(Hit { file, words });
        }
    })
    .await?;
    Ok(hits)
}

/// Reads those of `files` that are `wanted`, by their numbers, one after the other, and shows `look` each that is text and
/// not too large.
pub(in crate::planning) async fn read_texts(
    mirror: &Mirror,
    files: &[TreeFile],
    wanted: impl IntoIterator<Item = usize>,
    mut look: impl FnMut(usize, &[u8]),
) -> Result<(), MirrorError> {
    let mut left = SEARCH_BUDGET;
    let searched: Vec<usize> = wanted
        .into_iter()
        .filter(|file| (1..=MAXIMUM_SEARCHED).contains(&files[*file].bytes))
        .take_while(|file| {
            let fits = files[*file].bytes <= left;
            left = left.saturating_sub(files[*file].bytes);
            fits
        })
        .collect();
    let objects = searched.iter().map(|file| files[*file].object.clone());
    let mut contents = mirror.git().contents(objects.collect(), MAXIMUM_SEARCHED)?;
    for file in searched {
        let Some(content) = contents.next().await? else {
            break;
        };
        if !content[..content.len().min(BEGINNING)].contains(&0) {
            look(file, content);
        }
    }
    Ok(())
}

/// How much each of `words` tells, by how few of `all` files have it; what looks like a name in code tells more.
fn weights(all: usize, hits: &[Hit], words: &[String]) -> Vec<f64> {
    let mut with_word = vec![0_u32; words.len()];
    for (word, _) in hits.iter().flat_map(|hit| &hit.words) {
        with_word[*word] += 1;
    }
    let all = all.max(1) as f64;
    let weight = |(word, with): (&String, u32)| {
        let with = f64::from(with);
        let rare = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        match looks_like_code(word) {
            true => rare * CODE,
            false => rare,
        }
    };
    words.iter().zip(with_word).map(weight).collect()
}

/// What each hit counts, by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009): a word counts
/// the more, the fewer files have it; a file the more, the more of the words it has for its length.
fn weigh(files: &[TreeFile], hits: &[Hit], weights: &[f64]) -> Vec<f64> {
    let bytes = |file: usize| files[file].bytes as f64;
    let sum: f64 = hits.iter().map(|hit| bytes(hit.file)).sum();
    let average = (sum / hits.len().max(1) as f64).max(1.0);
    let score = |hit: &Hit| {
        let length = 1.0 - LENGTH + LENGTH * bytes(hit.file) / average;
        let parts = hit.words.iter().map(|(word, count)| {
            let count = f64::from(*count);
            weights[*word] * count * (SATURATION + 1.0) / (count + SATURATION * length)
        });
        parts.sum::<f64>()
    };
    hits.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::words::words, *};
    use crate::testing::Origin;

    async fn found(files: &[(&str, &str)], ticket: &str) -> Vec<String> {
        let origin = Origin::new(files).await;
        let (_folder, mirror, head) = origin.mirror().await;
        let files = mirror.files(&head).await.unwrap();
        let found = find(&mirror, &files, ticket, &words(ticket)).await.unwrap();
        found
            .fits
            .into_iter()
            .map(|fit| fit.file.path.clone())
            .collect()
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

    #[tokio::test]
    async fn a_hostile_file_counts_no_more_than_one_with_many_of_the_words() {
        let hostile = "parser ".repeat(MAXIMUM_COUNT * 4);
        let files = [("a.js", hostile.as_str()), ("b.js", "parser options\n")];
        let origin = Origin::new(&files).await;
        let (_folder, mirror, head) = origin.mirror().await;
        let files = mirror.files(&head).await.unwrap();
        let words = words("parser options");
        let fits = find(&mirror, &files, "", &words).await.unwrap().fits;
        assert_eq!(fits[0].file.path, "b.js");
        assert_eq!(fits[1].words, [(0, MAXIMUM_COUNT as u32)]);
        assert_eq!(
            fits[0].why(&words, &[1.0, 2.0]),
            "has `options` 1x, `parser` 1x"
        );
    }

    #[tokio::test]
    async fn a_name_in_code_counts_more_than_many_plain_words() {
        let files = [
            (
                "a.js",
                "when the link goes down, the status is stale and reported\n",
            ),
            ("b.js", "check_for_link\n"),
        ];
        let ticket = "The status of a link that goes down is reported stale by check_for_link";
        assert_eq!(found(&files, ticket).await, ["b.js", "a.js"]);
    }

    #[test]
    fn a_name_within_a_longer_word_names_no_file() {
        let file = |path: &str| TreeFile {
            path: path.to_owned(),
            bytes: 1,
            object: String::new(),
        };
        let paths = [
            "src/unit.js",
            "time.js",
            "src/parse.js",
            "deep/parse.js",
            "a/src/parse.js",
            "Parse.go",
        ];
        let files = paths.map(file);
        let found: Vec<_> =
            named(&files, "Units in `./src/parse.js`, sometimes. See PARSE.").collect();
        let expected = [
            (2, Named::Path),
            (3, Named::Stem),
            (4, Named::Path),
            (5, Named::Stem),
        ];
        assert_eq!(found, expected);
        let found: Vec<_> = named(&files, "It is time.js.").collect();
        assert_eq!(found, [(1, Named::Name)]);
        assert!(is_generated("a/dist/b.js") && is_generated("package-lock.json"));
        assert!(!is_generated("src/distance.js") && !is_generated("dist"));
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
        let scores = weigh(&files, &[hit(0, 1), hit(1, 1), hit(2, 3)], &[1.0]);
        assert!(scores[0] > scores[1] && scores[2] > scores[0]);
    }
}
