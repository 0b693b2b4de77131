//! What the terminal gets to see: colours where they are wanted, and no control characters from outside.

use std::io::{self, IsTerminal, Write};

/// Whether a stream shows colours: a terminal that can, and nobody said no (<https://no-color.org>).
pub fn shows_colour(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How a piece of text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Headings and what matters most.
    Bold,
    /// What is there to be looked up.
    Dim,
    /// Done, passed.
    Green,
    /// Waits for a person.
    Yellow,
    /// Failed.
    Red,
    /// Under way.
    Blue,
}

/// Puts styles on text, or does not.
#[derive(Clone, Copy, Debug)]
pub struct Painter {
    colour: bool,
}

impl Painter {
    /// For what is written to standard output.
    pub fn stdout() -> Self {
        Self {
            colour: shows_colour(&io::stdout()),
        }
    }

    /// For what is written to standard error.
    pub fn stderr() -> Self {
        Self {
            colour: shows_colour(&io::stderr()),
        }
    }

    /// Never any colour.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { colour: false }
    }

    /// Whether it puts any style on text.
    pub fn has_colour(self) -> bool {
        self.colour
    }

    /// `text` in `style`.
    pub fn paint(self, style: Style, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Red => "31",
            Style::Blue => "34",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Whether a character can steer a terminal or change the order in which text is shown.
fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}'
        )
        || ('\u{202a}'..='\u{202e}').contains(&letter)
        || ('\u{2066}'..='\u{2069}').contains(&letter)
}

/// Text from outside as one line: line breaks and tabs become spaces, all else that could steer the terminal goes.
pub fn line(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if matches!(letter, '\n' | '\t' | '\r') {
                ' '
            } else {
                letter
            }
        })
        .filter(|letter| !is_harmful(*letter))
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Text from outside with its lines and tabs; all else that could steer the terminal goes.
pub fn lines(text: &str) -> String {
    text.chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !is_harmful(*letter))
        .collect()
}

/// JSON text in which what could steer a terminal is written as an escape. Its meaning is the same.
pub fn json(value: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(value)?;
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter != '\n' && is_harmful(letter) {
            // All of them are in the basic plane, so one unit each.
            safe.push_str(&format!("\\u{:04x}", letter as u32));
        } else {
            safe.push(letter);
        }
    }
    Ok(safe)
}

/// Writes data to standard output. That the reader went away (`| head`) is no error.
pub fn print(data: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(data).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}

/// Writes a message to standard error. There is nowhere to tell that it failed.
pub fn tell(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Asks a question that only `y` or `yes` answers with yes.
pub fn confirm(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// Whether somebody is there to be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        let hostile = "a\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2Jb\r\nc\td\u{202e}e\u{7f}";
        assert_eq!(line(hostile), "a[31mred]0;title2Jb  c de");
        assert_eq!(lines(hostile), "a[31mred]0;title2Jb\nc\tde");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({"title": "a\u{1b}b\u{9b}c\u{202e}d", "line": "x\ny"});
        let text = json(&value).unwrap();
        assert!(
            text.chars()
                .all(|letter| letter == '\n' || !is_harmful(letter)),
            "{text}"
        );
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, value);
    }

    #[test]
    fn no_colour_means_no_escape() {
        assert_eq!(Painter::plain().paint(Style::Red, "x"), "x");
        let painted = Painter { colour: true }.paint(Style::Red, "x");
        assert_eq!(painted, "\u{1b}[31mx\u{1b}[0m");
    }
}
