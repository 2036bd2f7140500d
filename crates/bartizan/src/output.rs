//! What is printed: the one file that writes to the terminal.
//!
//! Answers go to standard output, everything about them to standard error. Colour is for
//! terminals, and not even there where `NO_COLOR` is set (<https://no-color.org>).
//!
//! What a pack, a model or a caller wrote may hold what steers a terminal: sequences that recolour
//! it, move the cursor, turn the direction of writing. Refusals, warnings and JSON are made safe
//! here; who prints a line of their own puts foreign text through [`plain`] or [`plain_lines`].
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program prints; it does so here and nowhere else"
)]

use std::{
    borrow::Cow,
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
        line(safe_json(text));
    }
}

/// One JSON value on standard output, for people to read too.
pub fn json_pretty(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        line(safe_json(text));
    }
}

/// One JSON value on standard error, on one line.
pub fn note_json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        note(safe_json(text));
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

/// A warning on standard error, on one line.
pub fn warning(text: impl Display) {
    note(format!(
        "{} {}",
        Style::of_stderr().yellow("warning:"),
        plain(cut(&text.to_string(), LONGEST))
    ));
}

/// Why the program ends, on standard error: one line, or one JSON object for programs.
pub fn refusal(refusal: &Refusal, as_json: bool) {
    if refusal.message.is_empty() {
        return;
    }
    if as_json {
        note_json(&serde_json::json!({ "error": refusal }));
    } else {
        note(format!(
            "{} {}",
            Style::of_stderr().red("error:"),
            plain(cut(&refusal.message, LONGEST))
        ));
    }
}

/// The longest line that is printed about something, in characters.
const LONGEST: usize = 4000;

/// The beginning of a text: a key in a pack may be megabytes long, and people read no such line.
pub fn cut(text: &str, longest: usize) -> &str {
    text.char_indices().nth(longest).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Text that somebody else wrote, on one line and with what steers a terminal written out.
pub fn plain(text: &str) -> Cow<'_, str> {
    written_out(text, steers)
}

/// As [`plain`], with the text's own lines and tabs.
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    written_out(text, |character| steers(character) && !matches!(character, '\n' | '\t'))
}

/// The text of an answer: exact for programs, and for a terminal without what would steer it.
pub fn answer(text: &str) -> Cow<'_, str> {
    let unwanted = |character| steers(character) && !matches!(character, '\n' | '\t');
    if io::stdout().is_terminal() && text.contains(unwanted) {
        text.replace(unwanted, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Whether a terminal does something about the character other than show it: control characters,
/// line separators, and marks that turn the direction in which text is written.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

fn written_out(text: &str, unwanted: impl Fn(char) -> bool + Copy) -> Cow<'_, str> {
    if !text.contains(unwanted) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if unwanted(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe.into()
}

/// The same JSON, with what steers a terminal written as `\u....`. JSON itself asks that of the
/// control characters below U+0020 alone, and beyond its texts it has only line breaks.
fn safe_json(text: String) -> String {
    let unwanted = |character| steers(character) && character != '\n';
    if !text.contains(unwanted) {
        return text;
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if unwanted(character) {
            // None of them is beyond U+FFFF, so none needs two.
            safe.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            safe.push(character);
        }
    }
    safe
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let text = "a\u{1b}[31mb\u{9b}2J\r\n\u{202e}c\u{7f}\té→";
        let plain = plain(text);
        assert!(!plain.contains(steers), "{plain:?}");
        assert_eq!(plain, r"a\u{1b}[31mb\u{9b}2J\r\n\u{202e}c\u{7f}\té→");
        assert_eq!(plain_lines("a\n\tb\u{1b}"), "a\n\tb\\u{1b}");
    }

    #[test]
    fn json_stays_what_it_was() {
        let value = serde_json::json!({ "a\u{202e}": "\u{1b}[31m\u{9b}\u{7f}\n\u{2028}é" });
        let text = safe_json(serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(|character| steers(character) && character != '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
