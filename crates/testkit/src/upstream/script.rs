//! What the upstream says, as plain data: a script is a list of replies, a reply is one answer of a
//! model with its pace and its faults. Readable from JSON, so that the same scripts serve tests in
//! other languages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::received::Received;

/// Picks a reply from the request that arrived.
type Chooser = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// The whole script of an upstream.
///
/// A request is answered by the first of: the chooser; a step whose `when` occurs in the request's
/// body; `on_tools`; the next of the remaining steps, of which the last repeats for ever.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// The replies, in order.
    pub steps: Vec<Reply>,
    /// Said when the request offers tools and its last message is not a tool's result. Its tool
    /// calls with an empty name take the first tool that is offered.
    pub on_tools: Option<Reply>,
    /// How long an accepted connection waits before its first byte is read.
    #[serde(rename = "accept_delay_ms", with = "milliseconds")]
    pub accept_delay: Duration,
    /// Overrules everything else.
    #[serde(skip)]
    pub chooser: Option<Chooser>,
}

impl Script {
    /// One reply per request in order; the last repeats.
    pub fn new(steps: impl IntoIterator<Item = Reply>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    /// A reply made from each request.
    pub fn choose(choose: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self { chooser: Some(Arc::new(choose)), ..Self::default() }
    }

    /// Makes every connection wait after it was accepted.
    #[must_use]
    pub fn accept_delay(mut self, delay: Duration) -> Self {
        self.accept_delay = delay;
        self
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self::new([reply])
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Script")
            .field("steps", &self.steps)
            .field("on_tools", &self.on_tools)
            .field("accept_delay", &self.accept_delay)
            .field("chooser", &self.chooser.is_some())
            .finish()
    }
}

/// One answer of the model.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    /// In a script's steps: used for any request whose body contains this text, in no order.
    pub when: Option<String>,
    /// The text, in the pieces it is streamed in.
    pub text: Vec<String>,
    /// Reasoning before the text, in pieces.
    pub reasoning: Vec<String>,
    /// Tool calls after the text; where the protocol allows it their pieces are interleaved.
    pub tool_calls: Vec<ToolCall>,
    /// Token counts; `None` leaves them out of the answer.
    pub usage: Option<Usage>,
    /// Why the model stopped: `stop`, `length`, `tool_calls` or `content_filter` in the provider's own
    /// spelling; any other word goes out as it stands. `None` says what fits the reply.
    pub stop_reason: Option<String>,
    /// Wait before the response's head.
    #[serde(rename = "head_delay_ms", with = "milliseconds")]
    pub head_delay: Duration,
    /// Wait before the first piece (of a reply that is not streamed: before its body).
    #[serde(rename = "first_delay_ms", with = "milliseconds")]
    pub first_delay: Duration,
    /// Wait before each piece but the first.
    #[serde(rename = "chunk_delay_ms", with = "milliseconds")]
    pub chunk_delay: Duration,
    /// Answer with this status instead of a model's reply.
    pub status: Option<u16>,
    /// Headers to add to the response.
    pub headers: BTreeMap<String, String>,
    /// The body that goes with `status`: a string as it stands, anything else as JSON; without it, an
    /// error in the provider's own shape.
    pub body: Option<Value>,
    /// What goes wrong, and after how many pieces.
    pub fault: Option<Fault>,
    /// Never answer: the request is read and nothing comes back.
    pub hang: bool,
}

impl Reply {
    /// Text streamed in these pieces, with token counts.
    pub fn text<S: Into<String>>(pieces: impl IntoIterator<Item = S>) -> Self {
        let text: Vec<String> = pieces.into_iter().map(Into::into).collect();
        let usage = Usage::of(10, text.len() as u64);
        Self { text, usage: Some(usage), ..Self::default() }
    }

    /// Calls of tools, with token counts.
    pub fn tool_calls(calls: impl IntoIterator<Item = ToolCall>) -> Self {
        let tool_calls: Vec<ToolCall> = calls.into_iter().collect();
        let usage = Usage::of(10, tool_calls.len() as u64);
        Self { tool_calls, usage: Some(usage), ..Self::default() }
    }

    /// An error with this status in the provider's own shape.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// Status 429 that asks to come back after so many seconds.
    pub fn too_many_requests(retry_after_seconds: u64) -> Self {
        Self::status(429).header("retry-after", &retry_after_seconds.to_string())
    }

    /// A request that is read and never answered.
    pub fn hang() -> Self {
        Self { hang: true, ..Self::default() }
    }

    /// Reasoning before the text.
    #[must_use]
    pub fn reasoning<S: Into<String>>(mut self, pieces: impl IntoIterator<Item = S>) -> Self {
        self.reasoning = pieces.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a tool call after the text.
    #[must_use]
    pub fn tool_call(mut self, call: ToolCall) -> Self {
        self.tool_calls.push(call);
        self
    }

    /// Sets the token counts.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Leaves the token counts out.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.usage = None;
        self
    }

    /// Sets why the model stopped.
    #[must_use]
    pub fn stop_reason(mut self, reason: &str) -> Self {
        self.stop_reason = Some(reason.to_owned());
        self
    }

    /// Waits before the response's head.
    #[must_use]
    pub fn head_delay(mut self, delay: Duration) -> Self {
        self.head_delay = delay;
        self
    }

    /// Waits before the first piece.
    #[must_use]
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay;
        self
    }

    /// Waits before each further piece.
    #[must_use]
    pub fn chunk_delay(mut self, delay: Duration) -> Self {
        self.chunk_delay = delay;
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the body that goes with the status.
    #[must_use]
    pub fn body(mut self, body: impl Into<Value>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Drops the connection after so many pieces.
    #[must_use]
    pub fn cut_after(self, pieces: usize) -> Self {
        self.fault(pieces, FaultKind::Cut)
    }

    /// Ends the stream cleanly after so many pieces, without the closing events.
    #[must_use]
    pub fn end_after(self, pieces: usize) -> Self {
        self.fault(pieces, FaultKind::End)
    }

    /// Sends nothing more after so many pieces and keeps the connection open.
    #[must_use]
    pub fn stall_after(self, pieces: usize) -> Self {
        self.fault(pieces, FaultKind::Stall)
    }

    /// Sends the provider's error event after so many pieces and ends.
    #[must_use]
    pub fn error_after(self, pieces: usize) -> Self {
        self.fault(pieces, FaultKind::Error)
    }

    /// Sends an event that is not JSON after so many pieces, then goes on.
    #[must_use]
    pub fn garbage_after(self, pieces: usize) -> Self {
        self.fault(pieces, FaultKind::Garbage)
    }

    fn fault(mut self, after: usize, kind: FaultKind) -> Self {
        self.fault = Some(Fault { after, kind });
        self
    }

    /// The whole text.
    pub fn whole_text(&self) -> String {
        self.text.concat()
    }
}

/// One tool call of a reply.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolCall {
    /// The provider's id of the call. Gemini has none on the wire unless this is set.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments' JSON text in the pieces it is streamed in; need not be valid.
    pub arguments: Vec<String>,
}

impl ToolCall {
    /// A call whose arguments arrive in pieces of a few characters.
    pub fn new(id: &str, name: &str, arguments: &Value) -> Self {
        let text: Vec<char> = arguments.to_string().chars().collect();
        Self::pieces(id, name, text.chunks(7).map(|piece| piece.iter().collect::<String>()))
    }

    /// A call whose arguments arrive in exactly these pieces.
    pub fn pieces<S: Into<String>>(
        id: &str,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    /// The arguments as JSON; text that is not JSON becomes a string, no text an empty object.
    pub fn arguments_value(&self) -> Value {
        let text = self.arguments.concat();
        if text.is_empty() {
            return Value::Object(serde_json::Map::new());
        }
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}

/// Token counts of a reply. `cached` is a part of `input`, `reasoning` a part of `output`; each wire
/// format splits them its own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
    /// Tokens of the prompt that came from the provider's cache.
    pub cached: u64,
    /// Tokens of the answer that were reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// Counts without cache and reasoning.
    pub fn of(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }
}

/// Something that goes wrong in the middle of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// After how many pieces (reasoning, text and tool-call pieces counted together). A reply that is
    /// not streamed is a body of one piece: 0 is before its first byte, anything else in its middle.
    pub after: usize,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// The kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// The connection drops.
    Cut,
    /// The body ends cleanly, without the protocol's closing events.
    End,
    /// Nothing more comes and the connection stays open.
    Stall,
    /// The provider's error event, then a clean end.
    Error,
    /// An event that is not JSON, then the rest.
    Garbage,
}

/// Durations as whole milliseconds in script files.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
