//! The wire formats: one file per provider, each turning a [`Reply`] into the bytes that the provider
//! would send, and this file saying which request is whose.

mod anthropic;
mod gemini;
mod ollama;
mod openai;

use bytes::Bytes;
use serde_json::{Value, json};

use super::script::Reply;
use crate::received::Received;

/// Whose protocol a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `…/chat/completions`, server-sent events.
    OpenAi,
    /// `…/messages`, server-sent events with names.
    Anthropic,
    /// `…/models/{model}:generateContent` and `:streamGenerateContent?alt=sse`.
    Gemini,
    /// `…/api/chat`, JSON lines.
    Ollama,
}

/// One event of a stream, framed.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    /// Whether it carries a piece of the reply; the others open and close the stream.
    pub(super) piece: bool,
}

impl Frame {
    fn piece(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), piece: true }
    }

    fn envelope(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), piece: false }
    }
}

/// What a wire format needs to know of the request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Exchange {
    pub(super) protocol: Protocol,
    pub(super) streamed: bool,
    pub(super) model: String,
    /// OpenAI sends token counts in a stream only when asked to.
    pub(super) stream_usage: bool,
    /// Makes ids differ from one reply to the next.
    pub(super) number: u64,
}

impl Exchange {
    /// Reads what the request asks for; `None` when it is no model call.
    pub(super) fn of(received: &Received, number: u64) -> Option<Self> {
        let path = received.path.as_str();
        let body = &received.json;
        let flag = |default: bool| body["stream"].as_bool().unwrap_or(default);
        let named = || body["model"].as_str().unwrap_or_default().to_owned();
        let (protocol, streamed, model) = if path.ends_with("/chat/completions") {
            (Protocol::OpenAi, flag(false), named())
        } else if path.ends_with("/messages") {
            (Protocol::Anthropic, flag(false), named())
        } else if path.ends_with("/api/chat") {
            (Protocol::Ollama, flag(true), named())
        } else {
            let (model, method) = path.rsplit('/').next()?.split_once(':')?;
            let streamed = match method {
                "generateContent" => false,
                "streamGenerateContent" => true,
                _ => return None,
            };
            (Protocol::Gemini, streamed, model.to_owned())
        };
        Some(Self {
            protocol,
            streamed,
            model,
            stream_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
            number,
        })
    }

    pub(super) fn content_type(&self) -> &'static str {
        match (self.streamed, self.protocol) {
            (false, _) => "application/json",
            (true, Protocol::Ollama) => "application/x-ndjson",
            (true, _) => "text/event-stream",
        }
    }

    /// The reply as a stream of events.
    pub(super) fn stream(&self, reply: &Reply) -> Vec<Frame> {
        match self.protocol {
            Protocol::OpenAi => openai::stream(self, reply),
            Protocol::Anthropic => anthropic::stream(self, reply),
            Protocol::Gemini => gemini::stream(self, reply),
            Protocol::Ollama => ollama::stream(self, reply),
        }
    }

    /// The reply as one JSON document.
    pub(super) fn whole(&self, reply: &Reply) -> Value {
        match self.protocol {
            Protocol::OpenAi => openai::whole(self, reply),
            Protocol::Anthropic => anthropic::whole(self, reply),
            Protocol::Gemini => gemini::whole(self, reply),
            Protocol::Ollama => ollama::whole(self, reply),
        }
    }

    /// The event by which the provider reports a failure in the middle of a stream.
    pub(super) fn error_frame(&self) -> Bytes {
        let error = error(self.protocol, 500, "scripted error in the middle of the stream");
        match self.protocol {
            Protocol::OpenAi | Protocol::Gemini => data(&error),
            Protocol::Anthropic => anthropic::event("error", &error),
            Protocol::Ollama => line(&error),
        }
    }

    /// An event that no parser of this protocol accepts.
    pub(super) fn garbage_frame(&self) -> Bytes {
        match self.protocol {
            Protocol::Ollama => Bytes::from_static(b"{\"message\": this is not JSON\n"),
            Protocol::Anthropic => Bytes::from_static(
                b"event: content_block_delta\ndata: {\"type\": this is not JSON\n\n",
            ),
            _ => Bytes::from_static(b"data: {\"choices\": this is not JSON\n\n"),
        }
    }
}

/// The provider's error document for a status.
pub(super) fn error(protocol: Protocol, status: u16, message: &str) -> Value {
    match protocol {
        Protocol::OpenAi => openai::error(status, message),
        Protocol::Anthropic => anthropic::error(status, message),
        Protocol::Gemini => gemini::error(status, message),
        Protocol::Ollama => json!({ "error": message }),
    }
}

/// A server-sent event without a name.
fn data(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}

/// A JSON line.
fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

/// The stop reason in the normalised words that scripts use.
fn stop_reason(reply: &Reply) -> &str {
    match &reply.stop_reason {
        Some(reason) => reason,
        None if reply.tool_calls.is_empty() => "stop",
        None => "tool_calls",
    }
}
