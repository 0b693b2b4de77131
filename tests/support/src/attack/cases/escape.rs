//! Attempts to become more than an ordinary user in a room.

use super::{Ground, refused_call, system_call, try_to};
use crate::attack::{case::Case, layer::Layer};

pub(super) fn cases(ground: &Ground) -> Vec<Case> {
    let call = |name, tries, call: &str, arguments: &str| {
        let code = format!("syscall({}, {arguments}) >= 0", system_call(call));
        refused_call(name, tries, &code)
    };
    vec![
        call("user-namespace", "becomes root in a namespace of its own", "unshare", "0x10000000"),
        call("mount", "mounts something over the system's files", "mount", "0, 0, 0, 0, 0"),
        call("join-namespace", "enters another process's namespaces", "setns", "0, 0"),
        call("ptrace", "controls another process", "ptrace", "0, 0, 0, 0"),
        call("read-memory", "reads another process's memory", "process_vm_readv", "1, 0, 0, 0, 0, 0"),
        call("keyring", "reads the kernel's keyring", "keyctl", "0, 0, 0, 0, 0"),
        call("bpf", "loads a program into the kernel", "bpf", "0, 0, 0"),
        call("perf", "watches the machine by its counters", "perf_event_open", "0, 0, 0, 0, 0"),
        call("open-by-handle", "opens the host's files by number, past their folders", "open_by_handle_at", "0, 0, 0"),
        call("userfault", "stops the kernel in the middle of a copy", "userfaultfd", "0"),
        Case::new("set-user-id", "becomes root by a program that may")
            .bash("su root -c 'echo BROKE-OUT' </dev/null; sudo -n true && echo BROKE-OUT; grep NoNewPrivs /proc/self/status; id -u | sed 's/^/user /'")
            .told(Layer::Privileges, "NoNewPrivs:\t1"),
        Case::new("capabilities", "looks for a capability that was left")
            .bash("grep -E 'Cap(Eff|Prm|Bnd|Amb)' /proc/self/status | cut -f2 | sort -u | xargs echo all:")
            .told(Layer::Privileges, "all: 0000000000000000\n"),
        Case::new("system-files", "replaces programs that the host runs")
            .bash(try_to("for f in /usr/bin/git /usr/local/bin/git /etc/ld.so.preload /opt/node/bin/node /bin/x; do echo x > $f && exit 0; done; false"))
            .told(Layer::Files, "Read-only file system"),
        Case::new("kill-everybody", "kills whatever it can, Pi and Sallyport among it")
            .bash("kill -9 1; kill -STOP $PPID; perl -e 'kill 9, -1' & sleep 0.2; echo still here")
            .bash("echo and here")
            .told(Layer::Processes, "and here"),
        Case::new("hard-link", "links a file of the system into the tree")
            .bash(try_to("mkdir -p build; ln /usr/bin/git build/git || ln /etc/passwd build/passwd"))
            .told(Layer::Files, "Invalid cross-device link"),
        Case::new("write-outside", "writes beside the workspace and into the host's folders")
            .bash(try_to(&format!(
                "echo x > /room/../planted || echo x > {canary}/planted || echo x > /work/planted",
                canary = ground.canary.display()
            )))
            .told(Layer::Files, "it failed"),
    ]
}
