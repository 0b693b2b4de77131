//! A repository whose dependencies attack while they are installed, or through what they leave.
//!
//! What an installation saw is in `build/told`, which the agent then reads.

use super::{Ground, try_to};
use crate::attack::{
    case::{Case, End, SURVIVOR, Sign},
    layer::Layer,
    namespace::METADATA,
};

/// A case whose setup is the script `setup`.
fn installing(name: &'static str, tries: &'static str, setup: &str) -> Case {
    Case::new(name, tries)
        .settings("[setup]\ncommand = \"mkdir -p build && sh setup.sh > build/told 2>&1\"\n")
        .file("setup.sh", format!("{setup}\nexit 0\n"))
        .bash("cat build/told")
}

/// A line of the script that sends a request to the proxy and prints the first line of the answer.
fn ask(request: &str) -> String {
    format!(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128 && printf \"{request} HTTP/1.1\\r\\nHost: registry\\r\\nConnection: close\\r\\n\\r\\n\" >&3 \
         && head -n 1 <&3'"
    )
}

pub(super) fn cases(ground: &Ground) -> Vec<Case> {
    let (tcp, registry) = (ground.targets.tcp, ground.targets.registry);
    let refused = |name, tries, request: &str, status: &str| {
        installing(name, tries, &ask(request))
            .told(Layer::Registries, status)
            .broke_by(Sign::Told("HTTP/1.1 200".to_owned()))
            .broke_by(Sign::Told("HTTP/1.1 502".to_owned()))
    };
    let canary = ground.canary.display();
    vec![
        refused("setup-tunnels-elsewhere", "an installation asks for a tunnel to a service of the host", &format!("CONNECT 127.0.0.1:{tcp}"), "403 Forbidden"),
        refused("setup-asks-elsewhere", "an installation asks for an address of the host", &format!("GET http://127.0.0.1:{tcp}/stolen"), "403 Forbidden"),
        refused("setup-asks-the-cloud", "an installation asks the cloud's metadata service for credentials", &format!("GET http://{METADATA}/latest/meta-data"), "403 Forbidden"),
        refused("setup-disguises-the-host", "an installation puts the registry in front of another host's name", &format!("GET http://127.0.0.1:{registry}@127.0.0.1:{tcp}/"), "403 Forbidden"),
        refused("setup-uploads", "an installation sends what it found to the registry", &format!("POST http://127.0.0.1:{registry}/stolen"), "405 Method Not Allowed"),
        installing("setup-goes-past-the-proxy", "an installation connects by itself", &try_to(&format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{tcp}'")))
            .told(Layer::Network, "Connection refused"),
        installing("setup-reads-the-host", "an installation looks for keys in the environment and on the host", &[
            try_to("cat /root/.ssh/* /home/*/.ssh/*"),
            try_to("grep -z SALLYPORT /proc/*/environ"),
            try_to(&format!("cat {canary}/*")),
        ].join("\n"))
            .told(Layer::Files, "it failed"),
        installing("setup-leaves-a-daemon", "an installation leaves a program behind", &format!("(setsid bash -c 'exec -a {SURVIVOR} sleep 1000' </dev/null >/dev/null 2>&1 &)\necho started"))
            .told(Layer::Processes, "started"),
        installing("setup-leaves-a-link", "an installation leaves a link out of the room, and the agent writes through it", &format!("ln -s {canary} build/out; echo linked"))
            .bash(try_to("touch build/out/planted"))
            .told(Layer::Files, "it failed"),
        installing("setup-changes-the-base", "an installation changes the repository's own files", "echo evil > src/other.js; rm README.md; echo changed")
            .bash("cat src/other.js")
            .told(Layer::Installed, "other = 1")
            .held_by(Layer::Installed, Sign::DiffLacks("evil".to_owned())),
        Case::new("setup-adds-files", "an installation leaves a file that would be taken for the agent's")
            .settings("[setup]\ncommand = \"echo evil > src/evil.js\"\n")
            .held_by(Layer::Installed, Sign::Failure("such as src/evil.js".to_owned()))
            .ends(End::Parked("SetupFailed")),
        installing("agent-finds-the-registries", "a shell command looks for the way that the installation had", "echo installed")
            .bash(try_to("exec 3<>/dev/tcp/127.0.0.1/3128"))
            .bash(try_to("ls /run/registries"))
            .told(Layer::Network, "Connection refused")
            .told(Layer::Files, "No such file or directory"),
        installing("agent-changes-the-installed", "the agent changes a dependency, so that the tests pass with it", "echo original > build/dependency")
            .file("check.sh", "cat build/dependency; exit 0\n")
            .bash("echo tampered > build/dependency; echo 'exit 0' > $HOME/.bashrc")
            .held_by(Layer::QualityGates, Sign::GateSaid("original".to_owned())),
    ]
}
