//! Messages and parts on the wire, both ways.
//!
//! These are not the engine's own types: what those say to a store may change without a client
//! noticing, and what a provider wants back untouched is nobody else's business.

use bartizan_engine::{
    event::StopReason,
    message::{self, MediaKind, MediaSource, Message, Role, ToolCall, ToolResult},
    ports::store::StoredMessage,
    usage::Usage,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::media;

/// One piece of a message.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, a recording, a video or a document: `data` or `url`.
    Media(MediaPart),
    /// The model asks for a tool.
    ToolCall {
        /// Names the call.
        id: String,
        /// The tool.
        name: String,
        /// The arguments.
        arguments: Value,
    },
    /// A tool's answer.
    ToolResult {
        /// The call answered.
        call_id: String,
        /// The tool.
        #[serde(default)]
        name: String,
        /// The answer: any JSON value.
        content: Value,
        /// Whether the tool failed.
        #[serde(default)]
        is_error: bool,
    },
}

/// An image, a recording, a video or a document.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct MediaPart {
    /// `image`, `audio`, `video` or `document`, by the media type. Not read.
    #[serde(default)]
    kind: String,
    /// Its media type (RFC 6838).
    #[schema(example = "image/png")]
    mime_type: String,
    /// Its bytes in base64 (RFC 4648 section 4, with padding).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    /// Where it is. The model's provider fetches it; Bartizan never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// A file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// A message of a session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionMessage {
    /// 1 for the first of the session, then one more each.
    sequence: u64,
    /// Who speaks.
    #[schema(value_type = String, example = "user")]
    role: Role,
    /// All text of the message; of a tool's message, what the tools answered.
    content: String,
    /// The message's parts, where it is more than text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
    /// False where the message was cut off and only what had arrived is here.
    complete: bool,
    /// The run that wrote it.
    #[schema(value_type = String)]
    run_id: bartizan_engine::identity::RunId,
    /// When it was written (RFC 3339).
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Tokens and money, as the provider counted them.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageObject {
    /// Tokens read, cached ones included.
    input_tokens: u64,
    /// Tokens written, reasoning included.
    output_tokens: u64,
    /// Of those read, those from the provider's cache.
    cached_tokens: u64,
    /// Of those written, those spent on reasoning.
    reasoning_tokens: u64,
    /// US dollars by the configured prices; null where the model has none.
    cost_usd: Option<f64>,
}

impl Part {
    /// The part as the engine takes it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn translate(self) -> Result<message::Part, String> {
        Ok(match self {
            Self::Text { text } => message::Part::Text { text },
            Self::Media(part) => message::Part::Media(part.translate()?),
            Self::ToolCall { id, name, arguments } => {
                message::Part::ToolCall(ToolCall { id, name, arguments, provider_state: vec![] })
            }
            Self::ToolResult { call_id, name, content, is_error } => {
                message::Part::ToolResult(ToolResult { call_id, name, content, is_error })
            }
        })
    }
}

impl MediaPart {
    fn translate(self) -> Result<message::Media, String> {
        match (self.data, self.url) {
            (Some(data), None) => media::inline(&self.mime_type, data, self.name),
            (None, Some(url)) => media::at(&url, &self.mime_type, self.name),
            _ => Err("a media part has either data or url".to_owned()),
        }
    }
}

impl From<message::Media> for MediaPart {
    fn from(media: message::Media) -> Self {
        let (data, url) = match media.source {
            MediaSource::Base64(data) => (Some(data), None),
            MediaSource::Url(url) => (None, Some(url)),
        };
        let kind = MediaKind::as_str(media.kind).to_owned();
        Self { kind, mime_type: media.mime_type, data, url, name: media.name }
    }
}

impl From<message::Part> for Part {
    fn from(part: message::Part) -> Self {
        match part {
            message::Part::Text { text } => Self::Text { text },
            message::Part::Media(media) => Self::Media(media.into()),
            message::Part::ToolCall(call) => call.into(),
            message::Part::ToolResult(result) => Self::ToolResult {
                call_id: result.call_id,
                name: result.name,
                content: result.content,
                is_error: result.is_error,
            },
        }
    }
}

impl From<ToolCall> for Part {
    fn from(call: ToolCall) -> Self {
        Self::ToolCall { id: call.id, name: call.name, arguments: call.arguments }
    }
}

impl From<StoredMessage> for SessionMessage {
    fn from(stored: StoredMessage) -> Self {
        let Message { role, parts, complete } = stored.message;
        let content = parts
            .iter()
            .filter_map(|part| match part {
                message::Part::Text { text } => Some(text.clone()),
                message::Part::ToolResult(result) => Some(result.content_text()),
                message::Part::Media(_) | message::Part::ToolCall(_) => None,
            })
            .collect();
        let is_plain = parts.iter().all(|part| part.as_text().is_some());
        let parts = if is_plain { Vec::new() } else { parts.into_iter().map(Part::from).collect() };
        Self {
            sequence: stored.sequence,
            role,
            content,
            parts,
            complete,
            run_id: stored.run_id,
            created_at: stored.created_at,
        }
    }
}

impl From<Usage> for UsageObject {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cost_usd: usage.cost_usd,
        }
    }
}

/// Why a turn ended well, in one word.
pub(crate) fn stop_reason(reason: &StopReason) -> &str {
    match reason {
        StopReason::EndTurn => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolCalls => "tool_calls",
        StopReason::ToolLimit => "tool_limit",
        StopReason::ContentFilter => "content_filter",
        StopReason::Other(words) => words,
    }
}
