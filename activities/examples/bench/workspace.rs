//! How soon a large repository can be worked on, against a fresh clone, and how long a copy for another host takes.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use sallyport_activities::{
    leaks::{LARGEST_FILE, LeakCheck},
    mirror::Mirrors,
    sandbox::keep_read_only,
    scope::Scope,
    tools::Tools,
    workspace::{
        Workspace, checkout,
        snapshot::{self, Source},
    },
};
use sallyport_workflows::ticket::TicketKey;

use super::{folder, series::Series};

/// How often each thing is measured.
const RUNS: u64 = 3;

/// Makes a repository of `files` files, and prints how long the ways to it take.
pub async fn measure(_tools: &Tools, files: u32) -> anyhow::Result<()> {
    let folder = folder()?;
    let origin = folder.path().join("origin.git");
    let paths = write_repository(&origin, files)?;
    let url = format!("file://{}", origin.display());
    let [mut clone, mut first, mut again, mut ready, mut closed] =
        [(); 5].map(|()| Series::default());
    let [mut copied, mut restored] = [(); 2].map(|()| Series::default());
    let leaks = LeakCheck::new([], LARGEST_FILE);
    for run in 0..RUNS {
        let target = folder.path().join("clone");
        let began = Instant::now();
        git(&[
            "clone",
            "--quiet",
            "--no-local",
            &url,
            &target.display().to_string(),
        ])?;
        clone.add(began.elapsed());
        std::fs::remove_dir_all(&target)?;

        let mirrors = Mirrors::new(folder.path().join(format!("mirrors-{run}")));
        let began = Instant::now();
        let mirror = mirrors.fetch(&url).await?;
        first.add(began.elapsed());
        let began = Instant::now();
        mirrors.fetch(&url).await?;
        again.add(began.elapsed());

        let commit = mirror.head("main").await?;
        let ticket = TicketKey::first("flux-lens", format!("FL-{run}"));
        let workspace = Workspace::of(folder.path(), &ticket);
        let began = Instant::now();
        checkout::prepare(mirror.git(), &workspace, &commit).await?;
        ready.add(began.elapsed());
        let began = Instant::now();
        keep_read_only(&workspace.tree(), &paths)?;
        closed.add(began.elapsed());

        let source = Source {
            mirror: &mirror,
            workspace: &workspace,
            leaks: &leaks,
            base: &commit,
            head: &commit,
        };
        std::fs::write(workspace.tree().join("new.txt"), "new\n")?;
        let began = Instant::now();
        let copy = snapshot::take(source, &Scope::default()).await?;
        copied.add(began.elapsed());
        let began = Instant::now();
        snapshot::bring(&mirror, &workspace, &commit, &copy.bundle).await?;
        snapshot::lay_out(&mirror, &workspace).await?;
        restored.add(began.elapsed());
        checkout::remove(workspace.root()).await?;
    }
    println!("a repository of {files} files, {RUNS} runs each, in milliseconds\n");
    println!("{:<46} {:>9} {:>9} {:>9}", "", "median", "least", "95 %");
    for (name, times) in [
        ("git clone", clone),
        ("the host's mirror, made once", first),
        ("the mirror brought up to date, for each ticket", again),
        ("a workspace from the mirror", ready),
        ("its files kept read-only, for each run", closed),
        ("a copy of it, with one new file", copied),
        ("a workspace from the copy", restored),
    ] {
        println!("{name:<46} {}", times.cells());
    }
    Ok(())
}

/// A bare repository with one commit; answers its paths.
fn write_repository(origin: &Path, files: u32) -> anyhow::Result<Vec<Vec<u8>>> {
    let place = origin.display().to_string();
    git(&["init", "--quiet", "--bare", "--initial-branch=main", &place])?;
    let mut import = Command::new("git")
        .args(["-C", &place, "fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut paths = Vec::new();
    let input = import.stdin.take().context("git has no input")?;
    let mut input = std::io::BufWriter::new(input);
    let message = "data 1\nx\n";
    write!(
        input,
        "commit refs/heads/main\ncommitter Bench <bench@example.com> 1767000000 +0000\n{message}"
    )?;
    for number in 0..files {
        let path = format!(
            "part-{}/part-{}/file-{number}.txt",
            number % 50,
            number % 1000
        );
        let content = format!("file {number}\n").repeat(100);
        write!(
            input,
            "M 100644 inline {path}\ndata {}\n{content}\n",
            content.len()
        )?;
        paths.push(path.into_bytes());
    }
    input.flush()?;
    drop(input);
    ensure!(import.wait()?.success(), "git fast-import failed");
    Ok(paths)
}

fn git(arguments: &[&str]) -> anyhow::Result<()> {
    let done = Command::new("git").args(arguments).status()?;
    ensure!(done.success(), "git {arguments:?} failed");
    Ok(())
}
