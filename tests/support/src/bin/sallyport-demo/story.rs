//! The ticket's story as it happens: states, the agent's progress, and the questions at the gates.

use std::{collections::VecDeque, io::BufRead, sync::mpsc, time::Duration};

use anyhow::{Context, bail};
use sallyport_test_support::{full_story::Answer, installation::Installation, tools::TestTools};
use serde_json::Value;

use crate::paint::{Paint, plain, say};

/// What the story has told so far.
struct Told<'a> {
    installation: &'a Installation,
    id: &'a str,
    paint: &'a Paint,
    transitions: usize,
    log: u64,
    asked: String,
    answers: Option<mpsc::Receiver<String>>,
    /// What is answered where nobody is asked; an approval when it is empty.
    script: VecDeque<Answer>,
}

/// Tells the ticket's story until it ends or is parked; answers whether it was completed.
///
/// `script` is what is answered where nobody is asked, gate by gate.
pub async fn follow(
    installation: &Installation,
    id: &str,
    yes: bool,
    script: &[Answer],
    paint: &Paint,
) -> anyhow::Result<bool> {
    let mut told = Told {
        installation,
        id,
        paint,
        transitions: 0,
        log: 0,
        asked: String::new(),
        answers: (!yes).then(answers),
        script: script.iter().copied().collect(),
    };
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    loop {
        pace.tick().await;
        // Until the webhook was worked off there is no such ticket.
        let Ok(view) = installation.api.ticket(id).await else {
            continue;
        };
        told.transitions(&view);
        told.agent_log().await?;
        let state = view["workflow"]["state"].as_str().unwrap_or_default();
        match state {
            "COMPLETED" => return Ok(true),
            "PR_CLOSED" if told.answers.is_some() => told.offer_reopening()?,
            "SPEC_REJECTED" | "CANCELLED" | "ERROR" | "QA_FAILED" | "PR_CLOSED" => {
                let reason = view["transitions"]
                    .as_array()
                    .and_then(|all| all.last()?["reason"].as_str());
                say(&paint.red(&format!(
                    "The ticket is {state}: {}",
                    plain(reason.unwrap_or("no reason given"))
                )));
                return Ok(false);
            }
            _ => told.gate(&view).await?,
        }
    }
}

/// Prints the whole timeline.
pub async fn show_timeline(
    installation: &Installation,
    id: &str,
    paint: &Paint,
) -> anyhow::Result<()> {
    let view = installation.api.ticket(id).await?;
    say(&paint.heading("The whole story, as the ledger has it"));
    for transition in view["transitions"].as_array().into_iter().flatten() {
        say(&line(transition, paint));
    }
    let status = installation
        .flux_lens
        .status(id)
        .map(|status| format!("{status:?}"));
    say(&format!(
        "\nTicket {id} in Flux Lens: {}",
        paint.green(&status.unwrap_or_default())
    ));
    for comment in installation.flux_lens.comments(id) {
        let first = comment.text.lines().next().unwrap_or_default();
        say(&paint.faint(&format!("  comment: {}", plain(first))));
    }
    Ok(())
}

impl Told<'_> {
    fn transitions(&mut self, view: &Value) {
        let all = view["transitions"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for transition in all.iter().skip(self.transitions) {
            say(&line(transition, self.paint));
        }
        self.transitions = all.len().max(self.transitions);
    }

    async fn agent_log(&mut self) -> anyhow::Result<()> {
        let page = self
            .installation
            .api
            .get(&format!("/agent/logs/{}?after={}", self.id, self.log))
            .await?;
        for entry in page["logs"].as_array().into_iter().flatten() {
            let text = |key: &str| plain(entry[key].as_str().unwrap_or_default());
            let tool = match (text("tool").as_str(), text("path").as_str()) {
                ("", _) => String::new(),
                (tool, "") => format!("[{tool}] "),
                (tool, path) => format!("[{tool} {path}] "),
            };
            let message: String = text("message")
                .replace('\n', " ")
                .chars()
                .take(150)
                .collect();
            say(&self.paint.faint(&format!("      agent  {tool}{message}")));
        }
        self.log = page["next"].as_u64().unwrap_or(self.log);
        Ok(())
    }

    async fn gate(&mut self, view: &Value) -> anyhow::Result<()> {
        let gate = &view["status"]["open_gate"];
        let (Some(approval), Some(name)) = (gate["approval_id"].as_str(), gate["gate"].as_str())
        else {
            return Ok(());
        };
        if self.asked != approval {
            self.asked = approval.to_owned();
            self.ask(name, gate).await?;
            if self.answers.is_none() {
                let (verb, message) = self.scripted(name)?;
                return self.decide(verb, message);
            }
            self.script.pop_front();
        }
        let Some(answers) = &self.answers else {
            return Ok(());
        };
        match answers.try_recv() {
            Ok(answer) => self.answer(answer.trim()),
            Err(mpsc::TryRecvError::Empty) => Ok(()),
            Err(mpsc::TryRecvError::Disconnected) => {
                bail!("there is nobody left to ask: the input is closed")
            }
        }
    }

    /// The next answer of the script, which is for the gate that asks.
    fn scripted(&mut self, gate: &str) -> anyhow::Result<(&'static str, Option<&'static str>)> {
        match self.script.pop_front() {
            Some(answer) if answer.gate == gate => Ok((answer.verb, answer.message)),
            Some(answer) => bail!(
                "gate {gate} asks, and the story has an answer for {}",
                answer.gate
            ),
            None => Ok(("approve", None)),
        }
    }

    /// A closed pull request can be opened again for a week; the demo waits for as long as somebody is there.
    fn offer_reopening(&mut self) -> anyhow::Result<()> {
        const CLOSED: &str = "closed";
        if self.asked != CLOSED {
            self.asked = CLOSED.to_owned();
            say(
                "The pull request is closed; its branch stays. Answer  o  to reopen it, Ctrl-C to leave it so.",
            );
        }
        match self.answers.as_ref().map(mpsc::Receiver::try_recv) {
            Some(Ok(answer)) if matches!(answer.trim(), "o" | "reopen") => {
                self.run(&["reopen", self.id])
            }
            Some(Ok(_)) => {
                say("Please answer  o , or Ctrl-C");
                Ok(())
            }
            Some(Err(mpsc::TryRecvError::Disconnected)) => {
                bail!("there is nobody left to ask: the input is closed")
            }
            _ => Ok(()),
        }
    }

    async fn ask(&self, name: &str, gate: &Value) -> anyhow::Result<()> {
        let api = &self.installation.api;
        let title = match name {
            "SPEC" => {
                let spec = api.text(&format!("/workflows/{}/spec", self.id)).await?;
                say(&format!("\n{}\n", indented(&spec)));
                "Gate 1: shall this SPEC be carried out?"
            }
            "SCOPE" => {
                let approval = gate["approval_id"].as_str().unwrap_or_default();
                let wish = api.get(&format!("/approvals/{approval}/content")).await?;
                say(&format!("\n{}\n", asked_for(&wish)));
                "Between the gates: may the agent change these further files?"
            }
            _ => {
                let report = api
                    .text(&format!("/workflows/{}/qa-report", self.id))
                    .await?;
                say(&format!("\n{}\n", indented(&report)));
                let diff = api.text(&format!("/workflows/{}/diff", self.id)).await?;
                say(&format!("{}\n", self.coloured(&indented(&diff))));
                "Gate 2: shall this pull request be merged?"
            }
        };
        say(&self.paint.bold(title));
        if let Some(first) = gate["base_change"]["first"].as_str() {
            say(&format!(
                "It asks again: files in scope changed on the base branch meanwhile, such as {}.",
                plain(first)
            ));
        }
        let revision = gate["revision"].as_str().unwrap_or_default();
        say(&format!(
            "It asks about revision {} until {}.",
            revision.get(..16).unwrap_or(revision),
            plain(&time(gate["deadline"].as_str().unwrap_or_default()))
        ));
        if self.answers.is_some() {
            let temporal = TestTools::load()?.temporal;
            let answers = match name {
                "SCOPE" => "a (allow),  x (refuse)",
                _ => "a (approve),  r TEXT (revise),  x (reject)",
            };
            say(&format!(
                "Answer here with  {answers}  — or anywhere else, for instance:\n{}",
                self.paint.faint(&format!(
                    "  {} workflow signal --address {} --workflow-id ticket:flux-lens:{} --name decide \\\n    \
                     --input '{{\"gate\":\"{name}\",\"revision\":\"{revision}\",\"decision\":\"APPROVE\",\
                     \"by\":\"you@example.com\"}}'",
                    temporal.display(),
                    self.installation.run.temporal_address,
                    self.id
                ))
            ));
        }
        Ok(())
    }

    fn answer(&self, answer: &str) -> anyhow::Result<()> {
        match answer.split_once(' ').unwrap_or((answer, "")) {
            ("a" | "approve" | "y" | "yes", _) => self.decide("approve", None),
            ("x" | "reject", _) => self.decide("reject", None),
            ("r" | "revise", text) if !text.trim().is_empty() => {
                self.decide("revise", Some(text.trim()))
            }
            ("r" | "revise", _) => {
                say("Say what to change: r TEXT");
                Ok(())
            }
            _ => {
                say("Please answer  a,  r TEXT  or  x");
                Ok(())
            }
        }
    }

    /// Decides as a user would, with the `sallyport` command.
    fn decide(&self, verb: &str, message: Option<&str>) -> anyhow::Result<()> {
        let mut arguments = vec![verb, self.id, "--yes"];
        if let Some(message) = message {
            arguments.extend(["-m", message]);
        }
        self.run(&arguments)
    }

    /// Runs the `sallyport` command and shows it.
    fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        say(&self
            .paint
            .bold(&format!("$ sallyport {}", arguments.join(" "))));
        let output = self
            .installation
            .sallyport(arguments)?
            .output()
            .context("cannot run `sallyport`")?;
        let printed = [output.stderr, output.stdout].concat();
        say(&plain(String::from_utf8_lossy(&printed).trim_end()));
        if !output.status.success() && self.answers.is_none() {
            bail!("that was refused");
        }
        Ok(())
    }

    fn coloured(&self, diff: &str) -> String {
        let line = |line: &str| match line.trim_start().chars().next() {
            Some('+') => self.paint.green(line),
            Some('-') => self.paint.red(line),
            _ => line.to_owned(),
        };
        diff.lines().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// `2026-11-24T21:05:18.347244Z` as people read it.
fn time(text: &str) -> String {
    let minutes: String = text.chars().take(16).collect();
    format!("{} UTC", minutes.replace('T', " "))
}

fn line(transition: &Value, paint: &Paint) -> String {
    let text = |key: &str| plain(transition[key].as_str().unwrap_or_default());
    let time: String = text("at").chars().skip(11).take(8).collect();
    let reason = match text("reason") {
        reason if reason.is_empty() => String::new(),
        reason => format!("  {reason}"),
    };
    format!(
        "  {time}  {}{reason}",
        paint.green(&format!("{:<24}", text("to")))
    )
}

/// The files that the agent asks for, and its reason.
fn asked_for(wish: &Value) -> String {
    let paths = wish["paths"].as_array().into_iter().flatten();
    let paths: Vec<&str> = paths.filter_map(Value::as_str).collect();
    let reason = wish["reason"].as_str().unwrap_or_default();
    format!(
        "    The agent asks for:\n{}\n    Its reason:\n{}",
        indented(&indented(&paths.join("\n"))),
        indented(&indented(reason))
    )
}

fn indented(text: &str) -> String {
    plain(text)
        .lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Reads the terminal in a thread of its own, so that the story goes on while nobody answers.
fn answers() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
