//! Signatures of webhooks: HMAC-SHA256 over the raw body, compared in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sallyport_ledger::secret::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The secret that webhooks are signed with.
#[derive(Clone)]
pub struct WebhookKey(Hmac<Sha256>);

impl fmt::Debug for WebhookKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WebhookKey([REDACTED])")
    }
}

impl WebhookKey {
    /// The key made of the configured secret's bytes.
    pub fn new(secret: &SecretString) -> Self {
        Self(
            Hmac::new_from_slice(secret.expose_secret().as_bytes())
                .expect("HMAC takes keys of any length"),
        )
    }

    /// Whether `header`, `sha256=` and 64 hexadecimal digits in lower case, is the signature of `body`.
    pub fn signed(&self, header: &[u8], body: &[u8]) -> bool {
        let Some(digits) = header.strip_prefix(b"sha256=") else {
            return false;
        };
        let lower_case = digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let Ok(signature) = hex::decode(digits) else {
            return false;
        };
        lower_case
            && self
                .0
                .clone()
                .chain_update(body)
                .verify_slice(&signature)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of GitHub's documentation of the same scheme.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    proptest::proptest! {
        #[test]
        fn only_the_signature_of_exactly_this_body_is_taken(
            body: Vec<u8>,
            garbage: Vec<u8>,
            place in 0..71usize,
            bit in 0..8u8,
        ) {
            let key = WebhookKey::new(&SECRET.into());
            let mac = key.0.clone().chain_update(&body).finalize().into_bytes();
            let right = format!("sha256={}", hex::encode(mac)).into_bytes();
            proptest::prop_assert!(key.signed(&right, &body));
            proptest::prop_assert!(garbage == right || !key.signed(&garbage, &body));
            let mut changed = right.clone();
            changed[place] ^= 1 << bit;
            proptest::prop_assert!(!key.signed(&changed, &body));
            let longer = [&body[..], b"x"].concat();
            proptest::prop_assert!(!key.signed(&right, &longer));
            proptest::prop_assert!(!key.signed(&right[..place], &body));
        }
    }

    #[test]
    fn the_published_vector_is_taken() {
        let key = WebhookKey::new(&SECRET.into());
        assert!(key.signed(SIGNATURE.as_bytes(), BODY));
    }

    #[test]
    fn nothing_else_is() {
        let key = WebhookKey::new(&SECRET.into());
        assert!(!key.signed(SIGNATURE.as_bytes(), b"Hello, World"));
        assert!(!WebhookKey::new(&"other".into()).signed(SIGNATURE.as_bytes(), BODY));
        let digits = &SIGNATURE["sha256=".len()..];
        let others = [
            String::new(),
            "sha256=".to_owned(),
            digits.to_owned(),
            format!("sha1={digits}"),
            format!("sha256={}", &digits[..62]),
            format!("sha256={}", &digits[..32]),
            format!("{SIGNATURE}00"),
            format!("sha256={}", digits.to_uppercase()),
            format!("sha256={}", "0".repeat(64)),
            format!(" {SIGNATURE}"),
        ];
        for other in others {
            assert!(!key.signed(other.as_bytes(), BODY), "{other}");
        }
    }
}
