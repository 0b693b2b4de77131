//! The map of symbols: the definitions that matter most to the ticket, by the names that files use of each other.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Part, Search, Source, search::Fit, words::all_words};
use crate::{
    mirror::{MirrorError, TreeFile},
    planning::symbols::{
        child::MAXIMUM_FILE,
        is_known,
        rank::{ParsedFile, rank},
    },
};

/// The most files that are parsed, and the most bytes of them.
const MAXIMUM_PARSED: usize = 1500;
const MAXIMUM_BYTES: u64 = 32 << 20;
/// The most definitions that are shown of one file.
const MAXIMUM_OF_FILE: usize = 25;

/// Shows the map in at most `budget` tokens.
pub(super) async fn map(
    source: &Source<'_>,
    search: &Search<'_>,
    files: &[TreeFile],
    fits: &[Fit<'_>],
    budget: u64,
) -> Result<Part, MirrorError> {
    let mut part = Part::new("Symbols");
    let (chosen, known) = choose(files, fits);
    if chosen.is_empty() {
        part.leave_out("all of it: no file is in a language that is parsed".to_owned());
        return Ok(part);
    }
    let objects = chosen.iter().map(|(file, _)| file.object.clone()).collect();
    let mut contents = source.mirror.git().contents(objects, MAXIMUM_FILE)?;
    let mut session = search.symbols.session();
    let mut parsed: Vec<ParsedFile> = Vec::new();
    let mut paths: Vec<&str> = Vec::new();
    let all = chosen.len();
    for (number, (file, score)) in chosen.iter().enumerate() {
        if number.is_multiple_of(50) {
            search
                .progress
                .say(format!("parsing {number} of {all} files"));
        }
        let Some(content) = contents.next().await? else {
            break;
        };
        match session.symbols(&file.path, content).await {
            Ok(Some(symbols)) => {
                paths.push(&file.path);
                parsed.push(ParsedFile {
                    fits: *score,
                    symbols,
                });
            }
            Ok(None) => part.leave_out(format!("those of `{}`: it cannot be parsed", file.path)),
            Err(problem) => {
                let left = all - number;
                part.leave_out(format!("those of {left} files: {problem}"));
                break;
            }
        }
    }
    if all < known {
        part.leave_out(format!(
            "those of {} files that fit the ticket less",
            known - all
        ));
    }
    let ranked = rank(&parsed, &all_words(search.ticket));
    let definitions: usize = parsed
        .iter()
        .map(|file| file.symbols.definitions.len())
        .sum();
    let mut left = budget;
    let mut shown: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in ranked {
        let definition = &parsed[place.file].symbols.definitions[place.definition];
        let of_file = shown.get(&place.file).map_or(0, Vec::len);
        // A file's first symbol brings its path along.
        let path = if of_file == 0 {
            paths[place.file].len() + 3
        } else {
            0
        };
        let needed = (definition.text.len() + 8 + path) as u64 / 3 + 1;
        if of_file >= MAXIMUM_OF_FILE {
            continue;
        }
        if needed > left {
            break;
        }
        left -= needed;
        shown.entry(place.file).or_default().push(place.definition);
    }
    let count: usize = shown.values().map(Vec::len).sum();
    let mut text = String::new();
    for (file, mut places) in shown {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}:", paths[file]);
        places.sort_unstable();
        for place in places {
            let definition = &parsed[file].symbols.definitions[place];
            let _ = writeln!(text, "  {}: {}", definition.line, definition.text);
        }
    }
    if !text.is_empty() {
        let why = format!(
            "{count} of {definitions} definitions in {} files, as names lead from the files that fit the \
             ticket",
            parsed.len()
        );
        part.show("the map of symbols", &why, text);
    }
    Ok(part)
}

/// The files to parse, those that fit best first, and how many there are to choose from.
fn choose<'a>(files: &'a [TreeFile], fits: &[Fit<'a>]) -> (Vec<(&'a TreeFile, f64)>, usize) {
    let can = |file: &TreeFile| is_known(&file.path) && (1..=MAXIMUM_FILE).contains(&file.bytes);
    let fitting = fits
        .iter()
        .map(|fit| (fit.file, fit.score))
        .filter(|(file, _)| can(file));
    let known = files.iter().filter(|file| can(file));
    let mut left = MAXIMUM_BYTES;
    let mut chosen: Vec<(&TreeFile, f64)> = fitting
        .take(MAXIMUM_PARSED)
        .take_while(|(file, _)| {
            let fits = file.bytes <= left;
            left = left.saturating_sub(file.bytes);
            fits
        })
        .collect();
    let count = known.clone().count();
    // All of a small repository: what fitting files use may be in any other.
    if count <= MAXIMUM_PARSED {
        let mut taken: Vec<&str> = chosen.iter().map(|(file, _)| file.path.as_str()).collect();
        taken.sort_unstable();
        for file in known.filter(|file| taken.binary_search(&file.path.as_str()).is_err()) {
            if file.bytes <= left {
                left -= file.bytes;
                chosen.push((file, 0.0));
            }
        }
    }
    (chosen, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        planning::{
            progress::Progress,
            symbols::reader::{SymbolReader, tests::reader},
        },
        testing::Origin,
    };

    #[tokio::test]
    async fn definitions_that_fitting_files_use_are_shown_first() {
        let filler = "export function unrelatedThing() {}\n".repeat(3);
        let origin = Origin::new(&[
            ("src/duration.js", "import './units.js';\nexport function parseDuration() { return findUnitByName(); }\n"),
            ("src/units.js", "export function findUnitByName() {}\nexport function neverUsed() {}\n"),
            ("src/other.js", &filler),
            ("README.md", "parseDuration\n"),
        ])
        .await;
        let (_folder, mirror, head) = origin.mirror().await;
        let files = mirror.files(&head).await.unwrap();
        let source = Source {
            mirror: &mirror,
            commit: &head,
        };
        let fits = [Fit::of(
            files
                .iter()
                .find(|file| file.path == "src/duration.js")
                .unwrap(),
            5.0,
        )];
        let (own, broken) = (reader(), SymbolReader::new("/nonexistent", [""; 0]));
        let progress = Progress::default();
        let search = |symbols| Search {
            earlier: &[],
            ticket: "parseDuration is slow",
            budget_tokens: 0,
            symbols,
            progress: &progress,
        };
        let (with, without) = (search(&own), search(&broken));
        let small = map(&source, &with, &files, &fits, 60).await.unwrap();
        let text = small.text();
        assert!(
            text.contains("src/units.js:\n  1: export function findUnitByName() {}\n"),
            "{text}"
        );
        assert!(
            text.contains("  2: export function parseDuration()"),
            "{text}"
        );
        assert!(!text.contains("unrelatedThing"), "{text}");
        let large = map(&source, &with, &files, &fits, 1000).await.unwrap();
        assert!(large.text().contains("unrelatedThing") && large.report.left_out.is_empty());

        let none = map(&source, &without, &files, &fits, 1000).await.unwrap();
        assert!(none.report.shown.is_empty());
        assert!(
            none.report.left_out[0].contains("cannot be started"),
            "{:?}",
            none.report
        );
    }
}
