//! What is said in a conversation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that a caller adds after the agent's own.
    System,
    /// The caller.
    User,
    /// The model.
    Assistant,
    /// What tools answered.
    Tool,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// False where the message was cut off (provider failure, cancellation) and only what had
    /// arrived by then is here.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub complete: bool,
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, a recording, a video or a document.
    Media(Media),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// A tool's answer.
    ToolResult(ToolResult),
}

/// An image, a recording, a video or a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// What sort of thing it is.
    pub kind: MediaKind,
    /// Its media type (RFC 6838), for example `image/png`.
    pub mime_type: String,
    /// Where its bytes are.
    pub source: MediaSource,
    /// A file name, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The sorts of media that packs set limits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// `image/*`
    Image,
    /// `audio/*`
    Audio,
    /// `video/*`
    Video,
    /// Anything else.
    Document,
}

impl MediaKind {
    /// The kind that a media type belongs to.
    pub fn of(mime_type: &str) -> Self {
        match mime_type.split('/').next() {
            Some("image") => Self::Image,
            Some("audio") => Self::Audio,
            Some("video") => Self::Video,
            _ => Self::Document,
        }
    }

    /// The name that packs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
        }
    }
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// Here, in standard base64 with padding (RFC 4648 section 4).
    Base64(String),
    /// At an address that the provider fetches itself. Bartizan never fetches it.
    Url(String),
}

/// The model asks for a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Names the call within its turn; the result repeats it. Never empty.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments; an object unless the model sent something broken, which is kept as the
    /// string it was so that the model can be told.
    pub arguments: Value,
    /// What the provider wants back untouched with the result (for example Gemini's thought
    /// signatures). Opaque to everyone but the model room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider_state: Vec<String>,
}

/// A tool's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call answered.
    pub call_id: String,
    /// The tool that answered.
    pub name: String,
    /// The answer: any JSON value, a plain text answer being a string.
    pub content: Value,
    /// Whether the tool failed; the content then says how.
    #[serde(default)]
    pub is_error: bool,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text { text: text.into() }], complete: true }
    }

    /// A message of these parts.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, complete: true }
    }

    /// All its text, joined without separators.
    pub fn plain_text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).collect()
    }

    /// The tool calls in it.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

impl Part {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(text),
            _ => None,
        }
    }
}

impl ToolResult {
    /// The answer as text: a string as it is, anything else as compact JSON.
    pub fn content_text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_true(value: &bool) -> bool {
    *value
}
