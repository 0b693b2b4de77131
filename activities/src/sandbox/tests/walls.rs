//! Attacks on the walls: network, files, environment, processes, system calls.

use std::{fs, io::ErrorKind, net::TcpListener, path::Path};

use super::*;

#[tokio::test]
async fn the_hosts_loopback_is_out_of_reach() {
    let house = House::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected; ls /sys/class/net 2>&1; cat /proc/net/dev"
    );

    let inner = house.run(&connect).await.output.text;
    let (_, launched) = house
        .run_through_launcher(house.agent_room(), &connect)
        .await;
    for output in [inner, launched.text] {
        assert!(
            output.contains("Connection refused") && !output.contains("connected\n"),
            "{output}"
        );
        let interfaces: Vec<_> = output
            .lines()
            .filter(|line| line.contains("lo:") || line.contains("eth"))
            .collect();
        assert_eq!(
            interfaces.len(),
            1,
            "only the room's own loopback: {output}"
        );
    }
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "nobody connected"
    );
}

#[tokio::test]
async fn a_room_has_a_loopback_of_its_own() {
    let house = House::new();
    let script = r#"
        const http = require("http");
        const server = http.createServer((_, answer) => answer.end("served")).listen(0, "localhost", async () => {
            console.log(await (await fetch(`http://localhost:${server.address().port}/`)).text());
            server.close();
        });
    "#;
    let result = house
        .run(&format!("node -e {}", launcher::quote(script)))
        .await;
    assert_eq!(result.output.text, "served\n");
}

#[tokio::test]
async fn the_hosts_environment_is_not_there() {
    let house = House::new();
    let result = house
        .run("env -0; cat /proc/*/environ; cat /proc/1/environ")
        .await;
    // Planted by whoever runs these tests: SALLYPORT_TOOLS, and a dozen of cargo's.
    assert!(std::env::var_os("SALLYPORT_TOOLS").is_some());
    let shared = [
        "PATH", "HOME", "LANG", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_", "USER", "TERM", "SHELL",
    ];
    for (name, _) in std::env::vars().filter(|(name, _)| !shared.contains(&name.as_str())) {
        assert!(
            !result.output.text.contains(&format!("{name}=")),
            "{name} in {}",
            result.output.text
        );
    }
    assert!(result.output.text.contains("HOME=/home/agent"));
}

#[tokio::test]
async fn the_hosts_files_are_not_there() {
    let house = House::new();
    let home = house.folder.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("id_ed25519"), "the-canary").unwrap();
    fs::set_permissions(home.join("id_ed25519"), Permissions::from_mode(0o644)).unwrap();
    let command = format!(
        "cat {}; ls -A /root /home /home/agent /var /etc/shadow /work /run /sys 2>&1; ls /; \
         grep -rs the-canary / --exclude-dir=proc --exclude-dir=usr --exclude-dir=dev",
        home.join("id_ed25519").display()
    );
    let result = house.run(&command).await;
    assert!(
        result
            .output
            .text
            .contains("id_ed25519: No such file or directory"),
        "{}",
        result.output.text
    );
    assert!(
        !result.output.text.contains("the-canary"),
        "{}",
        result.output.text
    );
    let root: Vec<_> = result
        .output
        .text
        .lines()
        .filter(|line| !line.contains(' '))
        .collect();
    // Docker makes the folder, and it is empty.
    let sys = (!house.is_docker()).then_some("sys");
    assert!(
        !result.output.text.contains("kernel"),
        "{}",
        result.output.text
    );
    for folder in ["root", "var", "run", "work", "boot", "srv", "mnt"]
        .into_iter()
        .chain(sys)
    {
        assert!(!root.contains(&folder), "/{folder}: {}", result.output.text);
    }
}

#[tokio::test]
async fn only_the_workspace_can_be_written() {
    let house = House::new();
    let command = "for f in /x /usr/x /usr/bin/x /etc/x /opt/x /opt/node/bin/x /dev/x /proc/x /home/x /room/../y; do \
                   echo x 2>/dev/null >$f && echo \"wrote $f\"; done; \
                   echo x >/tmp/sallyport-mark && echo x >/home/agent/mark && echo x >/dev/shm/mark && echo scratch works";
    let result = house.run(command).await;
    assert_eq!(result.output.text, "scratch works\n");
    assert!(
        !Path::new("/tmp/sallyport-mark").exists(),
        "the room's /tmp is its own"
    );
    assert!(!house.folder.path().join("y").exists());
}

#[tokio::test]
async fn the_hosts_processes_are_not_there() {
    let house = House::new();
    let result = house
        .run(
            "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; ls -d /proc/[0-9]* | wc -l; kill -0 -1",
        )
        .await;
    let own = std::env::current_exe().unwrap();
    assert!(
        !result
            .output
            .text
            .contains(own.file_name().unwrap().to_str().unwrap()),
        "{}",
        result.output.text
    );
    let count: u32 = result
        .output
        .text
        .lines()
        .find_map(|line| line.parse().ok())
        .unwrap();
    assert!(count <= 6, "{}", result.output.text);
}

#[tokio::test]
async fn no_file_of_the_worker_is_handed_down() {
    let house = House::new();
    let result = house.run("ls /proc/self/fd").await;
    assert_eq!(
        result.output.text, "0\n1\n2\n3\n",
        "3 is the listing itself"
    );
}

#[tokio::test]
async fn other_socket_families_are_refused() {
    let house = House::new();
    // Made, never connected: a room's vsock would reach the machine's host.
    let families = [
        libc::AF_VSOCK,
        libc::AF_NETLINK,
        libc::AF_PACKET,
        libc::AF_ALG,
        libc::AF_BLUETOOTH,
        libc::AF_XDP,
    ];
    for family in families {
        let result = house
            .run(&format!(
                "perl -e 'socket(S, {family}, 2, 0) ? print \"open\" : print $!'"
            ))
            .await;
        assert_eq!(
            result.output.text, "Operation not permitted",
            "family {family}"
        );
    }
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        let result = house
            .run(&format!(
                "perl -e 'socket(S, {family}, 1, 0) ? print \"open\" : print $!'"
            ))
            .await;
        assert_eq!(result.output.text, "open", "family {family}");
    }
}

#[tokio::test]
async fn dangerous_system_calls_are_refused() {
    let house = House::new();
    let mut calls = vec![
        ("ptrace", libc::SYS_ptrace, "Operation not permitted"),
        (
            "process_vm_readv",
            libc::SYS_process_vm_readv,
            "Operation not permitted",
        ),
        (
            "io_uring_setup",
            libc::SYS_io_uring_setup,
            "Operation not permitted",
        ),
        ("keyctl", libc::SYS_keyctl, "Operation not permitted"),
        ("bpf", libc::SYS_bpf, "Operation not permitted"),
        ("unshare", libc::SYS_unshare, "Operation not permitted"),
        ("mount", libc::SYS_mount, "Operation not permitted"),
        ("fsopen", libc::SYS_fsopen, "Operation not permitted"),
        ("clone3", libc::SYS_clone3, "Function not implemented"),
    ];
    if cfg!(target_arch = "x86_64") {
        calls.push((
            "getpid by the second ABI",
            0x4000_0000 + libc::SYS_getpid,
            match house.is_docker() {
                true => "", // the kernel ends who tries
                false => "Function not implemented",
            },
        ));
    }
    for (name, number, answer) in calls {
        let result = house
            .run(&format!(
                "perl -e 'syscall({number}, 0, 0, 0, 0, 0) == -1 and print $!'"
            ))
            .await;
        assert_eq!(result.output.text, answer, "{name}");
    }
    let namespaces = house.run(
        "unshare -r true; mount -t tmpfs x /tmp; bwrap --unshare-user --ro-bind / / true; su -c id; chroot / true; \
         perl -e 'print syscall(56, 0x10000000|17, 0, 0, 0, 0) < 0 ? \"clone refused\" : \"a namespace\"'; grep -E 'CapEff|NoNewPrivs' /proc/self/status",
    );
    let text = namespaces.await.output.text;
    assert!(
        text.contains("CapEff:\t0000000000000000") && text.contains("NoNewPrivs:\t1"),
        "{text}"
    );
    if cfg!(target_arch = "x86_64") {
        assert!(text.contains("clone refused"), "{text}");
    }
}

#[tokio::test]
async fn an_agents_room_enters_inner_rooms_that_see_nothing_of_it() {
    let house = House::new();
    let secret = house.folder.path().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("gw.sock"), "").unwrap();
    let marker = marker();
    let room = house
        .agent_room()
        .read_only(&secret, "/run/gw")
        .memory("/pi-agent", 1 << 20)
        .variable("MARK", &marker);
    let command = format!(
        "ls /run /pi-agent /opt; env; cat /proc/*/environ /proc/*/cmdline; grep -c {marker} /proc/self/mountinfo; \
         touch /room/from-inside; unshare -r true; exit 9"
    );
    let (exit, output) = house.run_through_launcher(room, &command).await;
    assert_eq!(exit, 9, "{}", output.text);
    assert!(
        output.text.contains("cannot access '/run'") && output.text.contains("node\n"),
        "{}",
        output.text
    );
    assert!(output.text.contains("unshare failed"), "{}", output.text);
    assert!(!output.text.contains("MARK="), "{}", output.text);
    assert!(house.workspace().join("from-inside").exists());
}
