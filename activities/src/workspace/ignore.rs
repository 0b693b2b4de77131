//! The base commit's `.gitignore` files as one list of rules.
//!
//! An agent can write `.gitignore` files, and one that ignores itself would hide whatever the agent likes. So the rules
//! that count are those of the base commit, read from the mirror, and git is told to look at no others. Since it then
//! looks at one list instead of one file in each folder, each rule is written out for its folder.

use crate::{
    git::Git,
    mirror::{Mirror, MirrorError},
    setup::HOME,
};

/// The name of the files with rules.
const NAME: &str = ".gitignore";

/// The largest file of rules that is read.
const LIMIT: u64 = 256 << 10;

/// The rules that hold at `commit`, for git's `--exclude-from`.
pub async fn rules(mirror: &Mirror, commit: &str) -> Result<Vec<u8>, MirrorError> {
    let mut folders: Vec<String> = mirror
        .files(commit)
        .await?
        .into_iter()
        .filter_map(|file| match file.path.rsplit_once('/') {
            Some((folder, NAME)) => Some(format!("{folder}/")),
            None if file.path == NAME => Some(String::new()),
            _ => None,
        })
        .collect();
    // The last rule that fits counts, and a folder's own rules go before those above it.
    folders.sort_by_key(|folder| folder.matches('/').count());
    // The first rule, so that it is the weakest: what the base has to say counts more.
    let mut rules = format!("/{HOME}/\n").into_bytes();
    for folder in folders {
        let path = format!("{folder}{NAME}");
        if let Some(content) = mirror.read(commit, &path, LIMIT).await? {
            for line in content.split(|byte| *byte == b'\n') {
                if let Some(rule) = in_folder(&folder, line) {
                    rules.extend(rule);
                    rules.push(b'\n');
                }
            }
        }
    }
    Ok(rules)
}

/// The files below `tree` that are neither in `index` nor ignored by `rules`, a file with such rules. A folder that is a
/// repository of its own comes as its path with `/` behind it.
pub(crate) async fn untracked(
    git: &Git,
    index: &std::path::Path,
    tree: &std::path::Path,
    rules: &std::path::Path,
) -> Result<Vec<Vec<u8>>, crate::git::GitError> {
    let mut from = std::ffi::OsString::from("--exclude-from=");
    from.push(rules);
    let list = git
        .run("ls-files")
        .index(index)
        .work_tree(tree)
        .arguments(["-z", "--others"])
        .argument(from)
        .output()
        .await?;
    Ok(list
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

/// `line` of the `.gitignore` in `folder` (empty, or with `/` at its end) as a rule for the top folder.
fn in_folder(folder: &str, line: &[u8]) -> Option<Vec<u8>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() || line.starts_with(b"#") {
        return None;
    }
    if folder.is_empty() {
        return Some(line.to_vec());
    }
    let (negation, pattern) = match line.strip_prefix(b"!") {
        Some(pattern) => (&b"!"[..], pattern),
        None => (&b""[..], line),
    };
    // Spaces at the end mean nothing, unless escaped; git strips them itself, but they must not count as a pattern.
    let visible = pattern.iter().rposition(|byte| *byte != b' ')? + 1;
    let without_end = pattern[..visible]
        .strip_suffix(b"/")
        .unwrap_or(&pattern[..visible]);
    // With a slash before its end a pattern is bound to its folder; without one it holds at every depth below.
    let bound = without_end.contains(&b'/');
    let pattern = pattern.strip_prefix(b"/").unwrap_or(pattern);
    let depth = if bound { "" } else { "**/" };
    let mut rule = negation.to_vec();
    rule.push(b'/');
    rule.extend(escaped(folder).bytes());
    rule.extend(depth.bytes());
    rule.extend(pattern);
    Some(rule)
}

fn escaped(folder: &str) -> String {
    let mut text = String::with_capacity(folder.len());
    for letter in folder.chars() {
        if matches!(letter, '*' | '?' | '[' | '\\' | ']') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{mirror::Mirrors, testing::Origin, workspace::checkout::read_tree};

    #[test]
    fn rules_are_written_out_for_their_folder() {
        let rule = |folder: &str, line: &str| {
            in_folder(folder, line.as_bytes()).map(|rule| String::from_utf8(rule).unwrap())
        };
        for (folder, line, expected) in [
            ("", "build/", Some("build/")),
            ("", "# note", None),
            ("a/", "", None),
            ("a/", "   ", None),
            ("a/", "*.log", Some("/a/**/*.log")),
            ("a/", "out/", Some("/a/**/out/")),
            ("a/", "/out", Some("/a/out")),
            ("a/", "x/y", Some("/a/x/y")),
            ("a/", "!keep.log\r", Some("!/a/**/keep.log")),
            ("a[1]/", "x", Some("/a\\[1\\]/**/x")),
        ] {
            assert_eq!(rule(folder, line).as_deref(), expected, "{folder} {line}");
        }
    }

    #[tokio::test]
    async fn git_agrees_with_the_rules_and_ignores_the_agent_s_own() {
        let origin = Origin::new(&[
            (".gitignore", "*.log\nbuild/\n"),
            ("a/.gitignore", "!keep.log\n/out\nlocal/deep\n"),
            ("a/b/x.js", ""),
        ])
        .await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path().join("m"))
            .fetch(origin.url())
            .await
            .unwrap();
        let commit = mirror.head("main").await.unwrap();
        let (tree, index, rules_file) = (
            folder.path().join("tree"),
            folder.path().join("index"),
            folder.path().join("rules"),
        );
        read_tree(mirror.git(), &index, &commit).await.unwrap();
        for file in [
            "x.log",
            "a/x.log",
            "a/keep.log",
            "keep.log",
            "a/b/keep.log",
            "build/x",
            "a/build/x",
            "a/out",
            "out",
            "a/b/out",
            "a/local/deep",
            "local/deep",
            "a/b/local/deep",
            "hidden/.gitignore",
            "hidden/file",
        ] {
            fs::create_dir_all(tree.join(file).parent().unwrap()).unwrap();
            fs::write(tree.join(file), "*\n").unwrap();
        }
        let list = rules(&mirror, &commit).await.unwrap();
        fs::write(&rules_file, list).unwrap();
        let found = untracked(mirror.git(), &index, &tree, &rules_file)
            .await
            .unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|path| str::from_utf8(path).unwrap())
            .collect();
        assert_eq!(
            found,
            [
                "a/b/keep.log",
                "a/b/local/deep",
                "a/b/out",
                "a/keep.log",
                "hidden/.gitignore",
                "hidden/file",
                "local/deep",
                "out",
            ]
        );
    }
}
