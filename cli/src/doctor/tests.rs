//! Machines as they can be described, and what is said of them.

use std::path::{Path, PathBuf};

use sallyport_activities::sandbox::{EngineConfig, EngineName};

use super::{
    distribution::Distribution,
    facts::{Disk, Facts, Kernel, Probe, Program, Tool},
    judge::judge,
    report::{Report, Verdict},
};
use crate::terminal::Painter;

/// An Ubuntu on which all is well.
fn ubuntu() -> Facts {
    let program = |name, package| Program {
        name,
        package,
        found: true,
    };
    let tool = |name| Tool {
        name,
        path: PathBuf::from(format!("/srv/.tools/{name}")),
        found: true,
    };
    Facts {
        uid: 1000,
        room_uid: 1000,
        distribution: Distribution::parse("ID=ubuntu\nID_LIKE=debian\n", false),
        kernel: Kernel {
            release: "6.8.0-45-generic".into(),
            unprivileged_userns_clone: Some("1".into()),
            apparmor_restrict_unprivileged_userns: Some("0".into()),
            max_user_namespaces: Some("127235".into()),
            bwrap_userns_restrict: false,
        },
        programs: vec![
            program("git", "git"),
            program("bwrap", "bubblewrap"),
            program("prlimit", "util-linux"),
            program("choom", "util-linux"),
        ],
        bwrap: Some("/usr/bin/bwrap".into()),
        engine: EngineName::Bubblewrap,
        rooms: Probe::Works,
        cgroups: Ok("version 2: memory, processes, CPU of a room together".into()),
        manifest: "/srv/.tools/tools.json".into(),
        tools: Ok(["Postgres", "Node", "Pi", "Temporal"].map(tool).into()),
        disk: Disk {
            folder: "/srv/.sallyport".into(),
            free: Some(80 << 30),
        },
    }
}

fn restricted() -> Facts {
    let mut facts = ubuntu();
    facts.kernel.apparmor_restrict_unprivileged_userns = Some("1".into());
    facts.rooms = Probe::Fails(
        "the sandbox could not be set up: bwrap: setting up uid map: Permission denied".into(),
    );
    facts
}

fn found<'a>(report: &'a Report, name: &str) -> &'a super::report::Check {
    report
        .checks
        .iter()
        .find(|check| check.name == name)
        .unwrap()
}

#[test]
fn a_machine_where_all_is_well() {
    let report = judge(&ubuntu());
    assert!(report.works);
    assert!(
        report
            .checks
            .iter()
            .all(|check| check.verdict == Verdict::Ok)
    );
    insta::assert_snapshot!(report.text(Painter::plain()));
}

#[test]
fn an_ubuntu_that_keeps_namespaces_from_bubblewrap_is_told_how_to_allow_them() {
    let report = judge(&restricted());
    assert!(!report.works);
    insta::assert_snapshot!(report.text(Painter::plain()));

    let mut newer = restricted();
    newer.kernel.bwrap_userns_restrict = true;
    let remedy = found(&judge(&newer), "user namespaces").remedy.join("\n");
    assert!(
        remedy.contains("-R /etc/apparmor.d/bwrap-userns-restrict"),
        "{remedy}"
    );

    let mut elsewhere = restricted();
    elsewhere.bwrap = Some("/opt/bwrap".into());
    let remedy = found(&judge(&elsewhere), "user namespaces")
        .remedy
        .join("\n");
    assert!(
        remedy.contains("sallyport-bwrap /opt/bwrap flags"),
        "{remedy}"
    );

    let mut exempt = restricted();
    exempt.rooms = Probe::Works;
    assert_eq!(
        found(&judge(&exempt), "user namespaces").verdict,
        Verdict::Ok
    );
}

#[test]
fn other_reasons_have_their_own_remedies() {
    type Change = fn(&mut Kernel);
    let cases: [(Change, &str); 3] = [
        (
            |kernel| kernel.unprivileged_userns_clone = Some("0".into()),
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            |kernel| kernel.max_user_namespaces = Some("0".into()),
            "sudo sysctl -w user.max_user_namespaces=15000",
        ),
        (|_| {}, "seccomp=unconfined"),
    ];
    for (change, command) in cases {
        let mut facts = ubuntu();
        facts.rooms = Probe::Fails("no".into());
        change(&mut facts.kernel);
        let report = judge(&facts);
        let check = found(&report, "user namespaces");
        assert_ne!(check.verdict, Verdict::Ok);
        assert!(check.remedy.join("\n").contains(command), "{check:?}");
    }
}

#[test]
fn root_needs_no_sudo_and_is_told_who_rooms_run_as() {
    let mut facts = restricted();
    (facts.uid, facts.room_uid) = (0, 20_001);
    facts.distribution = Distribution::parse("ID=ubuntu\n", true);
    let report = judge(&facts);
    let found = &found(&report, "user").found;
    assert!(found.starts_with("root; rooms run as uid 20001"), "{found}");
    assert!(!report.text(Painter::plain()).contains("sudo"));
}

#[test]
fn a_bare_machine_is_told_what_to_install() {
    let mut facts = ubuntu();
    facts.distribution = Distribution::parse("ID=fedora\n", false);
    for program in facts.programs.iter_mut().skip(1) {
        program.found = false;
    }
    facts.bwrap = None;
    facts.rooms = Probe::NotTried("bubblewrap is not on this machine".into());
    facts.cgroups = Err("none are mounted".into());
    facts.tools = Err("cannot read the list of tools /srv/.tools/tools.json".into());
    facts.disk.free = Some(100 << 20);
    let report = judge(&facts);
    assert!(!report.works);
    insta::assert_snapshot!(report.text(Painter::plain()));
}

#[test]
fn what_is_missing_of_the_tools_is_named() {
    let mut facts = ubuntu();
    if let Ok(tools) = &mut facts.tools {
        tools[2].found = false;
    }
    let report = judge(&facts);
    assert!(report.works, "a room can be made without Pi");
    let check = found(&report, "tools");
    assert_eq!(check.verdict, Verdict::Failed);
    assert_eq!(check.found, "missing: Pi (/srv/.tools/Pi)");
}

#[test]
fn the_json_says_the_same() {
    let json = serde_json::to_value(judge(&restricted())).unwrap();
    assert_eq!(json["engine"], "bubblewrap");
    assert_eq!(json["works"], false);
    assert_eq!(json["checks"][2]["name"], "user namespaces");
    assert_eq!(json["checks"][2]["verdict"], "failed");
    assert!(json["checks"][0].get("remedy").is_none());
    assert_eq!(json["limits"][4]["of"], "processes");
}

#[tokio::test]
async fn this_machine_is_looked_at_without_anything_being_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let facts = super::facts::gather(
        &folder.path().join("none.json"),
        &data,
        &EngineConfig::default(),
    )
    .await
    .unwrap();
    assert!(facts.tools.is_err());
    assert!(facts.disk.free.is_some());
    assert!(matches!(facts.rooms, Probe::Works), "{:?}", facts.rooms);
    assert!(!Path::new(&data).exists(), "nothing was made");
}
