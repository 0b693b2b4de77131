//! A client of the model gateway that is not Pi.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
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
    let socket = child::until(LIMIT, "the gateway has a socket", async || {
        find_socket(&workspace.join("run"))
    })
    .await?;
    let body = request.body.to_string();
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\ncontent-length: {}\r\n",
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

fn find_socket(folder: &Path) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.ends_with("gw.sock") {
            return Some(path);
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Some(found) = find_socket(&path)
        {
            return Some(found);
        }
    }
    None
}
