//! What exactly a gate asks about, as one hash. A decision names it, so that nobody approves something else than what
//! runs.
//!
//! Encoding, version 1: the fields in order, each as its length in bytes (8 bytes, big-endian) and then its bytes; the
//! first field is the domain, `sallyport/spec/1` and so on. The revision is the SHA-256 of that, in lower-case
//! hexadecimal. Golden vectors are in this module's tests: a change that moves one of them changes what old decisions
//! mean, and needs a new domain.

use sha2::{Digest, Sha256};

/// The shortest prefix of a revision that a decision typed by hand may name.
pub const MINIMUM_PREFIX: usize = 8;

/// SHA-256 of `content`, in lower-case hexadecimal.
pub fn sha256_hex(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// The revision of a SPEC: its text, the commit it was written against, and the policy's stored bytes (named by their
/// SHA-256).
pub fn spec_revision(text: &str, base_commit: &str, policy_sha256: &str) -> String {
    revision("sallyport/spec/1", &[text, base_commit, policy_sha256])
}

/// The revision of a request for more scope: the paths in the order given, then the reason.
pub fn scope_revision(paths: &[String], reason: &str) -> String {
    let count = paths.len().to_string();
    let mut fields = vec![count.as_str()];
    fields.extend(paths.iter().map(String::as_str));
    fields.push(reason);
    revision("sallyport/scope/1", &fields)
}

/// The revision of a pull request: its head commit.
pub fn pull_request_revision(head_commit: &str) -> String {
    revision("sallyport/pull-request/1", &[head_commit])
}

/// Whether `named` means `revision`: the whole of it, or a prefix of at least [`MINIMUM_PREFIX`] characters.
pub fn matches(named: &str, revision: &str) -> bool {
    named.len() >= MINIMUM_PREFIX && revision.starts_with(&named.to_ascii_lowercase())
}

fn revision(domain: &str, fields: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for field in std::iter::once(&domain).chain(fields) {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Computed independently, with Python's hashlib and struct.pack(">Q", length).
    const SPEC: &str = "6352e3c830d733c221db9728679cf5de2ff192ba68f8bca9a3450b5394a91e58";
    const SCOPE: &str = "1d9a26965080d26947fca2185074affd29673cb6636dd6fdb32d0605ec4db1c9";
    const PULL_REQUEST: &str = "1fb8c2785f2ee6c56e19a54cba42be9f4eafa68694567cb9d0e04f53669e63b2";

    #[test]
    fn golden_vectors() {
        let spec = spec_revision(
            "# SPEC\n\nÜber\n",
            "0123456789abcdef0123456789abcdef01234567",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
        assert_eq!(spec, SPEC);
        let paths = vec!["src/a.rs".to_owned(), "src/b.rs".to_owned()];
        assert_eq!(scope_revision(&paths, "needed by the test"), SCOPE);
        let head = "89abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(pull_request_revision(head), PULL_REQUEST);
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        assert_ne!(spec_revision("ab", "c", "d"), spec_revision("a", "bc", "d"));
        let joined = vec!["a".to_owned(), "b".to_owned()];
        assert_ne!(
            scope_revision(&joined, "r"),
            scope_revision(&["ab".to_owned()], "r")
        );
    }

    #[test]
    fn a_prefix_must_be_long_enough() {
        assert!(matches(SPEC, SPEC));
        assert!(matches(&SPEC[..8], SPEC));
        assert!(matches(&SPEC[..8].to_uppercase(), SPEC));
        assert!(!matches(&SPEC[..7], SPEC));
        assert!(!matches("", SPEC));
        assert!(!matches(SPEC, SCOPE));
    }
}
