//! The process that parses: it reads files from its standard input and writes their symbols to its standard output. Before
//! it takes the first one it gives up all that it does not need: it can open nothing, start nothing and reach nobody, and
//! its memory and time are limited. So a file that breaks into a parser finds nothing there but the files before it.

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Read, Write},
};

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::extract::Extractor;

/// What it writes, as a line, once its walls stand.
pub(super) const READY: &str = "sallyport-symbols 1";
/// The largest file that it takes, in bytes.
pub const MAXIMUM_FILE: u64 = 256 << 10;
/// The longest path that it takes, in bytes.
const MAXIMUM_PATH: u64 = 4 << 10;
/// The memory that it may use, in bytes.
const MEMORY: u64 = 1 << 30;
/// How long it may compute in all, in seconds.
const SECONDS: u64 = 300;

/// All that it may still ask the kernel for.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Parses what comes until the end of its input. The caller is a process of its own, which should end after this.
pub fn run() -> io::Result<()> {
    wall_in()?;
    let mut output = BufWriter::new(io::stdout().lock());
    writeln!(output, "{READY}")?;
    output.flush()?;
    serve(&mut io::stdin().lock(), &mut output)
}

/// A file is its path and its content, each after its length in four bytes, the most significant first; the answer is
/// a line of JSON.
fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut extractor = Extractor::new();
    while let Some(path) = part(input, MAXIMUM_PATH)? {
        let content = part(input, MAXIMUM_FILE)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let symbols = extractor.extract(&String::from_utf8_lossy(&path), &content);
        serde_json::to_writer(&mut *output, &symbols)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}

fn part(input: &mut impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => input.read_exact(&mut length[1..])?,
    }
    let length = u64::from(u32::from_be_bytes(length));
    if length > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn wall_in() -> io::Result<()> {
    let limit = |most: u64| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    for (resource, most) in [
        (Resource::As, MEMORY),
        (Resource::Cpu, SECONDS),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        setrlimit(resource, limit(most))?;
    }
    let filter = filter().map_err(io::Error::other)?;
    seccompiler::apply_filter_all_threads(&filter).map_err(io::Error::other)
}

/// Ends the process at any call that is not allowed, and at memory that could be executed.
fn filter() -> Result<BpfProgram, seccompiler::Error> {
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in ALLOWED {
        let conditions = match *call {
            libc::SYS_mmap | libc::SYS_mprotect => {
                let executable = libc::PROT_EXEC as u64;
                let not = SeccompCondition::new(2, Width::Dword, Is::MaskedEq(executable), 0)?;
                vec![SeccompRule::new(vec![not])?]
            }
            _ => Vec::new(),
        };
        rules.insert(*call, conditions);
    }
    let (otherwise, allow) = (SeccompAction::KillProcess, SeccompAction::Allow);
    Ok(SeccompFilter::new(rules, otherwise, allow, machine)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_answered_in_order_and_what_is_too_large_ends_it() {
        let file = |path: &str, content: &str| {
            let mut bytes = Vec::new();
            for part in [path, content] {
                bytes.extend((part.len() as u32).to_be_bytes());
                bytes.extend(part.as_bytes());
            }
            bytes
        };
        let input = [file("a.rs", "fn first() {}"), file("b.txt", "words")].concat();
        let mut output = Vec::new();
        serve(&mut &input[..], &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert!(
            lines[0].contains("first") && lines[1] == "null",
            "{lines:?}"
        );

        let large = file("a.rs", &"x".repeat(MAXIMUM_FILE as usize + 1));
        assert!(serve(&mut &large[..], &mut Vec::new()).is_err());
        assert!(serve(&mut &input[..input.len() - 1], &mut Vec::new()).is_err());
    }

    /// The child itself, for the tests of its reader: this program is started anew for it.
    #[test]
    #[ignore = "is started by other tests"]
    fn as_child() {
        if std::env::var_os("SALLYPORT_SYMBOLS_ESCAPE").is_some() {
            wall_in().unwrap();
            println!("{READY}");
            let _ = std::fs::read("/etc/hostname");
            println!("null");
            std::process::exit(0);
        }
        let result = run();
        std::process::exit(i32::from(result.is_err()));
    }
}
