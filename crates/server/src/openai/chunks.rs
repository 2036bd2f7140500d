//! The answer in pieces: `chat.completion.chunk`.
//!
//! A stream repeats the same frame around each few letters, so the frame is serialised once and
//! copied; only the letters go through the serialiser, straight into the outgoing buffer.

use bartizan_engine::{
    event::{Execution, LoggedEvent, TurnEvent},
    failure::Failure,
    run::Run,
    usage::Usage,
};
use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::json;

use super::answer::{AnswerCall, AnswerImage, ChatUsage, finish_reason};
use crate::{
    errors::ApiError,
    http::{edge::RequestId, put_json, stream::Encode},
};

/// What follows the choices of a chunk where the caller asked for the use.
const NO_USAGE_YET: &[u8] = b",\"usage\":null";

/// Writes a turn's events as chunks.
pub(crate) struct Chunks {
    /// `data: {"id": …, "choices": [`
    head: Vec<u8>,
    include_usage: bool,
    request_id: RequestId,
    run_id: String,
    /// How many calls the caller was shown.
    calls: usize,
}

impl Chunks {
    /// For this run. `created` is in seconds since 1970.
    pub(crate) fn new(run: &Run, created: i64, include_usage: bool, request_id: RequestId) -> Self {
        let frame = json!({
            "id": format!("chatcmpl-{}", run.id()),
            "object": "chat.completion.chunk",
            "created": created,
            "model": run.agent(),
        });
        let mut head = format!("data: {frame}").into_bytes();
        head.pop();
        head.extend_from_slice(b",\"choices\":[");
        Self { head, include_usage, request_id, run_id: run.id().to_string(), calls: 0 }
    }

    /// A chunk whose delta has one field.
    fn delta(&self, field: &str, value: &impl Serialize, out: &mut BytesMut) {
        self.open(out);
        out.put_slice(b"{\"");
        out.put_slice(field.as_bytes());
        out.put_slice(b"\":");
        put_json(value, out);
        out.put_slice(b"}");
        self.close("null", out);
    }

    fn open(&self, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":");
    }

    /// `finish_reason` is JSON.
    fn close(&self, finish_reason: &str, out: &mut BytesMut) {
        out.put_slice(b",\"logprobs\":null,\"finish_reason\":");
        out.put_slice(finish_reason.as_bytes());
        out.put_slice(b"}]");
        if self.include_usage {
            out.put_slice(NO_USAGE_YET);
        }
        out.put_slice(b"}\n\n");
    }

    fn finish(&self, finish_reason: &str, usage: Usage, out: &mut BytesMut) {
        self.open(out);
        out.put_slice(b"{}");
        self.close(&format!("\"{finish_reason}\""), out);
        if self.include_usage {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            put_json(&ChatUsage::from(usage), out);
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
    }
}

impl Encode for Chunks {
    fn encode(&mut self, logged: &LoggedEvent, out: &mut BytesMut) {
        match &logged.event {
            TurnEvent::Started { .. } => {
                self.open(out);
                out.put_slice(br#"{"role":"assistant","content":"","refusal":null}"#);
                self.close("null", out);
            }
            TurnEvent::Text { delta } => self.delta("content", delta, out),
            TurnEvent::Reasoning { delta } => self.delta("reasoning_content", delta, out),
            TurnEvent::ToolCall { call, execution: Execution::Client } => {
                self.delta("tool_calls", &[AnswerCall::new(Some(self.calls), call)], out);
                self.calls += 1;
            }
            TurnEvent::Media { media } => {
                if let Some(image) = AnswerImage::new(media) {
                    self.delta("images", &[image], out);
                }
            }
            TurnEvent::Done { stop_reason, usage, .. } => {
                self.finish(finish_reason(stop_reason), *usage, out);
            }
            TurnEvent::Failed { code, message, .. } => {
                let error = ApiError::from(Failure::new(*code, message.clone()));
                error.log(&self.request_id.0, Some(&self.run_id));
                out.put_slice(b"data: ");
                out.put_slice(error.body(&self.request_id.0).as_bytes());
                out.put_slice(b"\n\n");
            }
            // What the agent does by itself is not shown.
            TurnEvent::ToolCall { execution: Execution::Server, .. }
            | TurnEvent::ToolResult { .. }
            | TurnEvent::Usage { .. } => {}
        }
    }
}
