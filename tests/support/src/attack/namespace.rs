//! The network namespace in which attacks happen: its loopback is all there is, so whatever breaks out of a room has nowhere
//! to go. It also answers to the address of the clouds' metadata services, so that reaching for it would succeed.

use std::{io, os::unix::process::CommandExt as _, process::Command};

/// Set inside.
const INSIDE: &str = "SALLYPORT_ATTACK_NAMESPACE";

/// The metadata service of the clouds.
pub const METADATA: &str = "169.254.169.254";

/// Brings the loopback up, with one more address, lets anybody listen on any port, and becomes the program. Python, since
/// it is there wherever Sallyport is built, and knows these calls without `unsafe` of ours.
const SET_UP: &str = r#"
import fcntl, os, socket, struct, sys
SIOCSIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8913, 0x8914, 1
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def up(name):
    asked = struct.pack("16sh14x", name, 0)
    flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, asked))[1]
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", name, flags | IFF_UP))
up(b"lo")
address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(sys.argv[1]))
fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16s16s", b"lo:1", address))
control.close()
with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w") as setting:
    setting.write("0")
os.execvp(sys.argv[2], sys.argv[2:])
"#;

/// Whether this process is in there.
#[must_use]
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Whether this process is root.
#[must_use]
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self")
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// Becomes this program again, inside, with `variables` set. Only returns if that fails.
#[must_use]
pub fn enter(variables: &[(&str, &str)]) -> io::Error {
    let this = match std::env::current_exe() {
        Ok(this) => this,
        Err(error) => return error,
    };
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !is_root() {
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    command.args(["--", "python3", "-c", SET_UP, METADATA]);
    if !is_root() {
        // What was needed for the network is in the way of bubblewrap.
        command.args(["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--"]);
    }
    command
        .arg(this)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .envs(variables.iter().copied())
        .exec()
}
