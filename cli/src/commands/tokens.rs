//! `sallyport token ...`: works on the ledger, so that the first token can be made before anybody has one.

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_ledger::{
    LedgerError,
    tokens::{self, NewToken, Token, TokenRow},
};
use serde_json::json;
use uuid::Uuid;

use super::{print, print_json, time};
use crate::{
    arguments::{CreateTokenArguments, ListTokensArguments, RevokeTokenArguments, TokenCommand},
    exit::{Exit, Problem},
    operator, private_file,
    terminal::{line, tell},
};

/// Runs one of the commands.
pub async fn run(command: TokenCommand) -> Result<(), Problem> {
    match command {
        TokenCommand::Create(arguments) => create(arguments).await,
        TokenCommand::List(arguments) => list(arguments).await,
        TokenCommand::Revoke(arguments) => revoke(arguments).await,
    }
}

async fn create(arguments: CreateTokenArguments) -> Result<(), Problem> {
    let database = operator::database(&operator::config(&arguments.installation)?).await?;
    let token = Token::new(private_file::random()?);
    let lifetime = arguments
        .expires
        .and_then(|seconds| i64::try_from(seconds).ok());
    let new = NewToken {
        id: Uuid::new_v4(),
        person: arguments.person,
        role: arguments.role,
        name: arguments.name,
        created_by: user(),
        expires_at: lifetime.map(|seconds| Utc::now() + TimeDelta::seconds(seconds)),
    };
    tokens::create(&database, &token, &new)
        .await
        .map_err(problem)?;
    if arguments.json {
        return print_json(&json!({
            "id": new.id,
            "token": token.text(),
            "person": new.person,
            "role": new.role,
            "expires_at": new.expires_at,
        }));
    }
    print(&format!("{}\n", token.text()))?;
    tell(&format!(
        "the token {} of {} ({}) {}; it is shown this once",
        new.id,
        new.person,
        new.role,
        until(new.expires_at)
    ));
    Ok(())
}

async fn list(arguments: ListTokensArguments) -> Result<(), Problem> {
    let database = operator::database(&operator::config(&arguments.installation)?).await?;
    let rows = tokens::list(&database).await.map_err(problem)?;
    if arguments.json {
        return print_json(&rows);
    }
    if rows.is_empty() {
        tell("no token was made yet; those of the configuration are not listed here");
    }
    let now = Utc::now();
    print(&rows.iter().map(|row| shown(row, now)).collect::<String>())
}

async fn revoke(arguments: RevokeTokenArguments) -> Result<(), Problem> {
    let database = operator::database(&operator::config(&arguments.installation)?).await?;
    let is_new = tokens::revoke(&database, arguments.id)
        .await
        .map_err(problem)?;
    tell(&match is_new {
        true => format!("the token {} counts no more", arguments.id),
        false => format!("the token {} was revoked before", arguments.id),
    });
    Ok(())
}

/// A token in a line.
fn shown(row: &TokenRow, now: DateTime<Utc>) -> String {
    let mut parts = vec![
        row.id.to_string(),
        format!("{:<8}", row.role),
        line(&row.person),
    ];
    parts.extend(row.name.as_deref().map(line));
    parts.push(match (row.revoked_at, row.expires_at) {
        (Some(at), _) => format!("revoked {}", time(at)),
        (None, Some(at)) if at <= now => format!("expired {}", time(at)),
        (None, expires_at) => until(expires_at),
    });
    parts.push(match row.last_used_at {
        Some(at) => format!("used {}", time(at)),
        None => "never used".to_owned(),
    });
    parts.push(format!(
        "made {} by {}",
        time(row.created_at),
        line(&row.created_by)
    ));
    parts.join("  ") + "\n"
}

fn until(expires_at: Option<DateTime<Utc>>) -> String {
    expires_at.map_or_else(
        || "counts until it is revoked".to_owned(),
        |at| format!("counts until {}", time(at)),
    )
}

/// Who runs this, as the environment says: a note for people, which nothing relies on.
fn user() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn problem(error: LedgerError) -> Problem {
    let exit = match &error {
        LedgerError::NotFound { .. } => Exit::NotFound,
        error if error.is_unavailable() => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let problem = Problem::new(exit, error.to_string());
    match exit {
        Exit::NotFound => problem.hint("`sallyport token list` shows every token"),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use sallyport_ledger::tokens::Role;

    use super::*;

    #[test]
    fn golden_lines() {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let mut row = TokenRow {
            id: Uuid::nil(),
            person: "a@example.com".into(),
            role: Role::Admin,
            name: Some("laptop\u{1b}[2J".into()),
            created_at: at,
            created_by: "root".into(),
            expires_at: Some(at + TimeDelta::days(1)),
            last_used_at: None,
            revoked_at: None,
        };
        let id = Uuid::nil();
        assert_eq!(
            shown(&row, at),
            format!(
                "{id}  admin     a@example.com  laptop[2J  counts until 2026-09-22 14:13:20 UTC  never used  made \
                 2026-09-21 14:13:20 UTC by root\n"
            )
        );
        let later = at + TimeDelta::days(2);
        assert!(shown(&row, later).contains("expired 2026-09-22"));
        row.revoked_at = Some(at);
        row.last_used_at = Some(at);
        let text = shown(&row, later);
        assert!(
            text.contains("revoked 2026-09-21") && text.contains("used 2026-09-21"),
            "{text}"
        );
    }
}
