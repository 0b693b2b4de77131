//! References into object storage. Histories carry these instead of SPEC texts, diffs, logs and reports.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a stored object is: its content's hash is its key, so writing it again is the same write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct ObjectRef {
    /// `sha256/` and the content's SHA-256 in lower-case hexadecimal.
    pub key: String,
    /// The content's length in bytes.
    pub bytes: u64,
}

impl ObjectRef {
    /// The reference that `content` has or would have.
    pub fn of(content: &[u8]) -> Self {
        Self {
            key: format!("sha256/{}", crate::revision::sha256_hex(content)),
            bytes: content.len() as u64,
        }
    }

    /// Whether `content` is what this reference names.
    pub fn names(&self, content: &[u8]) -> bool {
        *self == Self::of(content)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_only_its_own_content() {
        let reference = ObjectRef::of(b"abc");
        assert_eq!(
            reference.key,
            "sha256/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(reference.names(b"abc"));
        assert!(!reference.names(b"abd"));
    }
}
