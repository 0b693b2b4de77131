//! Running a setup in its room, and laying out what it left.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sallyport_workflows::text::shorten;

use super::{HOME, Installed, SetupError, Setups, Subject, home, proxy};
use crate::{
    qa::gates::end_of,
    sandbox::{CommandResult, Layer, Limits, NODE, Room, Stopped, quote, run_in},
    workspace::{
        checkout,
        diff::{paths_at, readable},
        ignore,
    },
};

/// The program that leads from the room's loopback to the proxy.
const BRIDGE: &str = include_str!("bridge.mjs");

/// The port on the room's loopback that package managers take for the proxy.
const PORT: u16 = 3128;

/// Where a setup's room has what.
const BRIDGE_IN_ROOM: &str = "/opt/bridge.mjs";
const PROXY_IN_ROOM: &str = "/run/registries";
const CERTIFICATES_IN_ROOM: &str = "/opt/certificates.pem";
const TRACKED_IN_ROOM: &str = "/opt/tracked";
const INSTALLED_IN_ROOM: &str = "/opt/installed";

/// Where systems keep the certificates that they trust.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// By which variables programs find them.
const CERTIFICATE_VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "CARGO_HTTP_CAINFO",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
];

/// How much of a failed setup's output is shown, in bytes from its end.
const SHOWN_OUTPUT: usize = 300;

/// How long copying may take.
const COPY_SECONDS: u64 = 600;

impl Setups {
    /// Runs the setup in the new folder `new`, whose `tree` is the result in the end.
    pub(super) async fn make(&self, subject: Subject<'_>, new: &Path) -> Result<(), SetupError> {
        let git = subject.mirror.git();
        checkout::remove(new).await?;
        checkout::make_passable(new).map_err(SetupError::io("making a folder for a setup"))?;
        let (tree, index) = (new.join("tree"), new.join("index"));
        checkout::check_out(git, &index, subject.base, &tree).await?;
        self.run(subject, new, &tree).await?;

        let rules = new.join("ignore-rules");
        let list = ignore::rules(subject.mirror, subject.base).await?;
        fs::write(&rules, list).map_err(SetupError::io("writing the rules of a setup"))?;
        let left = ignore::untracked(git, &index, &tree, &rules).await?;
        if let Some(first) = left.first() {
            let first = shorten(&readable(first), 200);
            return Err(SetupError::NotIgnored { first });
        }
        self.drop_tracked(subject, new, &tree).await?;
        for file in [&index, &rules] {
            fs::remove_file(file).map_err(SetupError::io("tidying up after a setup"))?;
        }
        Ok(())
    }

    async fn run(&self, subject: Subject<'_>, new: &Path, tree: &Path) -> Result<(), SetupError> {
        let registries = self.config.registries.clone();
        let proxy = proxy::RegistryProxy::open(&new.join("run"), registries)
            .map_err(SetupError::io("opening the way to the registries"))?;
        let bridge = new.join("bridge.mjs");
        write_readable(&bridge, BRIDGE.as_bytes())?;
        let limits = Limits {
            wall: Duration::from_secs(subject.setup.timeout_seconds),
            ..Limits::for_commands()
        };
        let mut room = Room::new(Layer::Inner, tree, limits)
            .read_only(proxy.folder(), PROXY_IN_ROOM)
            .read_only(&bridge, BRIDGE_IN_ROOM)
            .variable("HOME", home());
        let address = format!("http://127.0.0.1:{PORT}");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            room = room.variable(name, &address);
        }
        // Node's own fetch looks at these only if it is told to; Java's package managers at none of them.
        room = room.variable("NODE_USE_ENV_PROXY", "1").variable(
            "JAVA_TOOL_OPTIONS",
            format!(
                "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={PORT} -Dhttps.proxyHost=127.0.0.1 \
                 -Dhttps.proxyPort={PORT} -Dhttp.nonProxyHosts="
            ),
        );
        if let Some(certificates) = self.certificates() {
            room = room.read_only(certificates, CERTIFICATES_IN_ROOM);
            for name in CERTIFICATE_VARIABLES {
                room = room.variable(name, CERTIFICATES_IN_ROOM);
            }
        }
        let command = format!(
            "mkdir -p {HOME} && exec {NODE}/bin/node {BRIDGE_IN_ROOM} {PROXY_IN_ROOM}/{} {PORT} {}",
            proxy::SOCKET,
            quote(&subject.setup.command)
        );
        let done = run_in(&self.sandbox, &room, &command).await?;
        let refused = proxy.refused();
        drop(proxy);
        fs::remove_file(&bridge).map_err(SetupError::io("tidying up after a setup"))?;
        match done.success() {
            true => Ok(()),
            false => Err(self.failed(subject, &done, &refused)),
        }
    }

    fn failed(&self, subject: Subject<'_>, done: &CommandResult, refused: &[String]) -> SetupError {
        let how = match &done.stopped {
            None => format!("failed with exit code {}", done.exit),
            Some(Stopped::TimeUp) => {
                format!(
                    "took longer than its {} seconds",
                    subject.setup.timeout_seconds
                )
            }
            Some(Stopped::OutOfMemory) => "ran out of memory".to_owned(),
            Some(Stopped::Outgrown(reason)) => format!("made too much: {reason}"),
        };
        let output = crate::agent::redact(&self.leaks.hide_own(&done.output.text));
        tracing::warn!(command = %subject.setup.command, %how, %output, "a setup failed");
        let words: Vec<_> = output.split_whitespace().collect();
        SetupError::Failed {
            command: format!("`{}`", shorten(&subject.setup.command, 80)),
            how,
            refused: match refused {
                [] => String::new(),
                hosts => format!(
                    ", and asked for {}, no registry of `worker.setup.registries`",
                    shorten(&hosts.join(", "), 120)
                ),
            },
            output: end_of(&words.join(" "), SHOWN_OUTPUT).to_owned(),
        }
    }

    /// Leaves in `tree` what the setup made.
    async fn drop_tracked(
        &self,
        subject: Subject<'_>,
        new: &Path,
        tree: &Path,
    ) -> Result<(), SetupError> {
        let list = new.join("tracked");
        let mut tracked = paths_at(subject.mirror.git(), subject.base).await?.join(&0);
        tracked.push(0);
        write_readable(&list, &tracked)?;
        let room = Room::new(Layer::Inner, tree, copying()).read_only(&list, TRACKED_IN_ROOM);
        let command = format!("xargs -0 -r -a {TRACKED_IN_ROOM} rm -f --");
        self.must_do(&room, &command).await?;
        fs::remove_file(&list).map_err(SetupError::io("tidying up after a setup"))
    }

    /// Puts the result into `tree`, which the room's user has: beside what is there already, never in its place.
    pub async fn lay_out(&self, installed: &Installed, tree: &Path) -> Result<(), SetupError> {
        let room =
            Room::new(Layer::Inner, tree, copying()).read_only(&installed.tree, INSTALLED_IN_ROOM);
        let command = format!(
            "set -o pipefail; tar -C {INSTALLED_IN_ROOM} -cf - . | tar -xpf - --skip-old-files"
        );
        self.must_do(&room, &command).await
    }

    async fn must_do(&self, room: &Room, command: &str) -> Result<(), SetupError> {
        let done = run_in(&self.sandbox, room, command).await?;
        if done.success() {
            return Ok(());
        }
        let said = end_of(done.output.text.trim(), SHOWN_OUTPUT).to_owned();
        let problem = format!("{command}: exit code {}: {said}", done.exit);
        Err(SetupError::Io {
            action: "copying the result of a setup",
            source: std::io::Error::other(problem),
        })
    }

    fn certificates(&self) -> Option<PathBuf> {
        let usual = || {
            CERTIFICATES
                .map(PathBuf::from)
                .into_iter()
                .find(|file| file.is_file())
        };
        self.config.ca_file.clone().or_else(usual)
    }
}

fn copying() -> Limits {
    Limits {
        wall: Duration::from_secs(COPY_SECONDS),
        ..Limits::for_commands()
    }
}

/// Writes a file that the room's user may read.
fn write_readable(path: &Path, content: &[u8]) -> Result<(), SetupError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, content)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o644)))
        .map_err(SetupError::io("writing a file for a setup"))
}
