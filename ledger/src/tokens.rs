//! Tokens for the API. Only their hashes are kept: who reads the database cannot act as anybody.

use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    convert::storable,
    database::Database,
    error::{LedgerError, Trying},
};

/// What each token begins with, so that scanners for secrets can tell one.
pub const PREFIX: &str = "sp_";

/// What a person may do. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Decide, and reopen a closed pull request.
    Approver,
    /// Start tickets by hand, retry, abandon, cancel and extend them.
    Admin,
}

impl Role {
    /// All of them, the lowest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Approver, Self::Admin];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A token as a person has it: 32 random bytes.
#[derive(Debug)]
pub struct Token(SecretString);

impl Token {
    /// The token of these bytes, which must be random: its safety is theirs.
    pub fn new(random: [u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", hex::encode(random)).into())
    }

    /// The token's text, to be shown once.
    pub fn text(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What is asked for with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// The token's id; made again with the same it is the same token.
    pub id: Uuid,
    /// Whose it is: an email address.
    pub person: String,
    /// What this person may do with it.
    pub role: Role,
    /// What it is for.
    pub name: Option<String>,
    /// Who makes it.
    pub created_by: String,
    /// Until when it counts.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub person: String,
    /// What this person may do with it.
    pub role: Role,
    /// What it is for.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
    /// Until when it counts.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it counts no more.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Whose token was shown, and what this person may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The token's id.
    pub token: Uuid,
    /// An email address.
    pub person: String,
    /// The token's role.
    pub role: Role,
}

/// Enters a token. Key: its id; one that is there stays as it is.
pub async fn create(database: &Database, token: &Token, new: &NewToken) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO api_tokens (id, hash, person, role, name, created_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
        new.id,
        &hash(token.text().as_bytes())[..],
        storable(&new.person),
        new.role.as_str(),
        new.name.as_deref().map(storable),
        storable(&new.created_by),
        new.expires_at,
    )
    .execute(database.pool())
    .await
    .trying_to("enter a token")
    .map(|_| ())
}

/// All tokens, the newest first, those that count no more too.
pub async fn list(database: &Database) -> Result<Vec<TokenRow>, LedgerError> {
    sqlx::query!(
        "SELECT id, person, role, name, created_at, created_by, expires_at, last_used_at, revoked_at
         FROM api_tokens ORDER BY created_at DESC, id"
    )
    .fetch_all(database.pool())
    .await
    .trying_to("list the tokens")?
    .into_iter()
    .map(|row| {
        Ok(TokenRow {
            id: row.id,
            person: row.person,
            role: role(&row.role)?,
            name: row.name,
            created_at: row.created_at,
            created_by: row.created_by,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        })
    })
    .collect()
}

/// Makes a token count no more, from now on. Key: its id; revoked already, it stays so since then. Returns whether this
/// call revoked it. Error: [`LedgerError::NotFound`].
pub async fn revoke(database: &Database, id: Uuid) -> Result<bool, LedgerError> {
    let row = sqlx::query!(
        r#"WITH revoked AS (
               UPDATE api_tokens SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id)
           SELECT EXISTS (SELECT FROM revoked) AS "is_new!", EXISTS (SELECT FROM api_tokens WHERE id = $1) AS "is_known!""#,
        id,
    )
    .fetch_one(database.pool())
    .await
    .trying_to("revoke a token")?;
    if !row.is_known {
        return Err(LedgerError::NotFound {
            what: "token",
            name: id.to_string(),
        });
    }
    Ok(row.is_new)
}

/// Whose token this is; nothing if it is nobody's, or counts no more. That it was used is written down, at most once a
/// minute.
pub async fn owner(database: &Database, token: &[u8]) -> Result<Option<Owner>, LedgerError> {
    // Other words cannot be ours, and so need no question.
    if !token.starts_with(PREFIX.as_bytes()) {
        return Ok(None);
    }
    let row = sqlx::query!(
        r#"SELECT id, person, role, coalesce(last_used_at < now() - interval '1 minute', true) AS "is_news!"
           FROM api_tokens
           WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"#,
        &hash(token)[..],
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("look a token up")?;
    let Some(row) = row else { return Ok(None) };
    if row.is_news {
        sqlx::query!(
            "UPDATE api_tokens SET last_used_at = now()
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
            row.id,
        )
        .execute(database.pool())
        .await
        .trying_to("write down that a token was used")?;
    }
    Ok(Some(Owner {
        token: row.id,
        person: row.person,
        role: role(&row.role)?,
    }))
}

/// Which of these tokens count no more.
pub async fn ended(database: &Database, tokens: &[Uuid]) -> Result<Vec<Uuid>, LedgerError> {
    sqlx::query_scalar!(
        "SELECT id FROM api_tokens WHERE id = ANY($1) AND (revoked_at IS NOT NULL OR expires_at <= now())",
        tokens,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("look whether tokens still count")
}

fn role(name: &str) -> Result<Role, LedgerError> {
    Role::of_name(name).ok_or_else(|| LedgerError::Unknown {
        what: "the role",
        value: name.to_owned(),
    })
}

/// A token has 256 random bits: neither guessing nor a prepared table finds it from its hash, so the hash needs no salt,
/// and a token is found by it.
fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}
