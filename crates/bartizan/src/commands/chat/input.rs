//! What is typed or piped in, and what it means.

use std::{
    fs,
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

use rustyline::{DefaultEditor, error::ReadlineError};

use crate::refusal::{Exit, Refusal};

/// What was said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// A message to the agent.
    Message(String),
    /// `/reset`
    Reset,
    /// `/tools`
    Tools,
    /// `/help`
    Help,
    /// `/quit`
    Quit,
    /// Some other word with a slash.
    Unknown(String),
}

/// Where messages come from.
pub enum Input {
    /// A person at a terminal, with a history.
    Terminal {
        /// The line editor.
        editor: Box<DefaultEditor>,
        /// The history's file.
        history: PathBuf,
    },
    /// A pipe or a file.
    Pipe,
}

impl Input {
    /// Standard input.
    pub fn open(history: PathBuf) -> Self {
        if !io::stdin().is_terminal() {
            return Self::Pipe;
        }
        match DefaultEditor::new() {
            Ok(mut editor) => {
                // There is none the first time.
                let _ = editor.load_history(&history);
                Self::Terminal { editor: Box::new(editor), history }
            }
            // A terminal that cannot be edited in can still be read.
            Err(_) => Self::Pipe,
        }
    }

    /// Whether a person types.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// The next thing said; none at the end.
    ///
    /// # Errors
    /// Where standard input cannot be read.
    pub fn next(&mut self) -> Result<Option<Said>, Refusal> {
        loop {
            let Some(first) = self.line("> ")? else { return Ok(None) };
            let Some(text) = self.whole(first)? else { return Ok(None) };
            if text.trim().is_empty() {
                continue;
            }
            self.remember(&text);
            return Ok(Some(meaning(text)));
        }
    }

    /// A line in answer to a question.
    ///
    /// # Errors
    /// Where standard input cannot be read.
    pub fn line(&mut self, prompt: &str) -> Result<Option<String>, Refusal> {
        let unreadable =
            |error: String| Refusal::new(Exit::Input, format!("standard input: {error}"));
        match self {
            Self::Terminal { editor, .. } => match editor.readline(prompt) {
                Ok(line) => Ok(Some(line)),
                Err(ReadlineError::Eof) => Ok(None),
                // Ctrl-C clears the line, as in a shell.
                Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
                Err(error) => Err(unreadable(error.to_string())),
            },
            Self::Pipe => {
                let mut line = String::new();
                let count = io::stdin()
                    .lock()
                    .read_line(&mut line)
                    .map_err(|error| unreadable(error.to_string()))?;
                let line = line.strip_suffix('\n').unwrap_or(&line);
                let line = line.strip_suffix('\r').unwrap_or(line);
                Ok((count > 0).then(|| line.to_owned()))
            }
        }
    }

    /// The message that begins with this line.
    fn whole(&mut self, first: String) -> Result<Option<String>, Refusal> {
        if let Some(rest) = first.trim_start().strip_prefix(QUOTES) {
            let mut lines = Vec::new();
            if !rest.is_empty() {
                lines.push(rest.to_owned());
            }
            while let Some(line) = self.line(". ")? {
                if let Some(last) = line.trim_end().strip_suffix(QUOTES) {
                    if !last.is_empty() {
                        lines.push(last.to_owned());
                    }
                    break;
                }
                lines.push(line);
            }
            return Ok(Some(lines.join("\n")));
        }
        let mut text = first;
        while let Some(begun) = text.strip_suffix('\\') {
            let begun = begun.to_owned();
            let Some(next) = self.line(". ")? else { return Ok(Some(begun)) };
            text = format!("{begun}\n{next}");
        }
        Ok(Some(text))
    }

    /// Keeps what was said for the next time. A history that cannot be written is none.
    fn remember(&mut self, text: &str) {
        let Self::Terminal { editor, history } = self else { return };
        let _ = editor.add_history_entry(text);
        if let Some(folder) = history.parent() {
            let _ = fs::create_dir_all(folder);
        }
        let _ = editor.save_history(history);
    }
}

/// What stands before and behind a message of several lines.
const QUOTES: &str = "\"\"\"";

fn meaning(text: String) -> Said {
    // A path or a date at the start of a message is no command, but a lone word with a slash is.
    let word = text.trim();
    if !word.starts_with('/') || word.contains(char::is_whitespace) {
        return Said::Message(text);
    }
    match word {
        "/reset" => Said::Reset,
        "/tools" => Said::Tools,
        "/help" => Said::Help,
        "/quit" | "/exit" => Said::Quit,
        other => Said::Unknown(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_words_are_commands() {
        assert_eq!(meaning("/quit ".into()), Said::Quit);
        assert_eq!(meaning("/qit".into()), Said::Unknown("/qit".into()));
        let message = "/etc/hosts is a file";
        assert_eq!(meaning(message.into()), Said::Message(message.into()));
    }
}
