//! Which Linux this is, for the one command that installs a package.

/// A Linux distribution, as far as installing packages goes.
#[derive(Clone, Debug)]
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
    pub fn here(as_root: bool) -> Self {
        let text = std::fs::read_to_string("/etc/os-release")
            .or_else(|_| std::fs::read_to_string("/usr/lib/os-release"))
            .unwrap_or_default();
        Self::parse(&text, as_root)
    }

    /// Reads the text of `/etc/os-release`.
    pub fn parse(text: &str, as_root: bool) -> Self {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']).to_owned())
                .unwrap_or_default()
        };
        let all = format!("{} {}", value("ID"), value("ID_LIKE"));
        Self {
            ids: all.split_whitespace().map(str::to_owned).collect(),
            prefix: if as_root { "" } else { "sudo " },
        }
    }

    /// What goes before a command that only root may run.
    pub fn sudo(&self) -> &'static str {
        self.prefix
    }

    /// The command that installs `packages` (names as in Debian).
    pub fn install(&self, packages: &[&str]) -> String {
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
