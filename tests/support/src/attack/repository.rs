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
