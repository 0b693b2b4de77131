//! What the planner is shown of a repository: its files' names, its README, and the files that the ticket seems to be
//! about. Everything is read from the mirror at the base commit; nothing is checked out.

mod search;
mod words;

use std::collections::BTreeSet;

use crate::mirror::{Mirror, MirrorError, TreeFile};

/// The most bytes of files' content that are shown, README included.
const CONTENT_BUDGET: usize = 60 << 10;
/// The most bytes of the README that are shown.
const README_BUDGET: usize = 8 << 10;
/// The largest README of which the beginning is shown.
const MAXIMUM_README: u64 = 1 << 20;
/// The most bytes of the list of files that are shown.
const LIST_BUDGET: usize = 16 << 10;
/// The largest file that is shown.
const MAXIMUM_FILE: u64 = 24 << 10;
/// The most files that are considered for being shown.
const MAXIMUM_CANDIDATES: usize = 200;

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
    let readme = readme(&files);
    let mut left = CONTENT_BUDGET;
    let mut chosen: Vec<&TreeFile> = Vec::new();
    if let Some(readme) = readme {
        left -= (readme.bytes as usize).min(README_BUDGET);
        chosen.push(readme);
    }
    let fitting = search::fitting(mirror, &files, ticket).await?;
    for file in fitting.into_iter().take(MAXIMUM_CANDIDATES) {
        // A smaller one further down may still fit.
        let fits = file.bytes <= MAXIMUM_FILE && file.bytes as usize <= left;
        if fits && readme != Some(file) {
            left -= file.bytes as usize;
            chosen.push(file);
        }
    }
    let objects = chosen.iter().map(|file| file.object.clone());
    let mut contents = mirror.git().contents(objects.collect(), MAXIMUM_README)?;
    for file in chosen {
        let Some(content) = contents.next().await? else {
            break;
        };
        let text = str::from_utf8(content).ok();
        if let Some(text) = text.filter(|text| !text.contains('\0')) {
            let limit = match readme == Some(file) {
                true => README_BUDGET,
                false => text.len(),
            };
            context.contents.push((file.path.clone(), cut(text, limit)));
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
        .filter(|file| file.bytes <= MAXIMUM_README)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Origin;

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
        let (_folder, mirror, head) = origin.mirror().await;
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
        let (_folder, mirror, head) = origin.mirror().await;
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
