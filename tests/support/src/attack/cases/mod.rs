//! The attacks, a file for each kind.

mod dependencies;
mod escape;
mod gateway;
mod git;
mod leaks;
mod limits;
mod network;
mod quality;
mod scope;
mod secrets;
mod words;

use std::path::PathBuf;

use super::{
    case::{BROKE, Case, Sign},
    layer::Layer,
    targets::Targets,
};

/// What cases must know to be written.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The folder of everything.
    pub folder: PathBuf,
    /// The canary folder on the host.
    pub canary: PathBuf,
    /// The installation's data folder.
    pub data: PathBuf,
    /// What must not be reached.
    pub targets: Targets,
    /// Whether Sallyport runs as root.
    pub as_root: bool,
}

impl Ground {
    /// A case that changes the file at `path`, which the SPEC does not list. Where such files are root's, the change fails
    /// with `refusal`; elsewhere the diff shows it.
    fn kept(&self, case: Case, path: &str, refusal: &str) -> Case {
        match self.as_root {
            true => case
                .told(Layer::ReadOnly, refusal)
                .held_by(Layer::ReadOnly, Sign::DiffLacks(path.to_owned()))
                .or(Layer::Diff, Sign::Failure(path.to_owned())),
            false => case.out_of_scope(path),
        }
    }
}

/// All cases, each kind together.
#[must_use]
pub fn all(ground: &Ground) -> Vec<Case> {
    [
        network::cases(ground),
        secrets::cases(ground),
        escape::cases(ground),
        git::cases(ground),
        scope::cases(ground),
        dependencies::cases(ground),
        limits::cases(),
        quality::cases(ground),
        words::cases(ground),
        leaks::cases(),
        gateway::cases(),
    ]
    .concat()
}

/// A shell command that says so if `command` succeeds, and what went wrong otherwise.
fn try_to(command: &str) -> String {
    format!("if ( {command} ) 2>&1; then echo {BROKE}; else echo; echo 'it failed'; fi")
}

/// The same for a piece of Perl that is true if it succeeds; `$!` is shown otherwise.
fn try_perl(code: &str) -> String {
    format!("perl -e '(do {{ {code} }}) ? print \"{BROKE}\\n\" : print \"failed: $!\\n\"'")
}

/// A case that makes a system call, a piece of Perl that is true if it succeeds, which the filter must refuse.
fn refused_call(name: &'static str, tries: &'static str, code: &str) -> Case {
    let told = |text: &str| Sign::Told(format!("failed: {text}"));
    Case::new(name, tries)
        .bash(try_perl(code))
        .held_by(Layer::SystemCalls, told("Operation not permitted"))
        .or(Layer::Privileges, told("Operation not permitted"))
        .or(Layer::Privileges, told("Permission denied"))
}

/// The number of a system call, on the architectures that Sallyport runs on.
fn system_call(name: &str) -> u32 {
    let (x86_64, aarch64) = match name {
        "bpf" => (321, 280),
        "io_uring_setup" => (425, 425),
        "keyctl" => (250, 219),
        "mount" => (165, 40),
        "open_by_handle_at" => (304, 265),
        "perf_event_open" => (298, 241),
        "process_vm_readv" => (310, 270),
        "ptrace" => (101, 117),
        "setns" => (308, 268),
        "unshare" => (272, 97),
        "userfaultfd" => (323, 282),
        other => unreachable!("no case uses {other}"),
    };
    match cfg!(target_arch = "x86_64") {
        true => x86_64,
        false => aarch64,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn cases_have_names_of_their_own_and_say_what_holds_them() {
        let ground = Ground {
            folder: "/".into(),
            canary: "/canary".into(),
            data: "/data".into(),
            targets: Targets::nobody(),
            as_root: true,
        };
        let cases = all(&ground);
        assert!(cases.len() >= 60, "{}", cases.len());
        let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            assert!(!case.held.is_empty(), "{}", case.name);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(case.name.chars().all(plain), "{}", case.name);
        }
    }
}
