//! Names that some disks cannot tell apart: macOS and Windows ignore case, and macOS the form in which Unicode writes an
//! accent. Where both are in a repository, one hides the other there.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use unicode_normalization::UnicodeNormalization as _;

/// `name` without case and Unicode form. The extension does the same in JavaScript.
pub(super) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    // To capitals first: `ß` and `SS` are the same there.
    let decomposed: String = name.nfd().collect();
    decomposed.to_uppercase().to_lowercase().nfd().collect()
}

/// Which of `added` have a twin among `all`: a file or folder whose name differs only in case or Unicode form, in the same
/// folder or in the folder's twin. `all` are a tree's paths, the added ones among them. What is added to a folder that was
/// there before is not blamed for the folder's twin.
pub fn twins<'a>(added: &[&'a [u8]], all: &[Vec<u8>]) -> BTreeMap<&'a [u8], String> {
    let mut found = BTreeMap::new();
    if added.is_empty() {
        return found;
    }
    let new: HashSet<&[u8]> = added.iter().copied().collect();
    let names = added.iter().flat_map(|path| with_folders(path));
    // By folded name: the names as they are written, and whether only what is new has them.
    let mut spellings: HashMap<String, BTreeMap<Cow<'_, str>, bool>> =
        names.map(|name| (fold(&name), BTreeMap::new())).collect();
    for path in all {
        let is_new = new.contains(path.as_slice());
        for name in with_folders(path) {
            if let Some(spellings) = spellings.get_mut(&fold(&name)) {
                *spellings.entry(name).or_insert(true) &= is_new;
            }
        }
    }
    for path in added {
        let twin = with_folders(path).find_map(|name| {
            let spellings = spellings.get(&fold(&name))?;
            let is_new = spellings.get(&name).copied().unwrap_or(true);
            let mut others = spellings.keys().filter(|other| **other != name);
            others
                .next()
                .filter(|_| is_new)
                .map(|twin| twin.clone().into_owned())
        });
        if let Some(twin) = twin {
            found.insert(*path, twin);
        }
    }
    found
}

/// A path and the folders that it lies in.
fn with_folders(path: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes
        .map(|(end, _)| end)
        .chain([path.len()])
        .map(|end| String::from_utf8_lossy(&path[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(added: &[&str], before: &[&str]) -> Vec<(String, String)> {
        let added: Vec<&[u8]> = added.iter().map(|path| path.as_bytes()).collect();
        let mut all: Vec<Vec<u8>> = before.iter().map(|path| path.as_bytes().to_vec()).collect();
        all.extend(added.iter().map(|path| path.to_vec()));
        let twins = twins(&added, &all).into_iter();
        twins
            .map(|(path, twin)| (String::from_utf8_lossy(path).into_owned(), twin))
            .collect()
    }

    #[test]
    fn twins_differ_in_case_or_form() {
        for (added, before, twin) in [
            ("readme.md", "README.md", "README.md"),
            ("cafe\u{301}.md", "caf\u{e9}.md", "caf\u{e9}.md"),
            ("stra\u{df}e", "STRASSE", "STRASSE"),
            ("Src/new.js", "src/a.js", "src"),
            ("SRC", "src/a.js", "src"),
            ("a/B/c", "a/b", "a/b"),
        ] {
            assert_eq!(
                found(&[added], &[before]),
                [(added.to_owned(), twin.to_owned())]
            );
        }
        for (added, before) in [
            ("src/new.js", "src/a.js"),
            ("readme.md", "docs/README.md"),
            ("readme.txt", "README.md"),
        ] {
            assert_eq!(found(&[added], &[before]), []);
        }
    }

    #[test]
    fn what_was_there_before_is_nobody_s_fault() {
        assert_eq!(found(&["c"], &["a", "A"]), []);
        assert_eq!(found(&["Src/new"], &["Src/a", "src/a"]), []);
        let both = found(&["x/a", "x/A"], &[]);
        assert_eq!(both.len(), 2, "{both:?}");
    }
}
