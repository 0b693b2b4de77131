//! A client of the model gateway that is not Pi.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use super::case::GatewayRequest;
use crate::child;

/// How long the gateway may take to be there.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends a request to the gateway's socket of the ticket's run, past Pi; answers the status.
pub(super) async fn ask(
    data: &Path,
    ticket: &str,
    request: &GatewayRequest,
) -> anyhow::Result<u16> {
    let prefix = format!("ticket-{ticket}-");
    let workspace = std::fs::read_dir(data.join("workspaces"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        })
        .context("the ticket has no workspace")?;
    let run = workspace.join("run");
    let (socket, token) = child::until(LIMIT, "Pi can reach the gateway", async || {
        Some((find(&run, "gw.sock")?, token(&find(&run, "models.json")?)?))
    })
    .await?;
    let token = match request.shows_token {
        true => format!("x-api-key: {token}\r\n"),
        false => String::new(),
    };
    let body = request.body.to_string();
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\ncontent-length: {}\r\n{token}",
        request.method,
        request.path,
        body.len()
    );
    let mut stream = UnixStream::connect(socket).await?;
    stream
        .write_all(format!("{head}\r\n{body}").as_bytes())
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status
        .parse()
        .with_context(|| format!("the gateway answered {answer}"))
}

/// The run's token in Pi's configuration, once that is written.
fn token(models: &Path) -> Option<String> {
    let models: Value = serde_json::from_slice(&std::fs::read(models).ok()?).ok()?;
    Some(
        models["providers"]["sallyport"]["apiKey"]
            .as_str()?
            .to_owned(),
    )
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.ends_with(name) {
            return Some(path);
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Some(found) = find(&path, name)
        {
            return Some(found);
        }
    }
    None
}
