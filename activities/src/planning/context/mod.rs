//! What the planner is shown of a repository, within a budget of tokens, and an account of it. Everything is read from the
//! repository's objects at the base commit, one file at a time; nothing is checked out.
//!
//! | to find | look in |
//! | --- | --- |
//! | which files fit a ticket | `search`, `words` |
//! | earlier tickets that are alike | `alike` |
//! | the files by name | `tree` |
//! | README, guides, manifests | `guides` |
//! | the map of symbols | `map` |
//! | what happened to the files | `history` |
//! | the files themselves | `contents` |
//! | what was shown and left out | [`report`] |

mod alike;
mod contents;
mod guides;
mod history;
mod map;
pub mod report;
pub(super) mod search;
mod tree;
pub(in crate::planning) mod words;

use std::collections::BTreeSet;

use sallyport_workflows::text::grouped;

use self::report::{ContextReport, PartReport, Shown, tokens};
use super::{earlier::Earlier, progress::Progress, symbols::reader::SymbolReader};
use crate::mirror::{Mirror, MirrorError, TreeFile};

/// How many tokens are shown unless the configuration says otherwise.
pub const DEFAULT_TOKENS: u32 = 40_000;

/// Longer paths and deeper ones are shown nowhere: they were made to be a nuisance, and code that walks them would need as much
/// of a stack.
const MAXIMUM_PATH: usize = 500;
const MAXIMUM_DEPTH: usize = 50;

/// What each part may take of the budget, in hundredths. The files themselves get what the others leave.
const GUIDES: u64 = 15;
const TREE: u64 = 12;
const MAP: u64 = 18;
const HISTORY: u64 = 5;
const ALIKE: u64 = 8;

/// Where is read.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The repository.
    pub mirror: &'a Mirror,
    /// The commit.
    pub commit: &'a str,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The ticket, readable.
    pub ticket: &'a str,
    /// Earlier tickets that are like it, the most alike first.
    pub earlier: &'a [Earlier],
    /// How many tokens may be shown.
    pub budget_tokens: u64,
    /// Who parses files.
    pub symbols: &'a SymbolReader,
    /// Told what is done.
    pub progress: &'a Progress,
}

/// What the planner is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryContext {
    /// All files of the base commit whose names are plain text.
    pub existing: BTreeSet<String>,
    /// Those of them that may be shown, sorted by path.
    pub files: Vec<TreeFile>,
    /// What is shown, in this order.
    pub parts: Vec<Part>,
    /// How many bytes the files have.
    pub bytes: u64,
    /// How many tokens might be shown.
    pub budget_tokens: u64,
    /// The commit.
    pub commit: String,
}

/// What is shown of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// What each text is, and the text.
    pub texts: Vec<(String, String)>,
    /// The account of it.
    pub report: PartReport,
}

impl Part {
    /// An empty part.
    pub fn new(title: &str) -> Self {
        Self {
            texts: Vec::new(),
            report: PartReport {
                title: title.to_owned(),
                ..PartReport::default()
            },
        }
    }

    fn show(&mut self, what: &str, why: &str, text: String) {
        self.report.shown.push(Shown {
            what: what.to_owned(),
            why: why.to_owned(),
            tokens: tokens(&text),
        });
        self.texts.push((what.to_owned(), text));
    }

    fn leave_out(&mut self, what: String) {
        self.report.left_out.push(what);
    }

    #[cfg(test)]
    fn text(&self) -> String {
        self.texts.iter().map(|(_, text)| text.as_str()).collect()
    }
}

impl RepositoryContext {
    /// What was shown and why, and what was left out.
    pub fn report(&self) -> ContextReport {
        ContextReport {
            commit: self.commit.clone(),
            files: self.existing.len() as u64,
            bytes: self.bytes,
            budget_tokens: self.budget_tokens,
            parts: self.parts.iter().map(|part| part.report.clone()).collect(),
            looked: Vec::new(),
        }
    }
}

/// Chooses what to show for a ticket.
pub async fn gather(
    source: &Source<'_>,
    search: &Search<'_>,
) -> Result<RepositoryContext, MirrorError> {
    let (ticket, progress) = (search.ticket, search.progress);
    progress.say("listing the repository's files");
    let all = source.mirror.files(source.commit).await?;
    let (count_all, bytes) = (all.len(), all.iter().map(|file| file.bytes).sum());
    let existing = all.iter().map(|file| file.path.clone()).collect();
    let files: Vec<TreeFile> = all
        .into_iter()
        .filter(|file| is_usual(&file.path))
        .collect();
    let count = grouped(files.len() as u64);
    progress.say(format!("searching {count} files for the ticket's words"));
    let words = words::words(ticket);
    let found = search::find(source.mirror, &files, ticket, &words).await?;
    let fits = &found.fits;
    let budget = search.budget_tokens;
    let share = |hundredths: u64| budget * hundredths / 100;
    progress.say("reading guides and manifests");
    let guides = guides::guides(source, &files, fits, share(GUIDES)).await?;
    let mut tree = tree::tree(&files, fits, share(TREE));
    if files.len() < count_all {
        let unusual = count_all - files.len();
        tree.leave_out(format!(
            "{unusual} files whose paths are longer or deeper than anybody writes"
        ));
    }
    let map = map::map(source, search, &files, fits, share(MAP)).await?;
    progress.say("reading the history of the files concerned");
    let history = history::history(source, fits, share(HISTORY)).await?;
    let alike = alike::alike(search.earlier, share(ALIKE));
    let mut parts = vec![guides, tree, map, history, alike];
    let used: u64 = parts.iter().map(|part| part.report.tokens()).sum();
    progress.say(format!("reading the {} files that fit", fits.len()));
    let left = budget.saturating_sub(used);
    parts.push(contents::contents(source, &found, &words, left).await?);
    drop(found);
    Ok(RepositoryContext {
        bytes,
        existing,
        files,
        parts,
        budget_tokens: budget,
        commit: source.commit.to_owned(),
    })
}

fn is_usual(path: &str) -> bool {
    path.len() <= MAXIMUM_PATH && path.matches('/').count() <= MAXIMUM_DEPTH
}

/// A file's content, if it is text.
pub(super) fn text(content: &[u8]) -> Option<&str> {
    str::from_utf8(content)
        .ok()
        .filter(|text| !text.contains('\0'))
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    const MARK: &str = "\n[... cut ...]\n";
    format!(
        "{}{MARK}",
        beginning(text, limit.saturating_sub(MARK.len()))
    )
}

/// At most `limit` bytes of `text`.
fn beginning(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{planning::symbols::reader::tests::reader, testing::Origin};

    async fn gathered(
        files: &[(&str, &str)],
        ticket: &str,
        budget_tokens: u64,
    ) -> RepositoryContext {
        let origin = Origin::new(files).await;
        let (_folder, mirror, commit) = origin.mirror().await;
        let source = Source {
            mirror: &mirror,
            commit: &commit,
        };
        let search = Search {
            ticket,
            earlier: &[],
            budget_tokens,
            symbols: &reader(),
            progress: &Progress::default(),
        };
        gather(&source, &search).await.unwrap()
    }

    #[tokio::test]
    async fn fitting_files_are_shown_whole_and_large_ones_in_places() {
        let large = format!(
            "{}parseDuration\n",
            "filler filler filler\n".repeat(3 << 10)
        );
        let context = gathered(
            &[
                ("README.md", "A library.\n"),
                ("src/parse.js", "export function parseDuration() {}\n"),
                ("src/other.js", "export const other = 1;\n"),
                ("src/large.js", &large),
                ("src/binary.dat", "parseDuration \0\n"),
                ("src/latin.js", "parseDuration\n"),
                ("test/parse.test.js", "parseDuration();\n"),
            ],
            "parseDuration throws; see src/parse.js",
            u64::from(DEFAULT_TOKENS),
        )
        .await;
        let report = context.report();
        let titles: Vec<&str> = report
            .parts
            .iter()
            .map(|part| part.title.as_str())
            .collect();
        let expected = [
            "What the repository says of itself",
            "Files by name",
            "Symbols",
            "History of the files concerned",
            "Earlier tickets that are alike",
            "Files",
        ];
        assert_eq!(titles, expected);
        let files = &context.parts[5];
        let shown: Vec<&str> = files.texts.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(shown[0], "src/parse.js");
        for path in ["src/large.js", "test/parse.test.js"] {
            assert!(shown.contains(&path), "{shown:?}");
        }
        assert!(!shown.contains(&"src/binary.dat") && !shown.contains(&"src/other.js"));
        assert_eq!(files.texts[0].1, "export function parseDuration() {}\n");
        let why = &files.report.shown[0].why;
        assert_eq!(
            why,
            "the ticket names its path; has `parseDuration` 1x, `parse` 1x"
        );
        assert!(
            files.report.left_out[0].starts_with("most of `src/large.js`"),
            "{files:?}"
        );
        assert_eq!(context.existing.len(), 7);
        assert!(context.parts[1].text().contains("src/binary.dat\n"));
        assert!(context.parts[2].text().contains("function parseDuration"));
    }

    #[tokio::test]
    async fn paths_that_nobody_writes_are_not_walked() {
        let deep = format!("{}parse.js", "a/".repeat(1_500));
        let long = format!("{}.js", "parse".repeat(400));
        let files = [
            ("src/parse.js", "parse\n"),
            (deep.as_str(), "parse\n"),
            (&long, "parse\n"),
        ];
        let context = gathered(&files, "parse is wrong", u64::from(DEFAULT_TOKENS)).await;
        assert_eq!(context.existing.len(), 3);
        let report = context.report();
        assert!(
            report.parts[1].left_out[0].starts_with("2 files whose paths"),
            "{report:?}"
        );
        let shown: Vec<&str> = context.parts[5]
            .texts
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(shown, ["src/parse.js"]);
    }

    #[tokio::test]
    async fn what_is_shown_keeps_to_the_budget_and_the_rest_is_accounted_for() {
        let content = "common words ".repeat(600);
        let names: Vec<String> = (0..30)
            .map(|number| format!("folder/a-rather-long-name-{number:04}.txt"))
            .collect();
        let files: Vec<(&str, &str)> = names
            .iter()
            .map(|name| (name.as_str(), content.as_str()))
            .collect();
        for budget in [0, 500, 4000, 20_000] {
            let context = gathered(&files, "common words", budget).await;
            let report = context.report();
            assert!(report.tokens() <= budget, "{budget}: {}", report.tokens());
            let files = report.parts.last().unwrap();
            let shown = files.shown.len();
            let expected = format!("{} more files that fit the ticket less", 30 - shown);
            let left = &files.left_out;
            assert!(
                budget == 20_000 || left.contains(&expected) || shown == 30,
                "{left:?}"
            );
        }
    }
}
