//! `sallyport token ...`.

use clap::{Args, Subcommand};
use sallyport_ledger::tokens::Role;
use uuid::Uuid;

use super::OperatorArguments;
use crate::units;

/// `sallyport token ...`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, and print it: it is shown this once and never again
    Create(CreateTokenArguments),
    /// List the tokens, those that count no more too
    List(ListTokensArguments),
    /// Make a token count no more, from now on
    Revoke(RevokeTokenArguments),
}

/// `sallyport token create`.
#[derive(Debug, Args)]
pub struct CreateTokenArguments {
    /// Whose it is; decisions made with it are this person's
    #[arg(long, value_name = "EMAIL", value_parser = person)]
    pub person: String,
    /// What may be done with it: viewer, approver or admin
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub role: Role,
    /// What it is for
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How long it counts, such as 90d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub expires: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub installation: OperatorArguments,
}

/// `sallyport token list`.
#[derive(Debug, Args)]
pub struct ListTokensArguments {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub installation: OperatorArguments,
}

/// `sallyport token revoke`.
#[derive(Debug, Args)]
pub struct RevokeTokenArguments {
    /// The token's id, as `sallyport token list` shows it
    #[arg(value_name = "ID")]
    pub id: Uuid,
    /// Which installation.
    #[command(flatten)]
    pub installation: OperatorArguments,
}

fn person(text: &str) -> Result<String, String> {
    let person = text.trim();
    let is_address = person.len() <= 254
        && person
            .chars()
            .all(|letter| !letter.is_whitespace() && !letter.is_control())
        && person
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if is_address {
        Ok(person.to_owned())
    } else {
        Err("it must be an email address".to_owned())
    }
}

fn role(text: &str) -> Result<Role, String> {
    Role::of_name(&text.to_ascii_lowercase())
        .ok_or_else(|| "it must be viewer, approver or admin".to_owned())
}

/// The longest that a token may count, in seconds: ten years.
const LONGEST: u64 = 10 * 366 * 24 * 60 * 60;

fn lifetime(text: &str) -> Result<u64, String> {
    let seconds = units::seconds(text)?;
    if seconds > LONGEST {
        return Err(
            "ten years are the longest; leave it out for a token without an end".to_owned(),
        );
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_an_address() {
        assert_eq!(person(" a@example.com "), Ok("a@example.com".to_owned()));
        for wrong in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@\nb",
            &format!("{}@b", "a".repeat(300)),
        ] {
            assert!(person(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_role_is_one_of_three() {
        assert_eq!(role("Admin"), Ok(Role::Admin));
        assert!(role("root").unwrap_err().contains("approver"));
    }

    #[test]
    fn a_lifetime_ends_within_ten_years() {
        assert_eq!(lifetime("90d"), Ok(90 * 24 * 60 * 60));
        for wrong in ["0d", "4000d", "99999999999999999d", "soon"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
