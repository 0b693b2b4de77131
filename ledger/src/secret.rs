//! Secrets in the configuration: given as such, or as the file that holds them.
//!
//! A section of the configuration has two keys for each secret, `name` and `name_file`; at most one of them may be set.
//! A [`SecretString`] never shows its content in a log or an error.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use secrecy::{ExposeSecret, SecretString};

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Neither key is set.
    #[error("`{key}` is not set; set it, or `{key}_file` to the path of a file that holds it")]
    Missing {
        /// The key, such as `flux_lens.token`.
        key: String,
    },
    /// Both keys are set.
    #[error("`{key}` and `{key}_file` are both set; keep one of them")]
    Both {
        /// The key.
        key: String,
    },
    /// The file cannot be read.
    #[error("cannot read {path} for `{key}_file`: {source}", path = path.display())]
    Unreadable {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("`{key}` is empty; put the secret there")]
    Empty {
        /// The key, or the file's key.
        key: String,
    },
}

/// The secret of the keys `key` and `key_file`, or nothing if neither is set. A file's last line end is not part of the
/// secret.
pub fn read(
    key: &str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, SecretError> {
    let (secret, named) = match (value, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(SecretError::Both {
                key: key.to_owned(),
            });
        }
        (Some(value), None) => (value.clone(), key.to_owned()),
        (None, Some(path)) => {
            let content = fs::read_to_string(path).map_err(|source| SecretError::Unreadable {
                key: key.to_owned(),
                path: path.to_owned(),
                source,
            })?;
            let line = content.strip_suffix('\n').unwrap_or(&content);
            let line = line.strip_suffix('\r').unwrap_or(line);
            (SecretString::from(line), format!("{key}_file"))
        }
    };
    if secret.expose_secret().trim().is_empty() {
        return Err(SecretError::Empty { key: named });
    }
    Ok(Some(secret))
}

/// Like [`read`], for a secret that must be there.
pub fn required(
    key: &str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<SecretString, SecretError> {
    read(key, value, file)?.ok_or_else(|| SecretError::Missing {
        key: key.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_its_value_or_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "from the file\r\n").unwrap();
        let value = SecretString::from("from the value");

        let from_file = required("a.token", None, Some(&file)).unwrap();
        assert_eq!(from_file.expose_secret(), "from the file");
        let from_value = required("a.token", Some(&value), None).unwrap();
        assert_eq!(from_value.expose_secret(), "from the value");
        assert!(read("a.token", None, None).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_names_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::write(&empty, "\n").unwrap();
        let value = SecretString::from("x");

        let missing = required("a.token", None, None).unwrap_err().to_string();
        assert!(
            missing.contains("`a.token`") && missing.contains("`a.token_file`"),
            "{missing}"
        );
        assert!(matches!(
            read("a.token", Some(&value), Some(&empty)),
            Err(SecretError::Both { .. })
        ));
        let nothing = read("a.token", None, Some(&empty)).unwrap_err().to_string();
        assert!(nothing.contains("`a.token_file`"), "{nothing}");
        let absent = read("a.token", None, Some(&folder.path().join("none")));
        assert!(matches!(absent, Err(SecretError::Unreadable { .. })));
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = SecretString::from("do not show");
        assert!(!format!("{secret:?}").contains("do not show"));
    }
}
