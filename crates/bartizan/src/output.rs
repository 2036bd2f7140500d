//! What is printed: the one file that writes to the terminal.
//!
//! Answers go to standard output, everything about them to standard error. Colour is for
//! terminals, and not even there where `NO_COLOR` is set (<https://no-color.org>).
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program prints; it does so here and nowhere else"
)]

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

use serde::Serialize;

use crate::refusal::Refusal;

/// Whether colour is unwanted, set once by the commands from the environment.
static PLAIN: OnceLock<bool> = OnceLock::new();

/// Says that no colour is wanted, whatever is written to.
pub fn no_colour() {
    // Set before only by a call with the same meaning.
    let _ = PLAIN.set(true);
}

/// One line on standard output. A reader that has gone away is no fault of ours.
pub fn line(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Text on standard output, at once and without a line break: an answer as it arrives.
pub fn piece(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// One JSON value on standard output, on one line.
pub fn json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        line(text);
    }
}

/// One JSON value on standard output, for people to read too.
pub fn json_pretty(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        line(text);
    }
}

/// One line on standard error.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Text on standard error without a line break.
pub fn note_piece(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// A warning on standard error.
pub fn warning(text: impl Display) {
    note(format!("{} {text}", Style::of_stderr().yellow("warning:")));
}

/// Why the program ends, on standard error: one line, or one JSON object for programs.
pub fn refusal(refusal: &Refusal, as_json: bool) {
    if refusal.message.is_empty() {
        return;
    }
    if as_json {
        if let Ok(text) = serde_json::to_string(&serde_json::json!({ "error": refusal })) {
            note(text);
        }
    } else {
        note(format!("{} {refusal}", Style::of_stderr().red("error:")));
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    on: bool,
}

impl Style {
    /// For standard output.
    pub fn of_stdout() -> Self {
        Self { on: wanted() && io::stdout().is_terminal() }
    }

    /// For standard error.
    pub fn of_stderr() -> Self {
        Self { on: wanted() && io::stderr().is_terminal() }
    }

    /// Whether there is colour.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// Strong.
    pub fn bold(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    /// Faint.
    pub fn dim(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    /// Red.
    pub fn red(self, text: impl Display) -> String {
        self.paint("1;31", text)
    }

    /// Green.
    pub fn green(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    /// Yellow.
    pub fn yellow(self, text: impl Display) -> String {
        self.paint("33", text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

fn wanted() -> bool {
    !PLAIN.get().copied().unwrap_or(false)
}
