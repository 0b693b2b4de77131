//! What the facts mean, and what to do. Looks at nothing itself.

use std::path::Path;

use sallyport_activities::sandbox::EngineName;

use super::{
    facts::{Disk, Facts, Probe},
    limits,
    report::{Check, Report},
};

/// Less free space than one workspace may take is told.
const LITTLE_SPACE: u64 = 4 << 30;

/// With less, not even a checkout is sure to fit.
const NO_SPACE: u64 = 512 << 20;

/// Judges `facts`.
pub fn judge(facts: &Facts) -> Report {
    let works = matches!(facts.rooms, Probe::Works);
    let (checks, limits) = match facts.engine {
        EngineName::Bubblewrap => (
            vec![
                user(facts),
                programs(facts),
                user_namespaces(facts),
                rooms(facts),
                cgroups(&facts.cgroups),
                tools(facts),
                disk(&facts.disk),
            ],
            limits::of_bubblewrap(facts.cgroups.is_ok()),
        ),
        EngineName::Docker => (
            vec![user(facts), rooms(facts), tools(facts), disk(&facts.disk)],
            limits::of_docker(),
        ),
    };
    Report {
        engine: engine(facts),
        works,
        checks,
        limits,
    }
}

fn user(facts: &Facts) -> Check {
    const NAME: &str = "user";
    if facts.uid == 0 {
        let found = format!(
            "root; rooms run as uid {}, and files outside a ticket's scope are read-only in them",
            facts.room_uid
        );
        return Check::ok(NAME, found);
    }
    let found = format!(
        "uid {}; rooms run as the same, so a file outside a ticket's scope can be written in them: only the diff keeps it out",
        facts.uid
    );
    Check::ok(NAME, found)
}

fn programs(facts: &Facts) -> Check {
    let (found, missing): (Vec<_>, Vec<_>) =
        facts.programs.iter().partition(|program| program.found);
    let names = |programs: &[&super::facts::Program]| {
        let names: Vec<&str> = programs.iter().map(|program| program.name).collect();
        names.join(", ")
    };
    if missing.is_empty() {
        return Check::ok("programs", names(&found));
    }
    let mut packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
    packages.dedup();
    Check::failed("programs", format!("missing: {}", names(&missing)))
        .remedy([facts.distribution.install(&packages)])
}

fn user_namespaces(facts: &Facts) -> Check {
    const NAME: &str = "user namespaces";
    let (kernel, sudo) = (&facts.kernel, facts.distribution.sudo());
    let works = matches!(facts.rooms, Probe::Works);
    let is = |setting: &Option<String>, value: &str| setting.as_deref() == Some(value);
    let turn = |setting: &str, value: &str| {
        [
            format!("{sudo}sysctl -w {setting}={value}"),
            format!(
                "to keep it: echo '{setting} = {value}' | {sudo}tee /etc/sysctl.d/60-sallyport.conf"
            ),
        ]
    };
    if is(&kernel.unprivileged_userns_clone, "0") {
        return Check::failed(
            NAME,
            "forbidden to ordinary users (kernel.unprivileged_userns_clone = 0)",
        )
        .remedy(turn("kernel.unprivileged_userns_clone", "1"));
    }
    if is(&kernel.max_user_namespaces, "0") {
        return Check::failed(NAME, "none allowed (user.max_user_namespaces = 0)")
            .remedy(turn("user.max_user_namespaces", "15000"));
    }
    if is(&kernel.apparmor_restrict_unprivileged_userns, "1") {
        if works {
            return Check::ok(NAME, "restricted by AppArmor, and bubblewrap is exempt");
        }
        let bwrap = facts
            .bwrap
            .as_deref()
            .unwrap_or(Path::new("/usr/bin/bwrap"));
        return Check::failed(
            NAME,
            "AppArmor keeps them from bubblewrap (kernel.apparmor_restrict_unprivileged_userns = 1)",
        )
        .remedy(apparmor_profile(bwrap, kernel.bwrap_userns_restrict, sudo));
    }
    let most = match &kernel.max_user_namespaces {
        Some(most) => format!("allowed, {most} at most"),
        None => "allowed".to_owned(),
    };
    if let (false, Probe::Fails(_)) = (works, &facts.rooms) {
        return Check::warning(NAME, format!("{most}, by the kernel's settings")).remedy([
            "If no room can be made, something around this process forbids it. Start a container around it with:",
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined",
        ]);
    }
    Check::ok(NAME, format!("{most} (Linux {})", kernel.release))
}

/// A profile that lets bubblewrap make namespaces. It stays with all that bubblewrap starts, so that an agent's room can
/// start rooms within.
fn apparmor_profile(bwrap: &Path, restricted: bool, sudo: &str) -> Vec<String> {
    const NAME: &str = "sallyport-bwrap";
    let mut lines = vec!["Give bubblewrap a profile that allows them:".to_owned()];
    if restricted {
        // Two profiles for one program exclude each other, and that one allows only one layer of rooms.
        lines.push(format!(
            "{sudo}ln -s /etc/apparmor.d/bwrap-userns-restrict /etc/apparmor.d/disable/ && {sudo}apparmor_parser -R /etc/apparmor.d/bwrap-userns-restrict"
        ));
    }
    lines.extend([
        format!(
            r"printf 'abi <abi/4.0>,\ninclude <tunables/global>\nprofile {NAME} {} flags=(unconfined) {{\n  userns,\n}}\n' | {sudo}tee /etc/apparmor.d/{NAME}",
            bwrap.display()
        ),
        format!("{sudo}apparmor_parser -r /etc/apparmor.d/{NAME}"),
        format!("Or allow them to all programs: {sudo}sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
    ]);
    lines
}

fn engine(facts: &Facts) -> &'static str {
    match facts.engine {
        EngineName::Bubblewrap => "bubblewrap",
        EngineName::Docker => "docker",
    }
}

fn rooms(facts: &Facts) -> Check {
    let name = engine(facts);
    match &facts.rooms {
        Probe::Works => Check::ok(
            name,
            "a sealed room was made, and another one from within an agent's",
        ),
        Probe::Fails(reason) => Check::failed(name, reason),
        Probe::NotTried(reason) => Check::failed(name, format!("not tried: {reason}")),
    }
}

fn cgroups(cgroups: &Result<String, String>) -> Check {
    const NAME: &str = "cgroups";
    match cgroups {
        Ok(limited) => Check::ok(NAME, limited),
        Err(reason) => Check::warning(NAME, format!("none for rooms: {reason}")).remedy([
            "Rooms work all the same; but memory is limited for each process alone, and not for a room.",
            "If the worker is a service of systemd, give it: Delegate=yes and DelegateSubgroup=worker",
        ]),
    }
}

fn tools(facts: &Facts) -> Check {
    const NAME: &str = "tools";
    const SETUP: &str = "in Sallyport's checkout: cargo xtask setup";
    match &facts.tools {
        Err(reason) => Check::failed(NAME, reason).remedy([SETUP]),
        Ok(tools) => {
            let missing: Vec<String> = tools
                .iter()
                .filter(|tool| !tool.found)
                .map(|tool| format!("{} ({})", tool.name, tool.path.display()))
                .collect();
            if missing.is_empty() {
                let names: Vec<&str> = tools.iter().map(|tool| tool.name).collect();
                let list = facts.manifest.display();
                return Check::ok(NAME, format!("{}, by {list}", names.join(", ")));
            }
            Check::failed(NAME, format!("missing: {}", missing.join(", "))).remedy([SETUP])
        }
    }
}

fn disk(disk: &Disk) -> Check {
    const NAME: &str = "disk";
    let folder = disk.folder.display();
    let Some(free) = disk.free else {
        return Check::warning(NAME, format!("cannot tell how much is free for {folder}"));
    };
    let found = format!(
        "{} MiB free for {folder}",
        sallyport_workflows::text::grouped(free >> 20)
    );
    let remedy =
        "Make room, or choose another folder with `data_dir`: mirrors and workspaces go there.";
    if free < NO_SPACE {
        Check::failed(NAME, found).remedy([remedy])
    } else if free < LITTLE_SPACE {
        Check::warning(NAME, found).remedy([remedy])
    } else {
        Check::ok(NAME, found)
    }
}
