//! How news is shown: lines, or JSON; and on a terminal one line below them that says how the ticket stands.

use std::io::{self, IsTerminal as _};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use comfy_table::Table;
use sallyport_workflows::{State, text::shorten};

use super::news::Event;
use crate::{
    client::WorkflowView,
    commands::{
        count, duration, json_line, logs, money,
        next_steps::Step,
        print,
        question::{self, question},
        records,
        status::{state, title},
        style_of, time,
    },
    exit::Problem,
    terminal::{Painter, Style, line},
};

/// Takes the cursor to the line's start and empties the line.
const EMPTY_LINE: &str = "\r\u{1b}[2K";

/// Where news is shown.
pub struct Screen {
    as_json: bool,
    redraws: bool,
    painter: Painter,
    /// The day of the last time that was shown.
    day: Option<NaiveDate>,
    /// Whether the last line is one that is drawn anew.
    stands: bool,
    /// What was shown, where a test keeps it.
    kept: Option<String>,
}

impl Screen {
    /// Lines to standard output; on a terminal with a line that is drawn anew.
    pub fn new(as_json: bool) -> Self {
        let can_redraw = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self {
            as_json,
            redraws: !as_json && can_redraw && io::stdout().is_terminal(),
            painter: Painter::stdout(),
            day: None,
            stands: false,
            kept: None,
        }
    }

    /// One that keeps what it shows.
    #[cfg(test)]
    pub fn kept(as_json: bool) -> Self {
        Self {
            kept: Some(String::new()),
            ..Self::new(as_json)
        }
    }

    /// What was shown.
    #[cfg(test)]
    pub fn shown(&self) -> &str {
        self.kept.as_deref().unwrap_or_default()
    }

    /// Whether there is a line that is drawn anew.
    pub fn redraws(&self) -> bool {
        self.redraws
    }

    /// Which ticket it is.
    pub fn head(&mut self, view: &WorkflowView) -> Result<(), Problem> {
        if self.as_json {
            return Ok(());
        }
        let ticket = self
            .painter
            .paint(Style::Bold, line(&view.workflow.ticket_id));
        let title = self.painter.paint(Style::Bold, title(view));
        self.put(&format!("{ticket}  {title}\n"))
    }

    /// How many of the agent's lines are not shown.
    pub fn earlier_lines(&mut self, number: usize, view: &WorkflowView) -> Result<(), Problem> {
        let text = format!(
            "{} of the agent came before those shown here: sallyport logs {}",
            count(number as u64, "line"),
            line(&view.workflow.ticket_id)
        );
        let text = self.painter.paint(Style::Dim, text);
        self.put(&format!("{text}\n"))
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event, now: DateTime<Utc>) -> Result<(), Problem> {
        if self.as_json {
            return self.print(&json_line(event)?);
        }
        let day = event.at().map(|at| at.date_naive());
        if let Some(day) = day.filter(|day| self.day != Some(*day)) {
            self.day = Some(day);
            let text = self.painter.paint(Style::Dim, format!("{day} (UTC)"));
            self.put(&format!("{text}\n"))?;
        }
        self.put(&text(event, now, self.painter))
    }

    /// Says how the ticket stands, in place of what was said of it before.
    pub fn stand(&mut self, text: &str) -> Result<(), Problem> {
        if !self.redraws {
            return Ok(());
        }
        // One column stays free: a full line would begin another one.
        let width = Table::new().width().unwrap_or(80).saturating_sub(1);
        let text = shorten(text, width.into());
        self.stands = true;
        let text = self.painter.paint(Style::Dim, text);
        self.print(&format!("{EMPTY_LINE}{text}"))
    }

    /// Takes the line away that is drawn anew.
    pub fn clear(&mut self) -> Result<(), Problem> {
        self.put("")
    }

    fn put(&mut self, text: &str) -> Result<(), Problem> {
        if std::mem::take(&mut self.stands) {
            self.print(EMPTY_LINE)?;
        }
        self.print(text)
    }

    fn print(&mut self, text: &str) -> Result<(), Problem> {
        match &mut self.kept {
            Some(kept) => {
                kept.push_str(text);
                Ok(())
            }
            None => print(text),
        }
    }
}

/// How the ticket stands, in one line.
pub fn standing(view: &WorkflowView, now: DateTime<Utc>) -> String {
    let status = view.status.as_ref();
    let since = status.map_or(view.workflow.since, |status| status.since);
    let mut parts = vec![format!(
        "{}  {} for {}",
        line(&view.workflow.ticket_id),
        state(view),
        duration(now - since)
    )];
    if !view.live {
        parts.push("no worker answers now".to_owned());
    }
    let deadline = question(view).map(|question| question.deadline);
    let deadline = deadline.or_else(|| status.and_then(|status| status.deadline));
    if let Some(deadline) = deadline {
        parts.push(format!("{} left", duration(deadline - now)));
    }
    let usage = status.map_or(view.workflow.usage, |status| status.usage);
    parts.push(money(usage.cost_micro_usd));
    if let Some(seconds) = status
        .map(|status| status.agent_seconds)
        .filter(|seconds| *seconds > 0)
    {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / 1000);
        parts.push(format!("agent {}", duration(TimeDelta::seconds(seconds))));
    }
    parts.join(" · ")
}

/// An event in lines, each with its end.
pub fn text(event: &Event, now: DateTime<Utc>, painter: Painter) -> String {
    let clock = event
        .at()
        .map_or_else(|| " ".repeat(8), |at| at.format("%H:%M:%S").to_string());
    let clock = painter.paint(Style::Dim, clock);
    match event {
        Event::Transition(transition) => {
            let state = painter.paint(style_of(transition.to), transition.to.as_str());
            let reason = transition.reason.as_deref().map(line).unwrap_or_default();
            format!("{}\n", format!("{clock}  {state}  {reason}").trim_end())
        }
        Event::Log(row) => format!("{clock}      {}\n", logs::without_time(row, painter)),
        Event::Decision(decision) => {
            format!("{clock}  {}\n", records::decision_text(decision))
        }
        Event::Command(given) => format!("{clock}  {}\n", records::command_text(given)),
        Event::Note { text } => format!("{clock}  note: {}\n", line(text)),
        Event::PlannerAsks { open, deadline } => {
            let lines = question::planner_lines(open, *deadline, now);
            block(&lines, &[], painter)
        }
        Event::Question { question, next } => {
            let mut lines = question::lines(question, now, painter);
            if let Some(first) = lines.first_mut() {
                first.insert_str(0, "Gate ");
            }
            block(&lines, next, painter)
        }
        Event::Waiting {
            state,
            failure,
            deadline,
            next,
        } => {
            let mut lines = vec![match state {
                State::PrClosed => {
                    "The pull request is closed, and can be opened again.".to_owned()
                }
                _ => "The ticket is parked, and waits for somebody to take it up or give it up."
                    .to_owned(),
            }];
            if let Some(failure) = failure.as_ref().filter(|_| state.is_parked()) {
                let kind = painter.paint(Style::Red, line(&failure.kind));
                lines.push(format!(
                    "{kind} in {}: {}",
                    line(&failure.step),
                    line(&failure.message)
                ));
            }
            if let Some(deadline) = deadline {
                lines.push(format!(
                    "The ticket is cancelled in {} (at {}).",
                    duration(*deadline - now),
                    time(*deadline)
                ));
            }
            block(&lines, next, painter)
        }
        Event::Unreachable { message } => {
            let text = format!("{}; trying again until it does", line(message));
            format!("{clock}  {}\n", painter.paint(Style::Yellow, text))
        }
        Event::Reachable => format!(
            "{clock}  {}\n",
            painter.paint(Style::Green, "it answers again")
        ),
        Event::End {
            state, unapproved, ..
        } => {
            let state = painter.paint(style_of(*state), state.as_str());
            let flag = match unapproved {
                true => painter.paint(
                    Style::Red,
                    ", merged without the approval that the policy asks for",
                ),
                false => String::new(),
            };
            format!("\nThe ticket has ended: {state}{flag}\n")
        }
    }
}

/// What is asked, and below it what to type.
fn block(lines: &[String], next: &[Step], painter: Painter) -> String {
    let mut text = "\n".to_owned();
    for (index, line) in lines.iter().enumerate() {
        let indent = if index == 0 { "  " } else { "    " };
        text.push_str(&format!("{indent}{line}\n"));
    }
    let width = next
        .iter()
        .map(|step| step.command.len())
        .max()
        .unwrap_or(0);
    for step in next {
        text.push_str(&format!(
            "      {}  {}\n",
            painter.paint(Style::Bold, format!("{:<width$}", step.command)),
            painter.paint(Style::Dim, step.why)
        ));
    }
    text.push('\n');
    text
}
