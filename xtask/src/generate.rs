//! What is generated and committed: the facts about the ledger's queries in `.sqlx/`, without which it could not be
//! built where there is no database; `docs/states.md`, the table of states as people read it; `docs/openapi.json`, the
//! API's description.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::{cargo, checkout, setup};

/// The program that runs a Postgres with our migrations, as (package, binary).
const POSTGRES: (&str, &str) = ("sallyport-test-support", "scratch-postgres");

/// Files by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Writes all of it anew, or with `check` only says whether it is as it would be written.
pub fn run(check: bool) -> Result<ExitCode> {
    // First: without it, what the documents are made of may not compile.
    let queries = queries(check)?;
    let states = document("docs/states.md", "sallyport-workflows", "states", check)?;
    let openapi = document("docs/openapi.json", "sallyport-starter", "openapi", check)?;
    let all = [queries, states, openapi];
    let failed = all.into_iter().find(|code| *code != ExitCode::SUCCESS);
    Ok(failed.unwrap_or(ExitCode::SUCCESS))
}

/// A document that an example program prints.
fn document(file: &str, package: &str, name: &str, check: bool) -> Result<ExitCode> {
    let root = checkout::root()?;
    let mut example = cargo::command(&root, "run");
    example.args(["--quiet", "--package", package, "--example", name]);
    let output = example
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("{file} cannot be generated; see the errors above");
    }
    let path = root.join(file);
    if fs::read(&path).is_ok_and(|committed| committed == output.stdout) {
        println!("{file} is as it should be");
        return Ok(ExitCode::SUCCESS);
    }
    if check {
        eprintln!(
            "error: {file} does not fit the code it is made of; run `cargo xtask generate` and commit it"
        );
        return Ok(ExitCode::FAILURE);
    }
    fs::write(&path, output.stdout).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{file} is written");
    Ok(ExitCode::SUCCESS)
}

/// `.sqlx/`.
fn queries(check: bool) -> Result<ExitCode> {
    let tools = setup::run()?;
    let root = checkout::root()?;
    let built = cargo::build(&root, &[POSTGRES], &[])?;
    let mut postgres = Command::new(&built[POSTGRES.1])
        .arg(root.join("migrations"))
        .env("SALLYPORT_TOOLS", &tools)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start Postgres")?;
    let facts = root.join("target").join("sqlx");
    let generated = address(&mut postgres).and_then(|url| query_facts(&root, &url, &facts));
    // It stops when its input ends.
    drop(postgres.stdin.take());
    postgres.wait().context("Postgres does not stop")?;
    let (generated, committed) = (generated?, read(&root.join(".sqlx"))?);
    if generated == committed {
        println!(".sqlx is as it should be: {} queries", generated.len());
        return Ok(ExitCode::SUCCESS);
    }
    if check {
        eprintln!(
            "error: .sqlx does not fit the queries and migrations; run `cargo xtask generate` and commit .sqlx"
        );
        return Ok(ExitCode::FAILURE);
    }
    write(&root.join(".sqlx"), &generated, &committed)?;
    println!(".sqlx is written: {} queries", generated.len());
    Ok(ExitCode::SUCCESS)
}

fn address(postgres: &mut Child) -> Result<String> {
    let output = postgres.stdout.take().context("Postgres has no output")?;
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url)?;
    if url.trim().is_empty() {
        bail!("Postgres did not start; see what it said above");
    }
    Ok(url.trim().to_owned())
}

/// Lets sqlx's macros look at the database, and collects what they write down.
fn query_facts(root: &Path, url: &str, folder: &Path) -> Result<Files> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Cargo does not see that the environment changed.
    let library = root.join("ledger/src/lib.rs");
    let file = fs::File::options().append(true).open(&library);
    file.and_then(|file| file.set_modified(std::time::SystemTime::now()))
        .with_context(|| format!("cannot touch {}", library.display()))?;
    let mut check = cargo::command(root, "check");
    check
        .args(["--package", "sallyport-ledger"])
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", folder)
        .env("DATABASE_URL", url);
    if !check.status().context("cannot start cargo")?.success() {
        bail!("the ledger's queries do not fit the migrations; see the errors above");
    }
    read(folder)
}

fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(files)
}

fn write(folder: &Path, generated: &Files, committed: &Files) -> Result<()> {
    fs::create_dir_all(folder)?;
    for name in committed
        .keys()
        .filter(|name| !generated.contains_key(*name))
    {
        fs::remove_file(folder.join(name))?;
    }
    for (name, content) in generated {
        fs::write(folder.join(name), content)
            .with_context(|| format!("cannot write {}", folder.join(name).display()))?;
    }
    Ok(())
}
