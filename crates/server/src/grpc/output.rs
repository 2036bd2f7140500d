//! What the engine tells, as clients of the contract understand it.

use bartizan_engine::{
    agent::Consent,
    event::StopReason,
    message::{Media, MediaKind, MediaSource, ToolCall},
    usage::Usage,
};

use super::wire::{self, ServerMessage, server_message::Message};

/// What this runtime can do, by the contract's names. Only what works is here; the same set is
/// in every hello and in `Health`.
const CAPABILITIES: [&str; 2] = ["invoke", "client_tools"];

/// The capabilities as the wire wants them.
pub(super) fn capabilities() -> Vec<String> {
    CAPABILITIES.map(str::to_owned).into()
}

/// The first frame of every stream.
pub(super) fn hello() -> ServerMessage {
    frame(Message::RuntimeHello(wire::RuntimeHello { capabilities: capabilities(), media: None }))
}

/// Some text. Empty text is sent only to say that the turn is still at work.
pub(super) fn chunk(content: String) -> ServerMessage {
    frame(Message::Chunk(wire::Chunk { content, role: String::new() }))
}

/// A tool for the client to run.
pub(super) fn tool_call(call: &ToolCall, consent: Option<&Consent>) -> ServerMessage {
    let consent = consent.cloned().unwrap_or_default();
    frame(Message::ToolCall(wire::ToolCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments_json: call.arguments.to_string(),
        execution: wire::ToolExecution::Client.into(),
        consent_message: consent.message.unwrap_or_default(),
        categories: consent.categories,
    }))
}

/// The end of a turn that ended well.
pub(super) fn done(
    text: &str,
    stop_reason: &StopReason,
    media: Vec<Media>,
    used: &Usage,
) -> ServerMessage {
    frame(Message::Done(wire::Done {
        final_content: final_content(text, stop_reason, &media),
        usage: Some(usage(used)),
        parts: parts(text, media),
    }))
}

/// What is archived of the turn. A facade keeps nothing of a turn whose final content is empty,
/// so an answer without text is described in square brackets.
fn final_content(text: &str, stop_reason: &StopReason, media: &[Media]) -> String {
    if !text.is_empty() {
        return text.to_owned();
    }
    if !media.is_empty() {
        let types: Vec<&str> = media.iter().map(|medium| medium.mime_type.as_str()).collect();
        return format!("[The agent answered without text: {}.]", types.join(", "));
    }
    match stop_reason {
        StopReason::ContentFilter => "[The model's provider withheld the answer.]",
        StopReason::MaxTokens => "[The output limit was reached before the agent wrote anything.]",
        _ => "[The agent answered without text.]",
    }
    .to_owned()
}

/// The answer in pieces, where it is more than text.
fn parts(text: &str, media: Vec<Media>) -> Vec<wire::ContentPart> {
    if media.is_empty() {
        return Vec::new();
    }
    let said = (!text.is_empty()).then(|| wire::ContentPart {
        r#type: "text".into(),
        text: text.to_owned(),
        media: None,
    });
    said.into_iter().chain(media.into_iter().map(media_part)).collect()
}

fn media_part(media: Media) -> wire::ContentPart {
    let kind = match media.kind {
        MediaKind::Document => "file",
        kind => kind.as_str(),
    };
    let (data, url) = match media.source {
        MediaSource::Base64(data) => (data, String::new()),
        MediaSource::Url(url) => (String::new(), url),
    };
    let media =
        wire::MediaContent { data, url, mime_type: media.mime_type, storage_ref: String::new() };
    wire::ContentPart { r#type: kind.into(), text: String::new(), media: Some(media) }
}

/// What a turn used, as the wire counts it.
pub(super) fn usage(usage: &Usage) -> wire::Usage {
    let tokens = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
    wire::Usage {
        input_tokens: tokens(usage.input_tokens),
        output_tokens: tokens(usage.output_tokens),
        // The contract has single precision; a turn's cost needs no more.
        cost_usd: usage.cost_usd.unwrap_or_default() as f32,
    }
}

fn frame(message: Message) -> ServerMessage {
    ServerMessage { message: Some(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_text_is_described() {
        let image = Media {
            kind: MediaKind::Image,
            mime_type: "image/png".into(),
            source: MediaSource::Base64("AAAA".into()),
            name: None,
        };
        let content =
            |text: &str, reason: StopReason, media: &[Media]| final_content(text, &reason, media);
        assert_eq!(content("Yes.", StopReason::EndTurn, &[]), "Yes.");
        assert!(content("", StopReason::EndTurn, &[image]).contains("image/png"));
        assert!(content("", StopReason::ContentFilter, &[]).contains("withheld"));
        assert!(!content("", StopReason::EndTurn, &[]).is_empty());
    }

    #[test]
    fn counts_that_do_not_fit_are_as_large_as_can_be() {
        let wire = usage(&Usage { input_tokens: u64::MAX, output_tokens: 7, ..Usage::default() });
        assert_eq!((wire.input_tokens, wire.output_tokens), (i32::MAX, 7));
    }
}
