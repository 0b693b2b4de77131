//! What `sallyport dev` says once all is up, and when something does not come up.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    instance::{DATA_DIR, Run, TOKEN_FILE},
    terminal::{self, Painter, Style},
};

/// How many lines of a log are shown when its program does not start.
const TAIL_LINES: usize = 15;
/// How many bytes of the log are looked at for them.
const TAIL_BYTES: u64 = 64 * 1024;

/// Prints where everything is and what to do next.
pub fn print(run: &Run, data: &Path, person: &str) -> anyhow::Result<()> {
    let painter = Painter::stdout();
    terminal::print(text(run, data, person, painter).as_bytes())
        .context("cannot write to the terminal")
}

fn text(run: &Run, data: &Path, person: &str, painter: Painter) -> String {
    let bold = |text: &str| painter.paint(Style::Bold, text);
    let here = std::env::current_dir().ok();
    let shown = here
        .as_deref()
        .filter(|here| {
            here.join(DATA_DIR)
                .canonicalize()
                .is_ok_and(|known| known == data)
        })
        .map_or_else(|| data.display().to_string(), |_| DATA_DIR.to_owned());
    let option = if shown == DATA_DIR {
        String::new()
    } else {
        format!(" --data-dir {shown}")
    };
    format!(
        "
{title}

  API           {starter}   (token: {shown}/{TOKEN_FILE})
  Webhook       {starter}/webhooks/flux-lens   (secret: {shown}/webhook-secret, unless you set your own)
  Temporal UI   {ui}
  Database      {database}   (password: {shown}/postgres-password)
  Logs          {shown}/logs/
  You decide as {person}

{next}

  sallyport list{option}
  sallyport status{option} FL-1
  sallyport approve{option} FL-1

{or}

  temporal workflow signal --address {temporal} --workflow-id ticket:flux-lens:FL-1 --name decide \\
    --input '{{\"gate\":\"SPEC\",\"revision\":\"REVISION\",\"decision\":\"APPROVE\",\"by\":\"{by}\"}}'

Ctrl-C stops everything; the data stays, and the next `sallyport dev` goes on from there.
",
        title = painter.paint(Style::Green, "Sallyport is ready."),
        starter = run.starter_url,
        ui = run.temporal_ui_url,
        database = run.database_url,
        person = terminal::line(person),
        by = terminal::line(person),
        next = bold("In another terminal:"),
        or = bold("Or with Temporal's own command; `sallyport status` shows the REVISION:"),
        temporal = run.temporal_address,
    )
}

/// The last lines that were written to `log` after its first `from` bytes, indented; nothing if there are none.
pub fn tail(log: &Path, from: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..]
        .iter()
        .map(|line| format!("\n    {}", terminal::line(line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_says_where_everything_is() {
        let run = Run {
            starter_url: "http://127.0.0.1:8480".into(),
            temporal_address: "127.0.0.1:7233".into(),
            temporal_ui_url: "http://127.0.0.1:8233".into(),
            database_url: "postgres://sallyport@127.0.0.1:5480/sallyport".into(),
            pids: BTreeMap::new(),
        };
        insta::assert_snapshot!(text(
            &run,
            Path::new("/srv/data"),
            "approver@example.com",
            Painter::plain()
        ));
    }

    #[test]
    fn only_the_last_lines_of_this_run_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.log");
        let before = "from the run before\n";
        let now: String = (0..20)
            .map(|number| format!("line {number}\u{1b}\n"))
            .collect();
        std::fs::write(&log, format!("{before}{now}")).unwrap();
        let shown = tail(&log, before.len() as u64);
        assert!(
            shown.starts_with("\n    line 5\n") && shown.ends_with("line 19"),
            "{shown}"
        );
        assert_eq!(tail(&log, (before.len() + now.len()) as u64), "");
        assert_eq!(tail(&folder.path().join("none"), 0), "");
    }
}
