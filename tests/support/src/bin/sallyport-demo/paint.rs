//! What the demo prints, and its colours: none without a terminal or with `NO_COLOR`.

use std::io::{IsTerminal, Write};

/// Prints one piece of text. A closed pipe is no reason to fail.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Colours, where they are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// For what goes to the standard output.
    pub fn stdout() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    /// For what goes to the standard error.
    pub fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    /// A part's title.
    pub fn heading(self, text: &str) -> String {
        format!("\n{}", self.wrap("1;36", text))
    }

    /// What matters.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What matters less.
    pub fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Good news.
    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Bad news.
    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// `text` without what a terminal would act on: it may come from a ticket, a model or a repository.
pub fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !letter.is_control())
        .collect()
}
