//! What the mock says without a script: that it is one, and how to get a model.

use bartizan_engine::{
    message::Role,
    ports::model::{ModelRequest, OutputFormat},
};
use serde_json::json;

use super::reply::Reply;

/// How much of a question is repeated, in characters.
const LONGEST_ECHO: usize = 120;

pub(super) fn reply(request: &ModelRequest) -> Reply {
    let asked = request.messages.iter().rev().find(|message| message.role == Role::User);
    let asked = asked.map(|message| echo(&message.plain_text())).unwrap_or_default();
    let mut words = "This is Bartizan's mock model, not a language model: no model provider is \
                     configured. "
        .to_owned();
    if !asked.is_empty() {
        words.push_str(&format!("You said: \"{asked}\" "));
    }
    words.push_str(
        "For a real answer, set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, or a \
         provider in the configuration, and start again.",
    );
    let text = match request.output {
        OutputFormat::Text => words,
        OutputFormat::Json | OutputFormat::JsonSchema { .. } => {
            json!({"mock": true, "message": words}).to_string()
        }
    };
    Reply { text, ..Reply::default() }
}

/// The beginning of a text, on one line.
fn echo(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_ECHO) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_short_and_of_one_line() {
        assert_eq!(echo(" a\n\tb  c "), "a b c");
        assert_eq!(echo(&"ä".repeat(500)).chars().count(), LONGEST_ECHO + 1);
    }
}
