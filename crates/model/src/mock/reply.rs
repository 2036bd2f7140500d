//! One scripted reply, ready to be said.

use std::time::Duration;

use bartizan_engine::{
    event::StopReason,
    message::{Media, Message, Part, ToolCall},
    ports::model::{ModelError, ModelErrorKind, ModelEvent, ModelRequest, ModelStream},
    usage::Usage,
};
use futures::StreamExt;
use serde_json::{Map, Value};

use super::{info, reply_number};
use crate::provider::kind_of_status;

/// Bytes that are counted as one token.
const BYTES_PER_TOKEN: usize = 4;

/// What the mock does when it is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) media: Vec<Media>,
    pub(super) tool_calls: Vec<ScriptedCall>,
    /// Before anything is said.
    pub(super) delay: Duration,
    /// Before each piece of text but the first.
    pub(super) chunk_delay: Duration,
    pub(super) failure: Option<ScriptedFailure>,
    /// Counted if none.
    pub(super) usage: Option<Usage>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScriptedCall {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
}

/// A failure instead of the reply, or in its middle.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScriptedFailure {
    /// After how many pieces of text; 0 is before anything is said.
    pub(super) after_chunks: usize,
    /// As a provider would answer; none for an answer that just breaks off.
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
}

impl Reply {
    pub(super) async fn say(self, request: &ModelRequest) -> Result<ModelStream, ModelError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if let Some(failure) = self.failure.as_ref().filter(|failure| failure.is_first()) {
            return Err(failure.error());
        }
        let chunk_delay = self.chunk_delay;
        let mut first = true;
        let events = futures::stream::iter(self.events(request)).then(move |event| {
            let waits = !chunk_delay.is_zero() && !std::mem::take(&mut first);
            async move {
                if waits && !matches!(event, Ok(ModelEvent::Finished { .. })) {
                    tokio::time::sleep(chunk_delay).await;
                }
                event
            }
        });
        Ok(events.boxed())
    }

    fn events(self, request: &ModelRequest) -> Vec<Result<ModelEvent, ModelError>> {
        let usage = self.usage.unwrap_or_else(|| Usage {
            input_tokens: tokens(spoken_bytes(request)),
            output_tokens: tokens(self.text.len()),
            ..Usage::default()
        });
        let number = reply_number(&request.messages);
        let taken: Vec<&str> =
            request.messages.iter().flat_map(Message::tool_calls).map(|call| &*call.id).collect();
        let mut pieces = pieces(&self.text, request.stream);
        if let Some(failure) = &self.failure {
            pieces.truncate(failure.after_chunks);
            let said = pieces.into_iter().map(|piece| Ok(ModelEvent::Text(piece)));
            return said.chain([Err(failure.error())]).collect();
        }
        let waits_for_tools = !self.tool_calls.is_empty();
        let calls = self.tool_calls.into_iter().enumerate().map(|(index, call)| {
            let id = call.id.filter(|id| !taken.contains(&id.as_str()));
            ModelEvent::ToolCall(ToolCall {
                id: id.unwrap_or_else(|| format!("call_{number}_{index}")),
                name: call.name,
                arguments: Value::Object(call.arguments),
                provider_state: Vec::new(),
            })
        });
        let stop_reason = if waits_for_tools { StopReason::ToolCalls } else { StopReason::EndTurn };
        let text = pieces.into_iter().map(ModelEvent::Text);
        let media = self.media.into_iter().map(ModelEvent::Media);
        let end = [ModelEvent::Finished { stop_reason, usage, info: info() }];
        text.chain(media).chain(calls).chain(end).map(Ok).collect()
    }
}

impl ScriptedFailure {
    /// Whether nothing is said before it.
    fn is_first(&self) -> bool {
        self.after_chunks == 0 && self.status.is_some()
    }

    fn error(&self) -> ModelError {
        let kind = match self.status {
            Some(status) if self.is_first() => kind_of_status(status),
            _ => ModelErrorKind::Interrupted,
        };
        ModelError {
            kind,
            provider: info().provider,
            status: self.status,
            provider_code: self.code.clone(),
            message: "the script says so".to_owned(),
            retry_after: None,
        }
    }
}

/// Words with the white space after them, or the whole.
fn pieces(text: &str, stream: bool) -> Vec<String> {
    if text.is_empty() {
        Vec::new()
    } else if stream {
        text.split_inclusive(char::is_whitespace).map(str::to_owned).collect()
    } else {
        vec![text.to_owned()]
    }
}

fn spoken_bytes(request: &ModelRequest) -> usize {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let bytes = parts.map(|part| match part {
        Part::Text { text } => text.len(),
        Part::ToolResult(result) => result.content_text().len(),
        Part::ToolCall(call) => call.arguments.to_string().len(),
        Part::Media(_) => 0,
    });
    request.system.as_deref().map_or(0, str::len) + bytes.sum::<usize>()
}

fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}
