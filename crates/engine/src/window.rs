//! What of a conversation the model is shown.
//!
//! Two things are done to a conversation on its way to the model: calls that were never
//! answered get an answer that says so (providers refuse a call without its result), and where
//! the context window is bounded, the oldest exchanges are left out. An exchange is a user
//! message with everything up to the next one, so a tool call is never split from its result
//! and what is shown begins with the user. Of an exchange that alone is too long the oldest tool
//! rounds are left out. The stored conversation stays as it was.

use std::ops::Range;

use crate::{
    failure::{Failure, FailureCode},
    message::{MediaSource, Message, Part, Role, ToolResult},
};

/// What an image or a recording is taken to weigh, in tokens, where its length in base64 says
/// nothing about it. Providers charge between a few hundred and two thousand.
const MEDIA_TOKENS: u64 = 1_000;

/// Tokens are estimated at four bytes each, the usual figure for English text; other languages
/// weigh more per character and more bytes per character alike.
const BYTES_PER_TOKEN: u64 = 4;

/// What so many bytes weigh.
pub(crate) fn estimated_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

/// What a message weighs besides its text.
const MESSAGE_TOKENS: u64 = 4;

/// Answers every call that nobody answered before the conversation went on.
pub(crate) fn answer_open_calls(messages: &mut Vec<Message>) {
    let mut index = 0;
    while index < messages.len() {
        let mut open: Vec<(String, String)> =
            messages[index].tool_calls().map(|call| (call.id.clone(), call.name.clone())).collect();
        index += 1;
        if open.is_empty() {
            continue;
        }
        while let Some(message) = messages.get(index).filter(|next| next.role == Role::Tool) {
            for part in &message.parts {
                if let Part::ToolResult(result) = part {
                    open.retain(|(id, _)| *id != result.call_id);
                }
            }
            index += 1;
        }
        if !open.is_empty() {
            let parts = open
                .into_iter()
                .map(|(call_id, name)| Part::ToolResult(without_result(call_id, name)));
            messages.insert(index, Message::new(Role::Tool, parts.collect()));
            index += 1;
        }
    }
}

/// The result of a call whose turn ended before there was one. The tool may have been at work then,
/// so nothing is claimed about what it did.
fn without_result(call_id: String, name: String) -> ToolResult {
    ToolResult {
        call_id,
        name,
        content: "no result: the turn ended before the tool answered; it may have run".into(),
        is_error: true,
    }
}

/// What of a conversation is shown: a question, and all messages from some place on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The newest question where it stands apart from what follows; empty otherwise.
    pub(crate) question: Range<usize>,
    /// The first of the messages shown to the end.
    pub(crate) from: usize,
}

/// What to show, so that it fits into `window` tokens together with `fixed` bytes of system
/// prompt and tools. Of an exchange that is too long in itself, the question and its newest tool
/// rounds: a turn must not fail for having worked long.
///
/// # Errors
/// [`FailureCode::ContextTooLong`] where not even that fits.
pub(crate) fn shown(
    messages: &[Message],
    fixed: usize,
    window: Option<u64>,
) -> Result<Shown, Failure> {
    let Some(window) = window else { return Ok(Shown { question: 0..0, from: 0 }) };
    if let Some(from) = first_shown(messages, fixed, window) {
        return Ok(Shown { question: from..from, from });
    }
    newest_rounds(messages, fixed, window).ok_or_else(|| {
        Failure::new(
            FailureCode::ContextTooLong,
            format!(
                "the newest message and the agent's prompt need more than the context window of \
                 {window} tokens; shorten the message or raise limits.context_tokens"
            ),
        )
        .param("messages")
    })
}

/// The newest question and as many of the tool rounds after it as fit, the newest of them.
fn newest_rounds(messages: &[Message], fixed: usize, window: u64) -> Option<Shown> {
    let is_question = |message: &Message| message.role == Role::User;
    let last = messages.iter().rposition(is_question)?;
    let first = messages[..last].iter().rposition(|message| !is_question(message));
    let question = first.map_or(0, |before| before + 1)..last + 1;
    let mut used = fixed as u64 / BYTES_PER_TOKEN;
    used += messages[question.clone()].iter().map(tokens).sum::<u64>();
    let mut from = None;
    for (index, message) in messages.iter().enumerate().skip(question.end).rev() {
        used = used.saturating_add(tokens(message));
        if used > window {
            break;
        }
        // Every result stands after its call.
        if message.role == Role::Assistant {
            from = Some(index);
        }
    }
    from.map(|from| Shown { question, from })
}

/// The first message of the oldest exchange that fits with all after it; none where not even
/// the newest does.
fn first_shown(messages: &[Message], fixed: usize, window: u64) -> Option<usize> {
    let mut used = fixed as u64 / BYTES_PER_TOKEN;
    let mut first = messages.len();
    for (index, message) in messages.iter().enumerate().rev() {
        used = used.saturating_add(tokens(message));
        if used > window {
            break;
        }
        let begins_exchange = message.role == Role::User
            && index.checked_sub(1).is_none_or(|before| messages[before].role != Role::User);
        if begins_exchange || index == 0 {
            first = index;
        }
    }
    (first < messages.len() || messages.is_empty()).then_some(first)
}

/// An estimate of what a message weighs.
fn tokens(message: &Message) -> u64 {
    let bytes: u64 = message.parts.iter().map(part_bytes).sum();
    MESSAGE_TOKENS + bytes / BYTES_PER_TOKEN
}

fn part_bytes(part: &Part) -> u64 {
    let length = match part {
        Part::Text { text } => text.len(),
        Part::Media(media) => {
            return MEDIA_TOKENS * BYTES_PER_TOKEN
                + match &media.source {
                    MediaSource::Base64(_) => 0,
                    MediaSource::Url(url) => url.len() as u64,
                };
        }
        Part::ToolCall(call) => call.name.len() + call.arguments.to_string().len(),
        Part::ToolResult(result) => result.name.len() + result.content_text().len(),
    };
    length as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::message::ToolCall;

    fn call(id: &str) -> Message {
        Message::new(
            Role::Assistant,
            vec![Part::ToolCall(ToolCall {
                id: id.into(),
                name: "look".into(),
                arguments: json!({}),
                provider_state: vec![],
            })],
        )
    }

    fn result(id: &str) -> Message {
        Message::new(
            Role::Tool,
            vec![Part::ToolResult(ToolResult {
                call_id: id.into(),
                name: "look".into(),
                content: "seen".into(),
                is_error: false,
            })],
        )
    }

    #[test]
    fn an_unanswered_call_is_answered_where_it_stands() {
        let mut messages =
            vec![Message::text(Role::User, "a"), call("1"), Message::text(Role::User, "b")];
        answer_open_calls(&mut messages);
        assert_eq!(messages.len(), 4);
        assert_eq!(messages[2].role, Role::Tool);
        let again = messages.clone();
        answer_open_calls(&mut messages);
        assert_eq!(messages, again, "an answered call is left alone");
    }

    #[test]
    fn the_oldest_exchanges_are_left_out() {
        let messages = vec![
            Message::text(Role::User, "x".repeat(400)),
            Message::text(Role::Assistant, "y".repeat(400)),
            Message::text(Role::User, "z".repeat(40)),
        ];
        assert_eq!(shown(&messages, 0, Some(50)).unwrap().from, 2);
        assert_eq!(shown(&messages, 0, Some(5000)).unwrap().from, 0);
        assert_eq!(shown(&messages, 0, None).unwrap().from, 0);
    }

    #[test]
    fn a_message_larger_than_the_window_is_refused() {
        let messages = vec![Message::text(Role::User, "x".repeat(4000))];
        let failure = shown(&messages, 0, Some(100)).unwrap_err();
        assert_eq!(failure.code, FailureCode::ContextTooLong);
    }

    #[test]
    fn of_a_long_turn_the_question_and_the_newest_rounds_are_shown() {
        let mut messages = vec![
            Message::text(Role::User, "before"),
            Message::text(Role::Assistant, "yes"),
            Message::text(Role::User, "the question"),
        ];
        for round in 0..20 {
            messages.push(call(&round.to_string()));
            messages.push(result(&round.to_string()));
        }
        let shown = shown(&messages, 0, Some(60)).unwrap();
        assert_eq!(shown.question, 2..3);
        assert_eq!(messages[shown.from].role, Role::Assistant);
        assert!(shown.from > 30 && shown.from < messages.len(), "{shown:?}");
    }

    proptest! {
        /// Whatever the conversation and the window, what is shown begins with a user message
        /// and holds the call of every result in it.
        #[test]
        fn no_result_is_shown_without_its_call(
            exchanges in proptest::collection::vec((0usize..200, 0usize..4), 1..20),
            window in 10u64..2000,
        ) {
            let mut messages = Vec::new();
            let mut next = 0;
            for (length, calls) in exchanges {
                messages.push(Message::text(Role::User, "u".repeat(length)));
                for _ in 0..calls {
                    next += 1;
                    messages.push(call(&next.to_string()));
                    messages.push(result(&next.to_string()));
                }
                messages.push(Message::text(Role::Assistant, "a".repeat(length)));
            }
            messages.push(Message::text(Role::User, "the newest"));
            if let Some(first) = first_shown(&messages, 0, window) {
                let shown = &messages[first..];
                prop_assert_eq!(shown[0].role, Role::User);
                let mut calls = Vec::new();
                for part in shown.iter().flat_map(|message| &message.parts) {
                    match part {
                        Part::ToolCall(call) => calls.push(call.id.clone()),
                        Part::ToolResult(result) => prop_assert!(calls.contains(&result.call_id)),
                        _ => {}
                    }
                }
            }
        }
    }
}
