//! bubblewrap, which makes the sealed room, and whether this machine lets it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::distribution::Distribution;
use super::python::on_machine;
use super::unprivileged::Unprivileged;
use super::version::Version;
use super::{path_tools, progress};
use crate::command;

/// The package's name everywhere.
const PACKAGE: &str = "bubblewrap";
/// The first one with `--disable-userns`, which keeps the agent from making namespaces of its own.
const OLDEST: Version = Version(0, 8, 0);

/// The path of bubblewrap. As root on Debian or Ubuntu it is installed if it lacks. It is tried before it is returned.
pub fn ensure(user: Unprivileged, root: bool) -> Result<PathBuf> {
    let distribution = Distribution::here();
    let (path, step) = match path_tools::first("bwrap") {
        Some(path) => (path, None),
        None if root && distribution.has_apt() => {
            let step = progress::begin(PACKAGE, "", "apt-get");
            (install()?, Some(step))
        }
        None => bail!(
            "bubblewrap is not on PATH; the agent runs only inside it. To install it: {}\nThen run this again.",
            distribution.install_command(&[PACKAGE])
        ),
    };
    let version = user.version(&path).context("bubblewrap does not run")?;
    if version < OLDEST {
        bail!(
            "{} is bubblewrap {version}; {OLDEST} or newer is needed. Debian has that since 12, Ubuntu since 24.04.",
            path.display()
        );
    }
    try_rooms(user, &path)?;
    match step {
        Some(step) => step.done(),
        None => progress::found(PACKAGE, &version.to_string(), &on_machine(&path)),
    }
    Ok(path)
}

/// Installs it with apt-get. The package lists are fetched only if it is not found without.
fn install() -> Result<PathBuf> {
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command::capture(&mut apt)
    };
    let arguments = ["install", "-y", "--no-install-recommends", PACKAGE];
    if apt(&arguments).is_err() {
        let updated = apt(&["update"]);
        if let Err(error) = apt(&arguments) {
            let lists = updated
                .err()
                .map(|error| format!("{error:#}\n"))
                .unwrap_or_default();
            bail!(
                "cannot install bubblewrap.\n{lists}{error:#}\nInstall it by hand, then run this again."
            );
        }
    }
    path_tools::first("bwrap").context("bubblewrap was installed, but there is no `bwrap` on PATH")
}

/// Makes a room in a room, as the agent's and its commands' will be, as the user that will make them.
fn try_rooms(user: Unprivileged, bwrap: &Path) -> Result<()> {
    let walls = [
        "--unshare-user",
        "--unshare-all",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
    ];
    let inside = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"];
    let mut rooms = user.command(bwrap);
    rooms.args(walls).args(inside).arg("--").arg(bwrap);
    rooms
        .args(walls)
        .arg("--disable-userns")
        .args(inside)
        .args(["--", "/bin/true"]);
    let output = command::run(&mut rooms)?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "bubblewrap cannot make a sandbox on this machine.\n{}\n{}\nThen run this again.",
        command::failure(&rooms, &output),
        advice(&|setting| std::fs::read_to_string(format!("/proc/sys/{setting}")).ok())
    )
}

/// What to do, judged by the kernel's settings.
fn advice(setting: &dyn Fn(&str) -> Option<String>) -> &'static str {
    let is = |name: &str, value: &str| setting(name).is_some_and(|text| text.trim() == value);
    if is("kernel/unprivileged_userns_clone", "0") {
        "The kernel forbids user namespaces to ordinary users. \
         To allow them: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    } else if is("user/max_user_namespaces", "0") {
        "The kernel allows no user namespaces. To allow them: sudo sysctl -w user.max_user_namespaces=15000"
    } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor forbids user namespaces to programs without a profile. Give bwrap a profile that allows `userns`, \
         or for all programs: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    } else {
        "The kernel's settings allow user namespaces, so something around this process forbids them. Inside a Docker \
         container, start that with: --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
         --security-opt systempaths=unconfined"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice_for(name: &'static str, value: &'static str) -> &'static str {
        advice(&move |asked| (asked == name).then(|| format!("{value}\n")))
    }

    #[test]
    fn each_reason_has_its_own_advice() {
        for (name, value, command) in [
            (
                "kernel/unprivileged_userns_clone",
                "0",
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                "user/max_user_namespaces",
                "0",
                "user.max_user_namespaces=15000",
            ),
            (
                "kernel/apparmor_restrict_unprivileged_userns",
                "1",
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
        ] {
            assert!(advice_for(name, value).contains(command), "{name}");
        }
        assert!(advice_for("kernel/unprivileged_userns_clone", "1").contains("Docker"));
    }
}
