//! A case's repository: a few files and whatever the case adds, which a working git would not let anybody add.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, ensure};

use super::case::Case;
use crate::demo_repository::{clean_git, output};

/// Writes the repository of `case` to `folder/origin.git`.
///
/// # Errors
/// If git says so.
pub fn write(case: &Case, folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let origin = folder.join("origin.git");
    output(
        clean_git()
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&origin),
    )?;
    let settings = match case.settings.contains("[[gates]]") {
        true => case.settings.clone(),
        false => format!(
            "{}\n[[gates]]\nname = \"Check\"\ncommand = \"sh check.sh\"\nrequired = true\ntimeout_seconds = 60\n",
            case.settings
        ),
    };
    let usual = [
        ("100644", ".sallyport.toml", settings),
        ("100644", ".gitignore", "build/\n".to_owned()),
        ("100644", "README.md", "# plain\n\nA library.\n".to_owned()),
        (
            "100644",
            "check.sh",
            "grep -q library README.md\n".to_owned(),
        ),
        (
            "100644",
            "src/app.js",
            "export const answer = 42;\n".to_owned(),
        ),
        (
            "100644",
            "src/other.js",
            "export const other = 1;\n".to_owned(),
        ),
    ];
    let theirs = case.files.iter().cloned();
    let mut stream =
        b"commit refs/heads/main\ncommitter Demo <demo@example.com> 1767000000 +0000\n".to_vec();
    stream.extend(data(b"The beginning"));
    let is_theirs = |path: &str| case.files.iter().any(|file| file.1 == path);
    for (mode, path, content) in usual
        .into_iter()
        .filter(|file| !is_theirs(file.1))
        .chain(theirs)
    {
        if mode == "160000" {
            stream.extend(format!("M 160000 {content} {path}\n").into_bytes());
            continue;
        }
        stream.extend(format!("M {mode} inline {path}\n").into_bytes());
        stream.extend(data(content.as_bytes()));
    }
    let mut import = clean_git()
        .arg("--git-dir")
        .arg(&origin)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run git")?;
    import
        .stdin
        .take()
        .context("git has no input")?
        .write_all(&stream)?;
    let done = import.wait_with_output()?;
    ensure!(
        done.status.success(),
        "git fast-import of {}: {}",
        case.name,
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(origin)
}

fn data(content: &[u8]) -> Vec<u8> {
    [
        format!("data {}\n", content.len()).as_bytes(),
        content,
        b"\n",
    ]
    .concat()
}

/// The largest file that may be pushed, in bytes.
const LARGEST: u64 = 5 << 20;

/// What the branches of tickets have that nobody approved: files that are not in `scope`, and very large ones.
///
/// # Errors
/// If git says so.
pub fn unapproved(origin: &Path, scope: &[&str]) -> anyhow::Result<Vec<String>> {
    let git = |arguments: &[&str]| output(clean_git().arg("--git-dir").arg(origin).args(arguments));
    let mut found = Vec::new();
    for branch in git(&[
        "for-each-ref",
        "--format=%(refname)",
        "refs/heads/sallyport",
    ])?
    .lines()
    {
        let changed = git(&["diff-tree", "-r", "-z", "--name-only", "main", branch])?;
        for path in changed.split('\0').filter(|path| !path.is_empty()) {
            if !scope.contains(&path) {
                found.push(format!("{path:?} is on the branch, and nobody approved it"));
            }
        }
        for line in git(&["ls-tree", "-r", "--format=%(objectsize) %(path)", branch])?.lines() {
            let size = line.split(' ').next().and_then(|size| size.parse().ok());
            if size.is_some_and(|size: u64| size > LARGEST) {
                found.push(format!("a very large file is on the branch: {line}"));
            }
        }
    }
    Ok(found)
}

/// All that a repository holds: every object, whatever refers to it, and the names of all refs.
///
/// # Errors
/// If git says so.
pub fn everything(origin: &Path) -> anyhow::Result<Vec<u8>> {
    let git = |arguments: &[&str]| -> anyhow::Result<Vec<u8>> {
        let done = clean_git()
            .arg("--git-dir")
            .arg(origin)
            .args(arguments)
            .output()?;
        ensure!(done.status.success(), "git {arguments:?} failed");
        Ok(done.stdout)
    };
    let mut all = git(&["cat-file", "--batch", "--batch-all-objects", "--buffer"])?;
    all.extend(git(&["for-each-ref"])?);
    Ok(all)
}

/// All objects in a git bundle, in plain; nothing if `content` is none. What it builds on is taken from the mirrors below
/// `data`.
///
/// # Errors
/// If git says so.
pub fn bundled(content: &[u8], data: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    if !content.starts_with(b"# v") {
        return Ok(None);
    }
    let end = content.windows(2).position(|two| two == b"\n\n");
    let pack = &content[end.context("a bundle without a pack")? + 2..];
    let folder = tempfile::tempdir()?;
    let repository = folder.path().join("bundled.git");
    let git = |arguments: &[&str], input: &[u8]| -> anyhow::Result<Vec<u8>> {
        let mut command = clean_git();
        command.arg("--git-dir").arg(&repository).args(arguments);
        fed(command, input)
    };
    git(&["init", "--quiet", "--bare"], b"")?;
    let mut mirrors = String::new();
    for mirror in std::fs::read_dir(data.join("mirrors"))? {
        let mirror = mirror?.path();
        // One that is being made goes by this name, and will soon go by another.
        let is_made = mirror
            .extension()
            .is_none_or(|extension| extension != "new");
        let objects = mirror.join("objects");
        if is_made && objects.is_dir() {
            mirrors.push_str(&format!("{}\n", objects.display()));
        }
    }
    std::fs::write(repository.join("objects/info/alternates"), mirrors)?;
    git(&["index-pack", "--stdin", "--fix-thin"], pack)?;
    let mut ids = String::new();
    for file in std::fs::read_dir(repository.join("objects/pack"))? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "idx") {
            let list = git(&["show-index"], &std::fs::read(file)?)?;
            for line in String::from_utf8(list)?.lines() {
                ids.extend(line.split(' ').nth(1).map(|id| format!("{id}\n")));
            }
        }
    }
    git(&["cat-file", "--batch", "--buffer"], ids.as_bytes()).map(Some)
}

/// Runs `command` with `input` and answers its output.
fn fed(mut command: std::process::Command, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("it has an input")?;
    let done = std::thread::scope(|threads| {
        threads.spawn(move || stdin.write_all(input));
        child.wait_with_output()
    })?;
    ensure!(done.status.success(), "{command:?} failed");
    Ok(done.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_seen_through() {
        let folder = tempfile::tempdir().unwrap();
        let mirrors = folder.path().join("mirrors");
        let mirror = mirrors.join("m.git");
        let git = |arguments: &[&str], input: &[u8]| {
            let mut command = clean_git();
            command.arg("--git-dir").arg(&mirror).args(arguments);
            fed(command, input).unwrap()
        };
        std::fs::create_dir(&mirrors).unwrap();
        git(&["init", "--quiet", "--bare"], b"");
        let commit = |name: &str, from: &str, text: &str| {
            let head = format!("commit refs/heads/{name}\ncommitter <> 0 +0000\ndata 0\n{from}");
            let file = format!("M 644 inline file\ndata {}\n{text}\n", text.len());
            git(&["fast-import", "--quiet"], (head + &file).as_bytes());
        };
        let line = "a line that is there again and again\n".repeat(50);
        commit("base", "", &line);
        commit("new", "from refs/heads/base\n", &format!("{line}canary"));
        let bundle = git(&["bundle", "create", "--quiet", "-", "new", "^base"], b"");
        assert!(memchr::memmem::find(&bundle, b"canary").is_none());
        let seen = bundled(&bundle, folder.path()).unwrap().unwrap();
        assert!(memchr::memmem::find(&seen, b"canary").is_some());
        assert_eq!(bundled(b"no bundle", folder.path()).unwrap(), None);
    }
}
