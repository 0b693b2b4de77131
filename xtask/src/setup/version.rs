//! Version numbers in what programs print.

use std::fmt;

/// A version of three numbers; missing ones are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// The first number with dots in `text`, as in `v24.21.0`, `postgres (PostgreSQL) 15.18 (Debian ...)` or `18beta1`.
    pub fn find(text: &str) -> Option<Self> {
        let from = text.find(|letter: char| letter.is_ascii_digit())?;
        let number = text[from..]
            .split(|letter: char| letter != '.' && !letter.is_ascii_digit())
            .next()?;
        let mut parts = number.split('.').map_while(|part| part.parse().ok());
        Some(Self(
            parts.next()?,
            parts.next().unwrap_or(0),
            parts.next().unwrap_or(0),
        ))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_programs_print() {
        for (text, version) in [
            (
                "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)",
                Version(1, 9, 1),
            ),
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
                Version(15, 18, 0),
            ),
            ("postgres (PostgreSQL) 18beta1", Version(18, 0, 0)),
            ("v24.21.0\n", Version(24, 21, 0)),
            ("bubblewrap 0.8.0", Version(0, 8, 0)),
            ("11.19.1", Version(11, 19, 1)),
        ] {
            assert_eq!(Version::find(text), Some(version), "{text}");
        }
    }

    #[test]
    fn finds_none_where_there_is_none() {
        assert_eq!(Version::find("command not found"), None);
        assert_eq!(Version::find(""), None);
    }

    #[test]
    fn compares_by_number_and_not_by_letter() {
        assert!(Version(1, 10, 0) > Version(1, 9, 1));
        assert!(Version(0, 8, 0) < Version(0, 11, 0));
    }
}
