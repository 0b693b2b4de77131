//! Running other programs, and telling well what went wrong with them.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// How many of a failed program's last lines go into the error.
const LINES_SHOWN: usize = 30;

/// A command that runs `program` and is killed when we are: nothing goes on writing into a folder that the next run
/// takes. Only for programs that may be killed at any time.
pub fn tied(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs `command` without a terminal and gives back its standard output.
///
/// Nothing is shown while it runs. An error carries the command line and the last lines that the program wrote.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    if !output.status.success() {
        bail!("{}", failure(command, &output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As [`capture`], and an error ends with what to do next.
pub fn capture_or_advise(command: &mut Command, advice: &str) -> Result<String> {
    capture(command).map_err(|error| anyhow!("{error:#}\n{advice}"))
}

/// Runs `command` without a terminal and gives back what came of it, success or not.
pub fn run(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null());
    command
        .output()
        .with_context(|| format!("cannot start `{}`", line(command)))
}

/// The command and what it said, for an error.
pub fn failure(command: &Command, output: &Output) -> String {
    let said = [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
        .join("\n");
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
    let said = if shown.is_empty() {
        "  (it printed nothing)".to_owned()
    } else {
        shown
            .iter()
            .map(|line| format!("  | {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    format!("`{}` failed ({}):\n{said}", line(command), output.status)
}

/// The command as one line, for people.
fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_the_command_and_its_last_lines() {
        let script = "for i in $(seq 1 50); do echo line $i; done; echo it broke >&2; exit 3";
        let error = capture(Command::new("sh").args(["-c", script])).expect_err("the script fails");
        let text = error.to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("| it broke"), "{text}");
        assert!(text.contains("| line 50"), "{text}");
        assert!(!text.contains("| line 1\n"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error =
            capture(&mut Command::new("no-such-program-here")).expect_err("it does not exist");
        assert!(format!("{error:#}").contains("cannot start `no-such-program-here`"));
    }
}
