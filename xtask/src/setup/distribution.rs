//! Which Linux this is, for the one command that installs a package.

use super::platform::is_root;

/// A Linux distribution, as far as installing packages goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Its id and the ids that it is like, from `/etc/os-release`.
    ids: Vec<String>,
    /// What goes before a command that only root may run.
    prefix: &'static str,
}

/// An id in `/etc/os-release`, and the command that installs packages there.
const INSTALLERS: [(&str, &str); 6] = [
    ("debian", "apt-get install -y"),
    ("ubuntu", "apt-get install -y"),
    ("fedora", "dnf install -y"),
    ("arch", "pacman -S --noconfirm"),
    ("suse", "zypper install -y"),
    ("alpine", "apk add"),
];

impl Distribution {
    /// The distribution of this machine.
    pub fn here() -> Self {
        let text = std::fs::read_to_string("/etc/os-release")
            .or_else(|_| std::fs::read_to_string("/usr/lib/os-release"))
            .unwrap_or_default();
        Self::from_os_release(&text, is_root().unwrap_or(false))
    }

    /// Reads the text of `/etc/os-release`; `root` says whether we are root and need no `sudo`.
    pub fn from_os_release(text: &str, root: bool) -> Self {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']).to_owned())
                .unwrap_or_default()
        };
        let all = format!("{} {}", value("ID"), value("ID_LIKE"));
        Self {
            ids: all.split_whitespace().map(str::to_owned).collect(),
            prefix: if root { "" } else { "sudo " },
        }
    }

    /// Whether this is Debian, Ubuntu, or one made from them.
    pub fn has_apt(&self) -> bool {
        self.ids.iter().any(|id| id == "debian" || id == "ubuntu")
    }

    /// The command that installs `packages` (names as in Debian).
    pub fn install_command(&self, packages: &[&str]) -> String {
        let packages = packages.join(" ");
        let installer = INSTALLERS
            .iter()
            .find(|(id, _)| self.ids.iter().any(|own| own == id));
        match installer {
            Some((_, installer)) => format!("{}{installer} {packages}", self.prefix),
            None => format!("with your package manager: {packages}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_debian_and_what_comes_from_it() {
        let debian = Distribution::from_os_release("PRETTY_NAME=\"Debian\"\nID=debian\n", false);
        let mint =
            Distribution::from_os_release("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", false);
        for distribution in [debian, mint] {
            assert!(distribution.has_apt());
            let command = distribution.install_command(&["bubblewrap"]);
            assert_eq!(command, "sudo apt-get install -y bubblewrap");
        }
    }

    #[test]
    fn knows_others_and_admits_what_it_does_not_know() {
        let rocky =
            Distribution::from_os_release("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", true);
        assert!(!rocky.has_apt());
        assert_eq!(rocky.install_command(&["a", "b"]), "dnf install -y a b");
        let unknown = Distribution::from_os_release("", false);
        assert_eq!(
            unknown.install_command(&["a"]),
            "with your package manager: a"
        );
    }
}
