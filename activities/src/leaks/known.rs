//! The installation's own secrets, wherever they stand and in whatever common form.

use std::{fmt, ops::Range};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use sallyport_ledger::secret::{ExposeSecret as _, SecretString};

/// A shorter secret is not looked for, in bytes: it would be found in words.
pub const SHORTEST: usize = 8;

/// Secrets to look for.
#[derive(Default)]
pub(super) struct Known(Option<AhoCorasick>);

impl fmt::Debug for Known {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Known([REDACTED])")
    }
}

impl Known {
    pub(super) fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut forms: Vec<Vec<u8>> = secrets
            .into_iter()
            .flat_map(|secret| {
                let secret = secret.expose_secret();
                [Some(secret), password(secret)]
                    .into_iter()
                    .flatten()
                    .filter(|secret| secret.len() >= SHORTEST)
                    .flat_map(|secret| forms(secret.as_bytes()))
                    .collect::<Vec<_>>()
            })
            .collect();
        forms.sort();
        forms.dedup();
        // Only a number of secrets beyond all measure could make it fail.
        Self(AhoCorasick::new(forms).ok())
    }

    /// Where in `content` one of them stands.
    pub(super) fn find(&self, content: &[u8]) -> Vec<Range<usize>> {
        let Some(searcher) = &self.0 else {
            return Vec::new();
        };
        searcher
            .find_iter(content)
            .map(|found| found.range())
            .collect()
    }
}

/// The password of an address such as a database's: it is the secret part.
fn password(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (person, _) = authority.rsplit_once('@')?;
    Some(person.split_once(':')?.1)
}

/// A secret as it is, in hexadecimal, in UTF-16 of either order, and in Base64 wherever in a longer text it begins.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![
        secret.to_vec(),
        hex::encode(secret).into_bytes(),
        hex::encode_upper(secret).into_bytes(),
        secret
            .iter()
            .map(|byte| [*byte])
            .collect::<Vec<_>>()
            .join(&0),
    ];
    for before in 0..3 {
        let shifted = [&vec![0; before][..], secret].concat();
        // What depends on the bytes around it is left out: six bits are a letter.
        let first = (before * 8).div_ceil(6);
        let end = shifted.len() * 8 / 6;
        for text in [
            STANDARD_NO_PAD.encode(&shifted),
            URL_SAFE_NO_PAD.encode(&shifted),
        ] {
            forms.push(text.as_bytes()[first..end].to_vec());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hush, this/is+the~secret?";

    fn is_found(content: &[u8]) -> bool {
        !Known::new([SECRET.into()]).find(content).is_empty()
    }

    proptest::proptest! {
        #[test]
        fn it_is_found_between_anything_in_each_form(before: Vec<u8>, after: Vec<u8>) {
            let plain = [&before[..], SECRET.as_bytes(), &after[..]].concat();
            proptest::prop_assert!(is_found(&plain));
            let utf_16: Vec<u8> = plain.iter().flat_map(|byte| [0, *byte]).collect();
            proptest::prop_assert!(is_found(&utf_16) && is_found(&utf_16[1..]));
            proptest::prop_assert!(is_found(hex::encode(&plain).as_bytes()));
            proptest::prop_assert!(is_found(STANDARD_NO_PAD.encode(&plain).as_bytes()));
            proptest::prop_assert!(is_found(URL_SAFE_NO_PAD.encode(&plain).as_bytes()));
        }
    }

    #[test]
    fn nothing_else_is_found_and_short_secrets_are_not_looked_for() {
        assert!(!is_found(b"hush, this/is+the~secre"));
        assert!(Known::new(["token".into()]).find(b"a token").is_empty());
        assert!(Known::default().find(b"x").is_empty());
        assert!(!format!("{:?}", Known::new([SECRET.into()])).contains("hush"));
    }

    #[test]
    fn the_password_of_an_address_is_a_secret_by_itself() {
        let known =
            Known::new(["postgres://sallyport:for-postgres-only@db:5432/x?sslmode=require".into()]);
        assert_eq!(known.find(b"PGPASSWORD=for-postgres-only").len(), 1);
        assert_eq!(password("postgres://sallyport@db/x"), None);
        assert_eq!(password("https://db/x:y@z"), None);
        assert_eq!(password("no address"), None);
    }
}
