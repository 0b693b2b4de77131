use super::*;

/// A tree of version 2 that has only files, and says what it offers.
fn tree(own: &str, offered: &str, handed_down: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let group = folder.path().join(own);
    fs::create_dir_all(&group).unwrap();
    for folder in group
        .ancestors()
        .take_while(|above| above.starts_with(folder.path()))
    {
        fs::write(folder.join("cgroup.controllers"), offered).unwrap();
        fs::write(folder.join("cgroup.subtree_control"), handed_down).unwrap();
    }
    let mounts = format!(
        "cgroup2 {} cgroup2 rw,nosuid 0 0\n",
        folder.path().display()
    );
    (folder, mounts)
}

#[test]
fn version_2_is_divided_where_it_may_be() {
    let (folder, mounts) = tree(
        "system.slice/sallyport.service/worker",
        "cpuset cpu io memory pids",
        "",
    );
    let own = "0::/system.slice/sallyport.service/worker\n";
    let layout = Layout::find(&mounts, own, false).unwrap();
    let group = folder.path().join("system.slice/sallyport.service/worker");
    assert_eq!(
        layout.to_string(),
        "version 2: memory, processes, CPU of a room together"
    );
    assert_eq!(layout.folders("room"), [group.join("room")]);
    let asked = fs::read_to_string(group.join("cgroup.subtree_control")).unwrap();
    assert_eq!(asked, "+cpu +memory +pids");

    // One that cannot be written is one with processes; the service's own group is above it.
    fs::remove_file(group.join("cgroup.subtree_control")).unwrap();
    let layout = Layout::find(&mounts, own, false).unwrap();
    assert_eq!(
        layout.folders("room"),
        [group.parent().unwrap().join("room")]
    );
    let settings = layout.settings("room", &Limits::for_commands());
    let value = |file: &str| {
        let setting = settings.iter().find(|setting| setting.file.ends_with(file));
        setting.map(|setting| setting.value.as_str())
    };
    assert_eq!(value("room/memory.max"), Some("6442450944"));
    assert_eq!(value("room/pids.max"), Some("256"));
    assert_eq!(value("room/cpu.weight"), Some("50"));
}

#[test]
fn where_no_group_can_be_had_the_reason_is_told() {
    let problem =
        |mounts: &str, own: &str| Layout::find(mounts, own, false).unwrap_err().to_string();
    assert_eq!(problem("proc /proc proc rw 0 0\n", ""), "none are mounted");
    let (_folder, mounts) = tree("app", "cpu io", "");
    assert!(problem(&mounts, "0::/app\n").ends_with("has no controller `memory`"));
    let (folder, mounts) = tree("app", "memory pids", "");
    for group in [folder.path().to_owned(), folder.path().join("app")] {
        fs::remove_file(group.join("cgroup.subtree_control")).unwrap();
    }
    assert!(problem(&mounts, "0::/app\n").contains("cannot be read"));
}

#[test]
fn version_1_has_a_tree_for_each_controller() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |name: &str| folder.path().join(name);
    fs::create_dir_all(mount("memory").join("a/b")).unwrap();
    let mut mounts = String::new();
    for (name, options) in [
        ("memory", "rw,memory"),
        ("pids", "rw,pids"),
        ("cpu", "rw,cpu,cpuacct"),
    ] {
        fs::create_dir_all(mount(name)).unwrap();
        mounts.push_str(&format!(
            "cgroup {} cgroup {options} 0 0\n",
            mount(name).display()
        ));
    }
    let own = "3:cpu,cpuacct:/\n2:memory:/a/b\n1:pids:/elsewhere\n0::/\n";
    let layout = Layout::find(&mounts, own, true).unwrap();
    // A path that is not there is one of another namespace.
    let folders = [
        mount("memory").join("a/b/room"),
        mount("pids").join("room"),
        mount("cpu").join("room"),
    ];
    assert_eq!(layout.folders("room"), folders);
    assert_eq!(
        layout.to_string(),
        "version 1: memory, processes, CPU of a room together"
    );
}

#[test]
fn a_process_that_is_gone_is_told_from_one_that_cannot_be_put_there() {
    let Ok(cgroups) = Cgroups::find() else {
        eprintln!("not tried: this host has no control groups for rooms");
        return;
    };
    let group = cgroups.make(&Limits::for_commands()).unwrap();
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    assert!(!group.add(gone.id().cast_signed()).unwrap());
    let mut here = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    assert!(group.add(here.id().cast_signed()).unwrap());
    here.kill().unwrap();
    here.wait().unwrap();
}
