//! Which system calls a room may make: all but a list, on top of the namespaces.
//!
//! bubblewrap takes compiled filters as files. There are three at once, and the strictest answer wins:
//!
//! - the **layer's** filter refuses calls with `EPERM`;
//! - **clone3** is answered with `ENOSYS`. Its flags are behind a pointer, which a filter cannot read; the C library then
//!   falls back to `clone`, whose flags are in a register;
//! - the **abi** filter refuses x86-64's second set of call numbers (x32), which would pass by the list.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};

/// The names of the filters' files in the kit.
pub(super) const AGENT_FILTER: &str = "agent.bpf";
pub(super) const INNER_FILTER: &str = "inner.bpf";
pub(super) const CLONE3_FILTER: &str = "clone3.bpf";
pub(super) const ABI_FILTER: &str = "abi.bpf";

/// The filters, each as the bytes that bubblewrap expects.
pub(super) struct Filters {
    pub(super) agent: Vec<u8>,
    pub(super) inner: Vec<u8>,
    pub(super) clone3: Vec<u8>,
    pub(super) abi: Vec<u8>,
}

/// A system call: its name, and its number on this machine.
pub(super) type Call = (&'static str, libc::c_long);

macro_rules! calls {
    ($($call:ident),* $(,)?) => { &[$((name_of(stringify!($call)), libc::$call)),*] };
}

/// `mount` of `SYS_mount`.
const fn name_of(constant: &'static str) -> &'static str {
    constant.split_at(4).1
}

/// Refused in every room.
pub(super) const REFUSED: &[Call] = calls![
    // Looking into, or reaching through, other processes.
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
    // io_uring makes sockets without calling socket().
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    // Parts of the kernel with a large surface that no build or test needs.
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    // Administration.
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_acct,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_syslog,
    SYS_quotactl,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_vhangup,
    SYS_fanotify_init,
    // Memory placement, which reaches other processes' pages.
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_mbind,
    SYS_set_mempolicy,
];

/// Refused in every room, where the machine has them at all.
#[cfg(target_arch = "x86_64")]
pub(super) const REFUSED_HERE: &[Call] = calls![
    SYS_kexec_file_load,
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_lookup_dcookie,
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const REFUSED_HERE: &[Call] = calls![SYS_kexec_file_load];

/// Refused in an inner room. An agent's room needs them to set inner rooms up.
pub(super) const REFUSED_INSIDE: &[Call] = calls![
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_move_mount,
    SYS_open_tree,
    SYS_mount_setattr,
    SYS_unshare,
    SYS_setns,
    SYS_personality,
];

/// `clone` with one of these makes a namespace.
pub(super) const NEW_NAMESPACE: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// The families of sockets that a room may open.
pub(super) const FAMILIES: [libc::c_int; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// Typing into the terminal that the worker was started from.
pub(super) const TERMINAL_REQUESTS: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Compiles the filters for the machine that this runs on.
pub(super) fn filters() -> Filters {
    Filters {
        agent: bytes(&layer(true)),
        inner: bytes(&layer(false)),
        clone3: bytes(&compile(
            BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
            libc::ENOSYS,
        )),
        abi: bytes(&second_abi()),
    }
}

fn layer(makes_inner_rooms: bool) -> BpfProgram {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (_, call) in REFUSED.iter().chain(REFUSED_HERE) {
        refused.insert(*call, Vec::new());
    }

    let mut families = FAMILIES.to_vec();
    if makes_inner_rooms {
        // bubblewrap brings the loopback interface of a new room up through netlink.
        families.push(libc::AF_NETLINK);
    } else {
        for (_, call) in REFUSED_INSIDE {
            refused.insert(*call, Vec::new());
        }
        let any_namespace = NEW_NAMESPACE.iter().map(|flag| {
            let flag = *flag as u64;
            rule(vec![condition(0, Width::Qword, Is::MaskedEq(flag), flag)])
        });
        refused.insert(libc::SYS_clone, any_namespace.collect());
    }
    let other_family = families
        .into_iter()
        .map(|family| condition(0, Width::Dword, Is::Ne, family as u64))
        .collect();
    refused.insert(libc::SYS_socket, vec![rule(other_family)]);
    let typing = TERMINAL_REQUESTS
        .iter()
        .map(|request| rule(vec![condition(1, Width::Dword, Is::Eq, *request)]));
    refused.insert(libc::SYS_ioctl, typing.collect());

    compile(refused, libc::EPERM)
}

fn condition(argument: u8, width: Width, is: Is, value: u64) -> SeccompCondition {
    SeccompCondition::new(argument, width, is, value)
        .expect("system calls have six arguments, and these are below that")
}

fn rule(conditions: Vec<SeccompCondition>) -> SeccompRule {
    SeccompRule::new(conditions).expect("a rule has at least one condition")
}

fn compile(refused: BTreeMap<i64, Vec<SeccompRule>>, errno: libc::c_int) -> BpfProgram {
    let machine = TargetArch::try_from(std::env::consts::ARCH)
        .expect("Sallyport runs on x86-64 and on 64-bit ARM");
    SeccompFilter::new(
        refused,
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        machine,
    )
    .and_then(BpfProgram::try_from)
    .expect("the lists above are constant and far below the kernel's limit of 4096 instructions")
}

/// Call numbers from 2^30 on are the second ABI's: `ENOSYS`, as on a kernel that was built without it.
fn second_abi() -> BpfProgram {
    const LOAD_CALL_NUMBER: sock_filter = sock_filter {
        code: 0x20,
        jt: 0,
        jf: 0,
        k: 0,
    };
    const NEXT_UNLESS_BELOW: sock_filter = sock_filter {
        code: 0x35,
        jt: 0,
        jf: 1,
        k: 0x4000_0000,
    };
    const ANSWER_ENOSYS: sock_filter = sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: 0x0005_0000 | libc::ENOSYS as u32,
    };
    const ALLOW: sock_filter = sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: 0x7fff_0000,
    };
    vec![LOAD_CALL_NUMBER, NEXT_UNLESS_BELOW, ANSWER_ENOSYS, ALLOW]
}

fn bytes(program: &BpfProgram) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend_from_slice(&instruction.code.to_ne_bytes());
        bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
        bytes.extend_from_slice(&instruction.k.to_ne_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_whole_instructions_within_the_kernels_limit() {
        let filters = filters();
        for filter in [
            &filters.agent,
            &filters.inner,
            &filters.clone3,
            &filters.abi,
        ] {
            assert!(!filter.is_empty());
            assert_eq!(filter.len() % 8, 0);
            assert!(filter.len() / 8 <= 4096);
        }
        assert!(
            filters.inner.len() > filters.agent.len(),
            "an inner room may do less"
        );
    }

    /// Runs a filter that only loads the call's number, compares it and returns. Few kernels still have the second ABI,
    /// so that asking the kernel would show nothing.
    fn answer(program: &BpfProgram, call: u32) -> u32 {
        let mut at = 0;
        loop {
            let instruction = &program[at];
            at += 1;
            match instruction.code {
                0x20 => assert_eq!(instruction.k, 0, "the number is the first field"),
                0x35 => {
                    at += usize::from(if call >= instruction.k {
                        instruction.jt
                    } else {
                        instruction.jf
                    })
                }
                0x06 => return instruction.k,
                other => panic!("unexpected instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_second_abi_is_not_there() {
        let (allow, no_such_call) = (0x7fff_0000, 0x0005_0000 | libc::ENOSYS as u32);
        for call in [0, libc::SYS_mount as u32, 0x3fff_ffff] {
            assert_eq!(answer(&second_abi(), call), allow, "{call:#x}");
        }
        for call in [0x4000_0000, 0x4000_0000 | libc::SYS_mount as u32, u32::MAX] {
            assert_eq!(answer(&second_abi(), call), no_such_call, "{call:#x}");
        }
    }
}
