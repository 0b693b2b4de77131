//! What the planner looks at by itself: folders, lines with a text, files. Everything is found in the list of the base
//! commit's files and read from the repository's objects; a path leads to no disk, and nothing is run.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, MatchKind};
use sallyport_workflows::text::{count, grouped, shorten};
use serde::Deserialize;

use super::{
    context::{
        Source,
        report::{Shown, tokens},
        search::read_texts,
    },
    progress::Progress,
    render::one_line,
};
use crate::mirror::{MirrorError, TreeFile};

/// How often the planner may look.
pub const ROUNDS: usize = 8;
/// How many things it may look at each time.
pub const MAXIMUM_LOOKS: usize = 6;
/// How much it is shown each time, in bytes; and in all.
const ROUND_BYTES: usize = 24 << 10;
const ALL_BYTES: usize = 96 << 10;
/// Less than that is not worth an answer.
const LEAST_BYTES: usize = 1 << 10;

/// How long a text may be that is searched for, in bytes.
const SEARCHED_BYTES: std::ops::RangeInclusive<usize> = 2..=200;
/// The longest path, in bytes.
const PATH_BYTES: usize = 500;
/// The largest file that is read, in bytes.
const MAXIMUM_FILE: u64 = 1 << 20;
/// The most lines that are shown of one file in a search, and the most files.
const LINES_OF_A_FILE: usize = 4;
const FILES_OF_A_SEARCH: usize = 60;
/// The most matches of a line that are looked at.
const MATCHES_OF_A_LINE: usize = 1000;
/// The longest line that is shown, in characters: of what a search finds, and of a file.
const LINE: usize = 240;
const LINE_OF_A_FILE: usize = 1000;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Name what lies in a folder.
    List,
    /// Find a text in files.
    Search,
    /// Show a file.
    Read,
}

/// Something that the planner wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// What to do.
    pub action: Action,
    /// The folder or file, from the top of the repository.
    pub path: String,
    /// What to search for.
    pub text: String,
    /// The line to read from, from 1.
    pub line: i64,
}

impl Look {
    /// Whether it can be done at all, in words for the planner.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.path.len() > PATH_BYTES {
            return Err(format!(
                "a path of `looks` is longer than {PATH_BYTES} bytes"
            ));
        }
        match self.action {
            Action::Search if !SEARCHED_BYTES.contains(&self.text.len()) => Err(format!(
                "a search has a text of {} to {} bytes",
                SEARCHED_BYTES.start(),
                SEARCHED_BYTES.end()
            )),
            Action::Search if self.text.contains('\n') => {
                Err("a search looks for a text in one line".to_owned())
            }
            Action::Read if self.place().is_empty() => Err("a `read` names no file".to_owned()),
            _ => Ok(()),
        }
    }

    /// The path as the list of files has it.
    fn place(&self) -> &str {
        let path = self.path.trim();
        let path = path.strip_prefix("./").unwrap_or(path);
        match path.trim_matches('/') {
            "." => "",
            path => path,
        }
    }

    /// Whether a search looks into the file `path`.
    fn is_about(&self, path: &str) -> bool {
        let place = self.place();
        place.is_empty()
            || path
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What it is, for people and for the planner.
    fn title(&self) -> String {
        let place = match self.place() {
            "" => "the top of the repository",
            place => place,
        };
        // Its words are the model's.
        one_line(&match self.action {
            Action::List => format!("list {place}"),
            Action::Search => format!("search {place} for {:?}", self.text),
            Action::Read => format!("read {place} from line {}", self.line.max(1)),
        })
    }
}

/// A planner's looks at one commit.
#[derive(Debug)]
pub struct Looking<'a> {
    source: Source<'a>,
    files: &'a [TreeFile],
    progress: &'a Progress,
    rounds: usize,
    bytes: usize,
    seen: Vec<Shown>,
}

/// What a planner was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What it asked for.
    pub title: String,
    /// What there is.
    pub text: String,
}

impl<'a> Looking<'a> {
    /// Looks at `files`, which are those of the commit. `progress` is told of each look.
    pub fn new(source: Source<'a>, files: &'a [TreeFile], progress: &'a Progress) -> Self {
        Self {
            source,
            files,
            progress,
            rounds: 0,
            bytes: 0,
            seen: Vec::new(),
        }
    }

    /// How often the planner may look yet.
    pub fn rounds_left(&self) -> usize {
        match ALL_BYTES.saturating_sub(self.bytes) < LEAST_BYTES {
            true => 0,
            false => ROUNDS.saturating_sub(self.rounds),
        }
    }

    /// What the planner has looked at, in order.
    pub fn seen(&self) -> &[Shown] {
        &self.seen
    }

    /// Looks at `looks`, of which there are at most [`MAXIMUM_LOOKS`]. All texts are searched for in one pass.
    pub async fn look(&mut self, looks: &[Look]) -> Result<Vec<Sight>, MirrorError> {
        let titles: Vec<String> = looks.iter().map(Look::title).collect();
        self.progress
            .say(format!("looking further: {}", titles.join("; ")));
        self.rounds += 1;
        let left = ALL_BYTES.saturating_sub(self.bytes).min(ROUND_BYTES);
        let room = left / looks.len().max(1);
        let mut found = self.search(looks).await?;
        let mut sights = Vec::new();
        for ((number, look), title) in looks.iter().enumerate().zip(titles) {
            let text = match look.action {
                Action::List => self.list(look.place(), room),
                Action::Read => self.read(look, room).await?,
                Action::Search => found.remove(&number).unwrap_or_default().text(room),
            };
            self.bytes += text.len();
            self.seen.push(Shown {
                what: title.clone(),
                why: "the planner asked for it".to_owned(),
                tokens: tokens(&text),
            });
            sights.push(Sight { title, text });
        }
        Ok(sights)
    }

    /// The files below `folder`; all of them below the top.
    fn below<'b>(&'b self, folder: &'b str) -> impl Iterator<Item = (usize, &'b str)> {
        let files = self.files.iter().enumerate();
        files.filter_map(move |(number, file)| {
            let path = file.path.as_str();
            let rest = match folder {
                "" => path,
                folder => path.strip_prefix(folder)?.strip_prefix('/')?,
            };
            Some((number, rest))
        })
    }

    fn list(&self, folder: &str, room: usize) -> String {
        let mut folders: BTreeMap<&str, u64> = BTreeMap::new();
        let mut files: Vec<(&str, u64)> = Vec::new();
        for (number, rest) in self.below(folder) {
            match rest.split_once('/') {
                Some((name, _)) => *folders.entry(name).or_default() += 1,
                None => files.push((rest, self.files[number].bytes)),
            }
        }
        if folders.is_empty() && files.is_empty() {
            return "There is no such folder.\n".to_owned();
        }
        let folders = folders
            .into_iter()
            .map(|(name, files)| format!("{name}/ ({})", count(files, "file")));
        let files = files
            .into_iter()
            .map(|(name, bytes)| format!("{name} ({})", count(bytes, "byte")));
        let mut text = Room::new(room);
        folders.chain(files).for_each(|line| text.line(&line));
        text.end("entries")
    }

    async fn read(&self, look: &Look, room: usize) -> Result<String, MirrorError> {
        let path = look.place();
        let Ok(number) = self
            .files
            .binary_search_by(|file| file.path.as_str().cmp(path))
        else {
            return Ok("There is no such file.\n".to_owned());
        };
        let file = &self.files[number];
        if file.bytes > MAXIMUM_FILE {
            return Ok(format!(
                "It has {} bytes, more than is shown of a file; search in it.\n",
                file.bytes
            ));
        }
        let git = self.source.mirror.git();
        let mut contents = git.contents(vec![file.object.clone()], MAXIMUM_FILE)?;
        let content = contents.next().await?.unwrap_or_default();
        let Some(content) = super::context::text(content) else {
            return Ok("It is no text.\n".to_owned());
        };
        let first = usize::try_from(look.line.max(1)).unwrap_or(1);
        let lines = content.lines().count();
        if lines < first {
            return Ok(format!("It has {}.\n", count(lines as u64, "line")));
        }
        let mut text = Room::new(room);
        content
            .lines()
            .skip(first - 1)
            .for_each(|line| text.line(&shorten(line, LINE_OF_A_FILE)));
        Ok(text.end("lines"))
    }

    /// What each search among `looks` finds, by its number.
    async fn search(&self, looks: &[Look]) -> Result<BTreeMap<usize, Hits>, MirrorError> {
        let searches: Vec<(usize, &Look)> = looks
            .iter()
            .enumerate()
            .filter(|(_, look)| look.action == Action::Search)
            .collect();
        let mut found: BTreeMap<usize, Hits> = BTreeMap::new();
        let texts = searches.iter().map(|(_, look)| &look.text);
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(texts);
        // A few texts of a few letters always fit.
        let Ok(matcher) = built else {
            return Ok(found);
        };
        let wanted: Vec<usize> = (0..self.files.len())
            .filter(|file| {
                let path = &self.files[*file].path;
                searches.iter().any(|(_, look)| look.is_about(path))
            })
            .collect();
        read_texts(self.source.mirror, self.files, wanted, |file, content| {
            if !matcher.is_match(content) {
                return;
            }
            let path = &self.files[file].path;
            let mut open: BTreeMap<usize, usize> = searches
                .iter()
                .enumerate()
                .filter(|(_, (_, look))| look.is_about(path))
                .map(|(pattern, (number, _))| (pattern, *number))
                .collect();
            let mut shown = vec![0; searches.len()];
            for (line, bytes) in (1_u64..).zip(content.split(|byte| *byte == b'\n')) {
                let patterns: BTreeSet<usize> = matcher
                    .find_overlapping_iter(bytes)
                    .take(MATCHES_OF_A_LINE)
                    .map(|one| one.pattern().as_usize())
                    .collect();
                for pattern in patterns {
                    let Some(number) = open.get(&pattern) else {
                        continue;
                    };
                    let hits = found.entry(*number).or_default();
                    if shown[pattern] == 0 {
                        hits.files += 1;
                    }
                    shown[pattern] += 1;
                    if hits.files > FILES_OF_A_SEARCH || shown[pattern] > LINES_OF_A_FILE {
                        open.remove(&pattern);
                        continue;
                    }
                    let text = shorten(String::from_utf8_lossy(bytes).trim(), LINE);
                    hits.lines.push(format!("{path}:{line}: {text}"));
                }
                if open.is_empty() {
                    break;
                }
            }
        })
        .await?;
        Ok(found)
    }
}

/// What a search found.
#[derive(Debug, Default)]
struct Hits {
    files: usize,
    lines: Vec<String>,
}

impl Hits {
    fn text(self, room: usize) -> String {
        if self.files == 0 {
            return "No file has it.\n".to_owned();
        }
        let mut text = Room::new(room);
        text.line(&format!(
            "In {}; at most {LINES_OF_A_FILE} lines of each are shown, of {FILES_OF_A_SEARCH} files:",
            count(self.files as u64, "file")
        ));
        self.lines.iter().for_each(|line| text.line(line));
        text.end("lines")
    }
}

/// Lines, as long as there is room.
struct Room {
    text: String,
    left: usize,
    lines_left_out: u64,
}

impl Room {
    /// How much the last line may need.
    const END: usize = 60;

    fn new(bytes: usize) -> Self {
        Self {
            text: String::new(),
            left: bytes.saturating_sub(Self::END),
            lines_left_out: 0,
        }
    }

    fn line(&mut self, line: &str) {
        if self.lines_left_out > 0 || line.len() >= self.left {
            self.lines_left_out += 1;
            return;
        }
        self.left -= line.len() + 1;
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn end(mut self, what: &str) -> String {
        if self.lines_left_out > 0 {
            let left_out = grouped(self.lines_left_out);
            self.text
                .push_str(&format!("[... {left_out} more {what} ...]\n"));
        }
        self.text
    }
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
