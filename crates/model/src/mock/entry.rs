//! One scripted reply, as it is written: a text, or a map with more to it.

use std::{fmt, time::Duration};

use bartizan_engine::{
    message::{Media, MediaKind, MediaSource},
    usage::Usage,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::reply::{Reply, ScriptedCall, ScriptedFailure};

/// The most that a script may make anybody wait, at once or between two pieces.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// A reply that was read from a script.
#[derive(Clone, Debug)]
pub(super) struct Entry(pub(super) Reply);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, or a map with content, tool_calls, parts, …")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
                Ok(Entry(Reply { text: text.to_owned(), ..Reply::default() }))
            }

            // Plain scalars that look like numbers and truths are texts here.
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Entry, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Entry, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Entry, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Entry, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                let written = Written::deserialize(MapAccessDeserializer::new(map))?;
                written.reply().map(Entry).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    // PromptKit takes any of the three for the text.
    #[serde(alias = "text", alias = "response")]
    content: Option<String>,
    #[serde(default)]
    parts: Vec<WrittenPart>,
    #[serde(default)]
    tool_calls: Vec<WrittenCall>,
    // Recorded speech, which PromptKit's scripts may name and nothing here plays.
    #[serde(rename = "audio_file")]
    _audio_file: Option<IgnoredAny>,
    #[serde(rename = "audio_sample_rate")]
    _audio_sample_rate: Option<IgnoredAny>,
    #[serde(rename = "audio_mime_type")]
    _audio_mime_type: Option<IgnoredAny>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    chunk_delay_ms: u64,
    error: Option<WrittenError>,
    cut_after: Option<usize>,
    usage: Option<WrittenUsage>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Text,
    ToolCalls,
    Multimodal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCall {
    id: Option<String>,
    name: String,
    // LangChain's word.
    #[serde(default, alias = "args")]
    arguments: Map<String, Value>,
    // LangChain's tool calls say that they are.
    #[serde(rename = "type")]
    _kind: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPart {
    #[serde(rename = "type")]
    kind: PartKind,
    text: Option<String>,
    image_url: Option<WrittenUrl>,
    audio_url: Option<WrittenUrl>,
    video_url: Option<WrittenUrl>,
    document_url: Option<WrittenUrl>,
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartKind {
    Text,
    Image,
    Audio,
    Video,
    Document,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUrl {
    url: String,
    #[serde(rename = "detail")]
    _detail: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenError {
    #[serde(default = "internal_error")]
    status: u16,
    code: Option<String>,
    #[serde(default)]
    after_chunks: usize,
}

fn internal_error() -> u16 {
    500
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUsage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    cached_tokens: u64,
    #[serde(default)]
    reasoning_tokens: u64,
}

impl Written {
    /// The reply; the error says what is wrong in it.
    fn reply(self) -> Result<Reply, String> {
        if self.kind == Some(Kind::ToolCalls) && self.tool_calls.is_empty() {
            return Err("a reply of type tool_calls has no tool_calls".to_owned());
        }
        if self.kind == Some(Kind::Multimodal) && self.parts.is_empty() {
            return Err("a reply of type multimodal has no parts".to_owned());
        }
        let failure = match (self.error, self.cut_after) {
            (Some(_), Some(_)) => {
                return Err("a reply fails by error or by cut_after, not by both".to_owned());
            }
            (Some(error), None) if !(400..=599).contains(&error.status) => {
                return Err(format!("error.status is {}; it must be 400 to 599", error.status));
            }
            (Some(error), None) => Some(ScriptedFailure {
                after_chunks: error.after_chunks,
                status: Some(error.status),
                code: error.code,
            }),
            (None, Some(after_chunks)) => {
                Some(ScriptedFailure { after_chunks, status: None, code: None })
            }
            (None, None) => None,
        };
        let mut text = self.content.unwrap_or_default();
        let mut media = Vec::new();
        for part in self.parts {
            match part.said()? {
                Said::Text(said) => text.push_str(&said),
                Said::Media(made) => media.push(made),
            }
        }
        let tool_calls = self.tool_calls.into_iter().map(|call| ScriptedCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        });
        Ok(Reply {
            text,
            media,
            tool_calls: tool_calls.collect(),
            delay: delay("delay_ms", self.delay_ms)?,
            chunk_delay: delay("chunk_delay_ms", self.chunk_delay_ms)?,
            failure,
            usage: self.usage.map(|usage| Usage {
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cached_tokens: usage.cached_tokens,
                reasoning_tokens: usage.reasoning_tokens,
                cost_usd: None,
            }),
        })
    }
}

fn delay(name: &str, milliseconds: u64) -> Result<Duration, String> {
    let delay = Duration::from_millis(milliseconds);
    if delay > LONGEST_DELAY {
        return Err(format!("{name} is longer than {} seconds", LONGEST_DELAY.as_secs()));
    }
    Ok(delay)
}

enum Said {
    Text(String),
    Media(Media),
}

impl WrittenPart {
    fn said(self) -> Result<Said, String> {
        let (kind, field, url) = match self.kind {
            PartKind::Text => {
                return self.text.map(Said::Text).ok_or("a part of type text has no text".into());
            }
            PartKind::Image => (MediaKind::Image, "image_url", self.image_url),
            PartKind::Audio => (MediaKind::Audio, "audio_url", self.audio_url),
            PartKind::Video => (MediaKind::Video, "video_url", self.video_url),
            PartKind::Document => (MediaKind::Document, "document_url", self.document_url),
        };
        let Some(WrittenUrl { url, .. }) = url else {
            return Err(format!("a part of type {} has no {field}", kind.as_str()));
        };
        let (mime_type, source) = match data_url(&url) {
            Some((mime_type, data)) => (mime_type.to_owned(), MediaSource::Base64(data.to_owned())),
            None => (usual_type(kind).to_owned(), MediaSource::Url(url)),
        };
        Ok(Said::Media(Media { kind, mime_type, source, name: None }))
    }
}

/// The type and the data of a base64 `data:` address (RFC 2397).
fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// The type that an address is taken to be of: it is not fetched to find out.
fn usual_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/png",
        MediaKind::Audio => "audio/wav",
        MediaKind::Video => "video/mp4",
        MediaKind::Document => "application/pdf",
    }
}
