//! Calling cargo.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One line of cargo's JSON output: only what we read of it.
#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// `cargo SUBCOMMAND` on the workspace in `root`.
///
/// The working directory stays as it is, so that a relative `CARGO_TARGET_DIR` means the same as it did for the cargo
/// that started us.
pub fn command(root: &Path, subcommand: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .arg(subcommand)
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"));
    command
}

/// Builds binaries, each given as (package, binary), with cargo's progress on the terminal. Returns the binaries' paths
/// by name, as cargo reports them, wherever the target folder is. Features are given as `package/feature`.
pub fn build(
    root: &Path,
    binaries: &[(&str, &str)],
    features: &[&str],
) -> Result<BTreeMap<String, PathBuf>> {
    let mut build = command(root, "build");
    build.arg("--message-format=json-render-diagnostics");
    for feature in features {
        build.args(["--features", feature]);
    }
    for (package, binary) in binaries {
        build.args(["--package", package, "--bin", binary]);
    }
    let mut child = build
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let output = child
        .stdout
        .take()
        .context("cargo's output is not there to be read")?;
    let mut built = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read cargo's output")?;
        built.extend(binary_of(&line));
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("`cargo build` failed ({status}); its messages stand above");
    }
    for (package, binary) in binaries {
        if !built.contains_key(*binary) {
            bail!("cargo built no binary `{binary}` in the package `{package}`");
        }
    }
    Ok(built)
}

/// The binary that one line of cargo's output reports, if it reports one.
fn binary_of(line: &str) -> Option<(String, PathBuf)> {
    // Build scripts may print lines that are not JSON.
    let message: Message = serde_json::from_str(line).ok()?;
    let target = message.target?;
    let is_binary =
        message.reason == "compiler-artifact" && target.kind.iter().any(|kind| kind == "bin");
    is_binary.then_some((target.name, message.executable?))
}

/// A program's exit code, to be passed on. A program ended by a signal counts as 1.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_binary_in_cargos_output() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"tool"},"executable":"/t/debug/tool"}"#;
        assert_eq!(
            binary_of(line),
            Some(("tool".into(), "/t/debug/tool".into()))
        );
    }

    #[test]
    fn skips_what_is_no_binary() {
        for line in [
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"tool"},"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"kind":["custom-build"],"name":"build-script-build"},"executable":"/t/b"}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "a line of a build script",
        ] {
            assert_eq!(binary_of(line), None, "{line}");
        }
    }
}
