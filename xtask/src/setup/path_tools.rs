//! Tools that are already on this machine.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::unprivileged::Unprivileged;
use super::version::Version;

/// The oldest Postgres that the ledger's SQL runs on.
const OLDEST_POSTGRES: Version = Version(14, 0, 0);
/// The oldest Node.js that Pi and the demo's tests run on.
const OLDEST_NODE: Version = Version(24, 0, 0);
/// The first bytes of a program in machine code.
const MACHINE_CODE: [u8; 4] = *b"\x7fELF";

/// A tool found on `PATH` in a good version.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Its canonical path: the program, or for Postgres and Node the folder that the users of the tool want.
    pub path: PathBuf,
    /// What it reports.
    pub version: Version,
}

/// Temporal's command line, not older than `oldest`.
pub fn temporal(user: Unprivileged, oldest: Version) -> Option<Found> {
    real_programs("temporal").into_iter().find_map(|path| {
        let version = good_version(user, &path, oldest)?;
        Some(Found { path, version })
    })
}

/// The folder of Postgres's programs.
pub fn postgres(user: Unprivileged) -> Option<Found> {
    real_programs("postgres").into_iter().find_map(|program| {
        let dir = program.parent()?.to_owned();
        let complete = ["initdb", "pg_ctl"]
            .iter()
            .all(|name| is_executable(&dir.join(name)));
        let version = good_version(user, &program, OLDEST_POSTGRES)?;
        complete.then_some(Found { path: dir, version })
    })
}

/// The folder that has Node.js in `bin/node`.
pub fn node(user: Unprivileged) -> Option<Found> {
    real_programs("node").into_iter().find_map(|program| {
        let bin = program.parent().filter(|bin| bin.ends_with("bin"))?;
        let version = good_version(user, &program, OLDEST_NODE)?;
        Some(Found {
            path: bin.parent()?.to_owned(),
            version,
        })
    })
}

/// The version of `program`, if it runs as the user who will run it and is not older than `oldest`.
fn good_version(user: Unprivileged, program: &Path, oldest: Version) -> Option<Version> {
    // A program that does not run for that user is no error: then the pinned one is installed.
    user.version(program)
        .ok()
        .filter(|version| *version >= oldest)
}

/// All programs called `name` on `PATH`, as canonical paths, in the order of `PATH`.
///
/// Version managers put stand-ins on `PATH` that choose the real program by their own name, the folder or the
/// environment. Those fail in the sandbox, so scripts and links to something of another name are left out.
fn real_programs(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    real_programs_in(&folders, name)
}

fn real_programs_in(folders: &[PathBuf], name: &str) -> Vec<PathBuf> {
    let mut programs: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let Ok(program) = folder.join(name).canonicalize() else {
            continue;
        };
        let real = program.ends_with(name) && is_executable(&program) && is_machine_code(&program);
        if real && !programs.contains(&program) {
            programs.push(program);
        }
    }
    programs
}

/// The first program called `name` on `PATH`, as canonical path, whatever it is.
pub fn first(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| is_executable(program))
        .and_then(|program| program.canonicalize().ok())
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn is_machine_code(path: &Path) -> bool {
    let mut start = [0; 4];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == MACHINE_CODE
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

    use super::*;

    fn program(path: &Path, text: &[u8], mode: u32) {
        fs::create_dir_all(path.parent().expect("it has a folder"))
            .expect("the folder can be made");
        fs::write(path, text).expect("it can be written");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    }

    #[test]
    fn follows_links_and_leaves_out_stand_ins() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().canonicalize().expect("it is there");
        let code = b"\x7fELF and more";
        program(&dir.join("lib/15/bin/postgres"), code, 0o755);
        program(&dir.join("manager/chooser"), code, 0o755);
        program(&dir.join("script/postgres"), b"#!/bin/sh\n", 0o755);
        program(&dir.join("plain/postgres"), code, 0o644);
        for (folder, target) in [
            ("links", "lib/15/bin/postgres"),
            ("shims", "manager/chooser"),
        ] {
            fs::create_dir(dir.join(folder)).expect("it can be made");
            symlink(dir.join(target), dir.join(folder).join("postgres")).expect("it can be made");
        }
        let folders = ["shims", "script", "plain", "missing", "links", "lib/15/bin"]
            .map(|name| dir.join(name));
        assert_eq!(
            real_programs_in(&folders, "postgres"),
            vec![dir.join("lib/15/bin/postgres")]
        );
    }
}
