//! The installation's key pair for seals: Ed25519 (RFC 8032). The private half is a secret of the starters; with the public
//! half everybody can check.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use secrecy::{ExposeSecret, SecretString};

use super::entry::Hash;
use crate::secret::SecretError;

/// Why there is no key to sign seals with.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    /// It is not configured, or cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It is none.
    #[error(
        "`audit.key` must be 64 hexadecimal digits, such as the output of `openssl rand -hex 32`"
    )]
    Malformed,
}

/// What a public key is not.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no public key of seals: it must be 64 hexadecimal digits, as `sallyport audit key` prints them"
)]
pub struct PublicKeyError(String);

/// The private half.
pub struct SealKey(Ed25519KeyPair);

impl fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealKey({})", self.public())
    }
}

impl SealKey {
    /// The key made of the configured secret: 32 random bytes in hexadecimal.
    pub fn new(secret: &SecretString) -> Result<Self, SealKeyError> {
        let seed =
            hex::decode(secret.expose_secret().trim()).map_err(|_| SealKeyError::Malformed)?;
        Ed25519KeyPair::from_seed_unchecked(&seed)
            .map(Self)
            .map_err(|_| SealKeyError::Malformed)
    }

    /// The half that everybody may know.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The signature over a hash.
    pub fn sign(&self, hash: Hash) -> Vec<u8> {
        self.0.sign(&hash.0).as_ref().to_vec()
    }
}

/// The public half; written as lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// From its 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, PublicKeyError> {
        hex::decode(text.trim())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| PublicKeyError(text.trim().to_owned()))
    }

    /// Whether the private half made `signature` over `hash`.
    pub fn signed(&self, hash: Hash, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(&hash.0, signature)
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first test of RFC 8032, section 7.1: its secret and public key.
    const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn the_published_key_pair_is_made() {
        let key = SealKey::new(&SECRET.into()).unwrap();
        assert_eq!(key.public().to_string(), PUBLIC);
        assert_eq!(PublicKey::parse(PUBLIC).unwrap(), key.public());
        assert!(!format!("{key:?}").contains("9d61"));
    }

    #[test]
    fn only_the_signed_hash_is_signed() {
        let key = SealKey::new(&SECRET.into()).unwrap();
        let hash = Hash([1; 32]);
        let signature = key.sign(hash);
        assert!(key.public().signed(hash, &signature));
        assert!(!key.public().signed(Hash([2; 32]), &signature));
        assert!(!key.public().signed(hash, &signature[..63]));
        let other = SealKey::new(&"00".repeat(32).into()).unwrap();
        assert!(!other.public().signed(hash, &signature));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let too_long = "00".repeat(33);
        for wrong in ["", "key", &SECRET[..62], too_long.as_str()] {
            assert!(SealKey::new(&wrong.into()).is_err(), "{wrong}");
            assert!(PublicKey::parse(wrong).is_err(), "{wrong}");
        }
    }
}
