//! The repository's files by name: all of them where that fits, else its folders with how many files each has, opened where
//! the ticket points to.

use std::collections::{BTreeMap, BinaryHeap};

use sallyport_workflows::text::grouped;

use super::{Part, report::tokens, search::Fit};
use crate::mirror::TreeFile;

/// How many of the most fitting files decide which folders are opened.
const DECIDING: usize = 60;
/// The most files of one folder that are listed, beside those that fit.
const MAXIMUM_LISTED: usize = 40;

#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a str, Folder<'a>>,
    files: Vec<&'a str>,
    /// How many files there are, also further down.
    count: usize,
    /// How well those fit.
    heat: f64,
    is_open: bool,
}

/// A folder that may be opened: the better its files fit, the sooner; a small one before a large one.
#[derive(PartialEq)]
struct Candidate<'a> {
    heat: f64,
    count: usize,
    path: Vec<&'a str>,
}

impl Eq for Candidate<'_> {}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_heat = self.heat.total_cmp(&other.heat);
        let by_count = other.count.cmp(&self.count);
        by_heat
            .then(by_count)
            .then_with(|| other.path.cmp(&self.path))
    }
}

/// Shows names in at most `budget` tokens.
pub(super) fn tree(files: &[TreeFile], fits: &[Fit<'_>], budget: u64) -> Part {
    let mut part = Part::new("Files by name");
    let bytes: usize = files.iter().map(|file| file.path.len() + 1).sum();
    if bytes as u64 / 3 < budget {
        let list: String = files
            .iter()
            .map(|file| format!("{}\n", file.path))
            .collect();
        part.show("every file's path", "they all fit", list);
        return part;
    }
    let mut root = Folder::default();
    for file in files {
        root.add(&file.path);
    }
    for fit in fits.iter().take(DECIDING) {
        root.warm(&fit.file.path, fit.score);
    }
    let hot: Vec<&str> = fits
        .iter()
        .take(DECIDING)
        .map(|fit| fit.file.path.as_str())
        .collect();
    let opened = root.open(&hot, budget);
    let mut list = String::new();
    root.write("", 0, &hot, &mut list);
    part.show(
        "the tree of folders",
        &format!("{opened} folders are opened, those first whose files fit the ticket"),
        list,
    );
    let closed = root.closed();
    if closed > 0 {
        part.leave_out(format!(
            "the names of the files in {} folders, which are shown with their number of files",
            grouped(closed as u64)
        ));
    }
    part
}

impl<'a> Folder<'a> {
    fn add(&mut self, path: &'a str) {
        self.count += 1;
        match path.split_once('/') {
            Some((folder, rest)) => self.folders.entry(folder).or_default().add(rest),
            None => self.files.push(path),
        }
    }

    fn warm(&mut self, path: &str, score: f64) {
        self.heat += score;
        if let Some((folder, rest)) = path.split_once('/')
            && let Some(folder) = self.folders.get_mut(folder)
        {
            folder.warm(rest, score);
        }
    }

    fn at(&mut self, path: &[&'a str]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |folder, name| folder.folders.get_mut(name))
    }

    /// Opens folders until `budget` is used up, and answers how many.
    fn open(&mut self, hot: &[&str], budget: u64) -> usize {
        let mut left = budget;
        let mut opened = 0;
        let mut candidates = BinaryHeap::from([Candidate {
            heat: f64::MAX,
            count: 0,
            path: Vec::new(),
        }]);
        while let Some(candidate) = candidates.pop() {
            let Some(folder) = self.at(&candidate.path) else {
                continue;
            };
            let mut lines = String::new();
            folder.is_open = true;
            let place = candidate.path.join("/");
            folder.write(&place, candidate.path.len(), hot, &mut lines);
            let needed = tokens(&lines);
            if needed > left {
                folder.is_open = false;
                continue;
            }
            left -= needed;
            opened += 1;
            for (name, below) in &folder.folders {
                let mut path = candidate.path.clone();
                path.push(name);
                candidates.push(Candidate {
                    heat: below.heat,
                    count: below.count,
                    path,
                });
            }
        }
        opened
    }

    /// Its lines and those of the open folders in it, if it is open itself.
    fn write(&self, place: &str, depth: usize, hot: &[&str], lines: &mut String) {
        if !self.is_open {
            return;
        }
        let indent = "  ".repeat(depth);
        for (name, folder) in &self.folders {
            let files = grouped(folder.count as u64);
            match folder.is_open {
                true => lines.push_str(&format!("{indent}{name}/\n")),
                false => lines.push_str(&format!("{indent}{name}/ ({files} files)\n")),
            }
            let place = match place {
                "" => (*name).to_owned(),
                place => format!("{place}/{name}"),
            };
            folder.write(&place, depth + 1, hot, lines);
        }
        let fits = |name: &str| {
            let inside = |path: &&str| match place {
                "" => *path == name,
                place => {
                    path.strip_prefix(place)
                        .and_then(|rest| rest.strip_prefix('/'))
                        == Some(name)
                }
            };
            hot.iter().any(inside)
        };
        let mut silent = 0;
        for (number, name) in self.files.iter().enumerate() {
            match number < MAXIMUM_LISTED || fits(name) {
                true => lines.push_str(&format!("{indent}{name}\n")),
                false => silent += 1,
            }
        }
        if silent > 0 {
            lines.push_str(&format!("{indent}... and {} more files\n", grouped(silent)));
        }
    }

    /// How many folders are not opened, not counting those further down.
    fn closed(&self) -> usize {
        let below = self.folders.values();
        below
            .map(|folder| if folder.is_open { folder.closed() } else { 1 })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[String]) -> Vec<TreeFile> {
        let file = |path: &String| TreeFile {
            path: path.clone(),
            bytes: 1,
            object: String::new(),
        };
        paths.iter().map(file).collect()
    }

    #[test]
    fn small_trees_are_shown_whole_and_large_ones_open_where_the_ticket_points() {
        let mut paths: Vec<String> = Vec::new();
        for folder in ["arch/arm", "arch/x86/kernel", "docs", "drivers/net"] {
            paths.extend((0..200).map(|number| format!("{folder}/file-{number:03}.c")));
        }
        paths.push("Makefile".to_owned());
        let files = files(&paths);
        let fit = Fit::of(&files[399], 9.0);
        let whole = tree(&files, &[], 100_000);
        assert!(
            whole.text().contains("drivers/net/file-199.c\n") && whole.report.left_out.is_empty()
        );

        let part = tree(&files, std::slice::from_ref(&fit), 420);
        let text = part.text();
        for line in [
            "arch/\n",
            "  x86/\n",
            "    kernel/\n",
            "      file-199.c\n",
            "  arm/ (200 files)\n",
            "docs/ (200 files)\n",
            "      ... and 159 more files\n",
            "Makefile\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(part.report.tokens() <= 420, "{}", part.report.tokens());
        assert!(
            part.report.left_out[0].contains("in 3 folders"),
            "{:?}",
            part.report
        );
    }
}
