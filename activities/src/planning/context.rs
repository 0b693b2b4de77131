//! What the planner is shown of a repository: its files' names, its README, and the files that the ticket seems to be
//! about. Everything is read from the mirror at the base commit; nothing is checked out.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    git::GitError,
    mirror::{Mirror, MirrorError, TreeFile},
};

/// The most bytes of files' content that are shown, README included.
const CONTENT_BUDGET: usize = 60 << 10;
/// The most bytes of the README that are shown.
const README_BUDGET: usize = 8 << 10;
/// The most bytes of the list of files that are shown.
const LIST_BUDGET: usize = 16 << 10;
/// The largest file that is shown.
const MAXIMUM_FILE: u64 = 24 << 10;
/// The most words of a ticket that are looked for.
const MAXIMUM_WORDS: usize = 24;
/// A word in more files than this tells nothing.
const COMMON: usize = 60;

/// What the planner is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryContext {
    /// All files of the base commit whose names are plain text.
    pub existing: BTreeSet<String>,
    /// Their names, one a line, perhaps not all.
    pub list: String,
    /// The README and the files that the ticket seems to be about, the most fitting first, with their content.
    pub contents: Vec<(String, String)>,
}

/// Chooses what of `commit` fits the words in `ticket`.
pub async fn gather(
    mirror: &Mirror,
    commit: &str,
    ticket: &str,
) -> Result<RepositoryContext, MirrorError> {
    let files = mirror.files(commit).await?;
    let mut context = RepositoryContext {
        existing: files.iter().map(|file| file.path.clone()).collect(),
        list: list(&files),
        contents: Vec::new(),
    };
    let mut left = CONTENT_BUDGET;
    if let Some(readme) = readme(&files) {
        let text = content(mirror, commit, readme).await?;
        if let Some(text) = text {
            let text = cut(&text, README_BUDGET);
            left -= text.len().min(left);
            context.contents.push((readme.path.clone(), text));
        }
    }
    for file in fitting(mirror, commit, &files, ticket).await? {
        if context.contents.iter().any(|(path, _)| *path == file.path) {
            continue;
        }
        // A smaller one further down may still fit.
        if file.bytes as usize > left {
            continue;
        }
        if let Some(text) = content(mirror, commit, file).await? {
            left -= text.len().min(left);
            context.contents.push((file.path.clone(), text));
        }
    }
    Ok(context)
}

fn list(files: &[TreeFile]) -> String {
    let mut list = String::new();
    for (shown, file) in files.iter().enumerate() {
        if list.len() + file.path.len() > LIST_BUDGET {
            list.push_str(&format!("... and {} more\n", files.len() - shown));
            break;
        }
        list.push_str(&file.path);
        list.push('\n');
    }
    list
}

fn readme(files: &[TreeFile]) -> Option<&TreeFile> {
    ["readme.md", "readme.rst", "readme.txt", "readme"]
        .iter()
        .find_map(|name| files.iter().find(|file| file.path.to_lowercase() == *name))
}

/// The file's text; nothing if it is none or too large.
async fn content(
    mirror: &Mirror,
    commit: &str,
    file: &TreeFile,
) -> Result<Option<String>, MirrorError> {
    if file.bytes > MAXIMUM_FILE {
        return Ok(None);
    }
    let content = mirror.read(commit, &file.path, MAXIMUM_FILE).await?;
    let text = content.and_then(|content| String::from_utf8(content).ok());
    Ok(text.filter(|text| !text.contains('\0')))
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}\n[... cut ...]\n", &text[..end])
}

/// The files that the ticket's words point to, the most fitting first. A word counts the more, the fewer files have it;
/// a file named in the ticket counts most.
async fn fitting<'a>(
    mirror: &Mirror,
    commit: &str,
    files: &'a [TreeFile],
    ticket: &str,
) -> Result<Vec<&'a TreeFile>, MirrorError> {
    let mut scores: BTreeMap<&str, f64> = BTreeMap::new();
    let ticket_lower = ticket.to_lowercase();
    for file in files {
        let path = file.path.to_lowercase();
        let name = path.rsplit('/').next().unwrap_or(&path);
        let stem = name.split('.').next().unwrap_or(name);
        if ticket_lower.contains(&path) {
            *scores.entry(&file.path).or_default() += 20.0;
        } else if name.len() > 4 && ticket_lower.contains(name) {
            *scores.entry(&file.path).or_default() += 10.0;
        } else if stem.len() > 3 && ticket_lower.contains(stem) {
            *scores.entry(&file.path).or_default() += 2.0;
        }
    }
    for word in words(ticket) {
        let found = files_with(mirror, commit, &word).await?;
        if found.is_empty() || found.len() > COMMON {
            continue;
        }
        let weight = 1.0 / found.len() as f64 + 0.1;
        for path in found {
            if let Some(file) = files.iter().find(|file| file.path == path) {
                *scores.entry(&file.path).or_default() += weight;
            }
        }
    }
    let mut fitting: Vec<&TreeFile> = files
        .iter()
        .filter(|file| scores.contains_key(file.path.as_str()))
        .collect();
    let score = |file: &TreeFile| scores.get(file.path.as_str()).copied().unwrap_or(0.0);
    fitting.sort_by(|one, other| {
        score(other)
            .total_cmp(&score(one))
            .then_with(|| one.path.cmp(&other.path))
    });
    Ok(fitting)
}

/// The words of a ticket that may be names in code: long enough, each once, those that look like code first.
fn words(ticket: &str) -> Vec<String> {
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

async fn files_with(mirror: &Mirror, commit: &str, word: &str) -> Result<Vec<String>, GitError> {
    let answer = mirror
        .git()
        .run("grep")
        .arguments(["-l", "-z", "-I", "-F", "-i", "--no-textconv", "--full-name"])
        .arguments(["--max-count=1", "-e", word, commit])
        // 1: found nowhere.
        .allow(&[1])
        .answer()
        .await?;
    let prefix = format!("{commit}:");
    Ok(answer
        .output
        .split(|byte| *byte == 0)
        .filter_map(|name| {
            str::from_utf8(name)
                .ok()?
                .strip_prefix(&prefix)
                .map(str::to_owned)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mirror::Mirrors, testing::Origin};

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

    #[tokio::test]
    async fn fitting_files_are_shown_and_large_ones_are_not() {
        let large = format!("parseDuration {}", "x".repeat(30 << 10));
        let binary = "parseDuration \0";
        let origin = Origin::new(&[
            ("README.md", "A library.\n"),
            ("src/parse.js", "export function parseDuration() {}\n"),
            ("src/other.js", "export const other = 1;\n"),
            ("src/large.js", &large),
            ("src/binary.dat", binary),
            ("test/parse.test.js", "parseDuration();\n"),
        ])
        .await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path())
            .fetch(origin.url())
            .await
            .unwrap();
        let head = mirror.head("main").await.unwrap();
        let context = gather(&mirror, &head, "parseDuration throws; see src/parse.js")
            .await
            .unwrap();
        let shown: Vec<_> = context
            .contents
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(shown, ["README.md", "src/parse.js", "test/parse.test.js"]);
        assert_eq!(
            context.contents[1].1,
            "export function parseDuration() {}\n"
        );
        assert_eq!(context.existing.len(), 6);
        assert!(context.list.contains("src/binary.dat\n"));
    }

    #[tokio::test]
    async fn what_is_shown_is_bounded() {
        let content = "common words ".repeat(600);
        let names: Vec<String> = (0..2000)
            .map(|number| format!("folder/a-rather-long-name-{number:04}.txt"))
            .collect();
        let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        for name in ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"] {
            files.push((name, &content));
        }
        // One process for each file would take too long here.
        let origin = Origin::new(&files[1980..]).await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path())
            .fetch(origin.url())
            .await
            .unwrap();
        let head = mirror.head("main").await.unwrap();
        let context = gather(&mirror, &head, "common words").await.unwrap();
        let bytes: usize = context.contents.iter().map(|(_, text)| text.len()).sum();
        assert!(
            bytes <= CONTENT_BUDGET && bytes > CONTENT_BUDGET / 2,
            "{bytes}"
        );
        let all: Vec<_> = names
            .iter()
            .map(|path| TreeFile {
                path: path.clone(),
                bytes: 0,
                object: String::new(),
            })
            .collect();
        let listed = list(&all);
        assert!(listed.len() < LIST_BUDGET + 100 && listed.ends_with(" more\n"));
    }
}
