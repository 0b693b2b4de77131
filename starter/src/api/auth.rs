//! Who may use the API: bearer tokens, each of one person with one role, from the configuration and from the database.

use std::fmt;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
pub use sallyport_ledger::tokens::Role;
use sallyport_ledger::{
    secret::{ExposeSecret, SecretError},
    tokens,
};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use uuid::Uuid;

use crate::{api::error::ApiError, config::TokenConfig, state::StarterState};

/// The shortest token, in bytes.
const MINIMUM_TOKEN: usize = 16;

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is missing or cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It can be guessed.
    #[error(
        "`starter.tokens[{place}].token` has {length} bytes; at least {MINIMUM_TOKEN} are needed"
    )]
    TooShort {
        /// The entry's place in the list, from 0.
        place: usize,
        /// How long it is.
        length: usize,
    },
    /// Nobody would know whose it is.
    #[error("`starter.tokens[{0}].person` is empty; name the person by email address")]
    NoPerson(usize),
    /// It would be two people's.
    #[error(
        "`starter.tokens[{first}]` and `starter.tokens[{second}]` are the same token; give each person an own one"
    )]
    Twice {
        /// The one's place.
        first: usize,
        /// The other's place.
        second: usize,
    },
}

/// All tokens of the configuration, as their hashes. Those of the database: [`tokens`].
pub struct Tokens(Vec<([u8; 32], Caller)>);

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|(_, caller)| caller))
            .finish()
    }
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// An email address.
    pub person: String,
    /// What this person may do.
    pub role: Role,
    /// The token's id, if it is one of the database.
    pub token: Option<Uuid>,
}

impl Tokens {
    /// The configured tokens.
    pub fn new(configs: &[TokenConfig]) -> Result<Self, TokenError> {
        let mut tokens: Vec<([u8; 32], Caller)> = Vec::new();
        for (place, config) in configs.iter().enumerate() {
            let token = config.token(place)?;
            let token = token.expose_secret();
            if token.len() < MINIMUM_TOKEN {
                return Err(TokenError::TooShort {
                    place,
                    length: token.len(),
                });
            }
            if config.person.trim().is_empty() {
                return Err(TokenError::NoPerson(place));
            }
            let hash = hash(token.as_bytes());
            if let Some(first) = tokens.iter().position(|(other, _)| *other == hash) {
                return Err(TokenError::Twice {
                    first,
                    second: place,
                });
            }
            let caller = Caller {
                person: config.person.trim().to_owned(),
                role: config.role,
                token: None,
            };
            tokens.push((hash, caller));
        }
        Ok(Self(tokens))
    }

    /// Whose token this is. All hashes are compared, each in constant time, so that the time tells nothing.
    pub fn owner(&self, token: &[u8]) -> Option<&Caller> {
        let hash = hash(token);
        let mut place = 0u64;
        let mut known = Choice::from(0);
        for (index, (other, _)) in (0u64..).zip(&self.0) {
            let same = hash.ct_eq(other);
            place.conditional_assign(&index, same);
            known |= same;
        }
        if bool::from(known) {
            let place = usize::try_from(place).ok()?;
            self.0.get(place).map(|(_, caller)| caller)
        } else {
            None
        }
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Caller {
    /// Refuses whoever may not do what `needed` may.
    pub fn must_be(&self, needed: Role) -> Result<(), ApiError> {
        if self.role >= needed {
            Ok(())
        } else {
            Err(ApiError::forbidden(&self.person, self.role, needed))
        }
    }
}

/// A handler that takes a [`Caller`] is only reached with a token that is known.
impl FromRequestParts<StarterState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &StarterState) -> Result<Self, ApiError> {
        let header = parts
            .headers
            .get(header::AUTHORIZATION)
            .ok_or_else(ApiError::unauthorized)?;
        let (scheme, token) = header
            .as_bytes()
            .split_at_checked("Bearer ".len())
            .ok_or_else(ApiError::unauthorized)?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return Err(ApiError::unauthorized());
        }
        if let Some(caller) = state.tokens.owner(token) {
            return Ok(caller.clone());
        }
        // Asked each time and not remembered: a token that is revoked counts no more with the next request, whichever
        // starter gets it.
        let owner = tokens::owner(&state.database, token).await?;
        let owner = owner.ok_or_else(ApiError::unauthorized)?;
        Ok(Self {
            person: owner.person,
            role: owner.role,
            token: Some(owner.token),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(person: &str, role: Role, token: &str) -> TokenConfig {
        TokenConfig {
            person: person.into(),
            role,
            token: Some(token.into()),
            token_file: None,
        }
    }

    #[test]
    fn each_token_is_its_persons() {
        let tokens = Tokens::new(&[
            config("v@example.com", Role::Viewer, "viewer-token-0123"),
            config("a@example.com", Role::Admin, "admin-token-01234"),
        ])
        .unwrap();
        assert_eq!(
            tokens.owner(b"viewer-token-0123").unwrap().person,
            "v@example.com"
        );
        assert_eq!(
            tokens.owner(b"admin-token-01234").unwrap().role,
            Role::Admin
        );
        for other in [
            &b""[..],
            b"viewer-token-012",
            b"viewer-token-01234",
            b"VIEWER-TOKEN-0123",
        ] {
            assert_eq!(tokens.owner(other), None);
        }
        assert!(!format!("{tokens:?}").contains("token-0123"));
        assert_eq!(Tokens::new(&[]).unwrap().owner(b""), None);
    }

    #[test]
    fn unfit_tokens_are_named() {
        let short = Tokens::new(&[config("a@example.com", Role::Admin, "short")]);
        assert!(
            short
                .unwrap_err()
                .to_string()
                .contains("starter.tokens[0].token")
        );
        let twice = Tokens::new(&[
            config("a@example.com", Role::Admin, "the-same-token-twice"),
            config("b@example.com", Role::Viewer, "the-same-token-twice"),
        ]);
        assert!(matches!(
            twice,
            Err(TokenError::Twice {
                first: 0,
                second: 1
            })
        ));
        let nobody = Tokens::new(&[config(" ", Role::Admin, "0123456789abcdef")]);
        assert!(matches!(nobody, Err(TokenError::NoPerson(0))));
    }

    #[test]
    fn a_role_includes_the_lower_ones() {
        let caller = |role| Caller {
            person: "p@example.com".into(),
            role,
            token: None,
        };
        assert!(caller(Role::Admin).must_be(Role::Approver).is_ok());
        assert!(caller(Role::Approver).must_be(Role::Approver).is_ok());
        assert!(caller(Role::Viewer).must_be(Role::Approver).is_err());
        assert!(caller(Role::Approver).must_be(Role::Admin).is_err());
    }
}
