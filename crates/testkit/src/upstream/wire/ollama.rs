//! Ollama's own chat API: JSON lines, each with the new part of the message, tool calls whole.

use serde_json::{Value, json};

use super::{Exchange, Frame, line, stop_reason};
use crate::upstream::script::Reply;

/// Any fixed instant will do: nothing may depend on it.
const CREATED_AT: &str = "2024-01-01T00:00:00.000000000Z";

pub(super) fn stream(exchange: &Exchange, reply: &Reply) -> Vec<Frame> {
    let part = |message: Value| {
        let document = json!({"model": exchange.model, "created_at": CREATED_AT,
            "message": message, "done": false});
        Frame::piece(line(&document))
    };
    let mut frames = Vec::new();
    for piece in &reply.reasoning {
        frames.push(part(json!({"role": "assistant", "content": "", "thinking": piece})));
    }
    for piece in &reply.text {
        frames.push(part(json!({"role": "assistant", "content": piece})));
    }
    if !reply.tool_calls.is_empty() {
        frames.push(part(json!({"role": "assistant", "content": "", "tool_calls": calls(reply)})));
    }
    let message = json!({"role": "assistant", "content": ""});
    frames.push(Frame::envelope(line(&finished(exchange, reply, message))));
    frames
}

pub(super) fn whole(exchange: &Exchange, reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.whole_text()});
    if !reply.reasoning.is_empty() {
        message["thinking"] = reply.reasoning.concat().into();
    }
    if !reply.tool_calls.is_empty() {
        message["tool_calls"] = calls(reply);
    }
    finished(exchange, reply, message)
}

fn calls(reply: &Reply) -> Value {
    let calls = reply.tool_calls.iter().enumerate().map(|(index, call)| {
        let mut document = json!({"function": {"index": index, "name": call.name,
            "arguments": call.arguments_value()}});
        if !call.id.is_empty() {
            document["id"] = call.id.as_str().into();
        }
        document
    });
    calls.collect()
}

fn finished(exchange: &Exchange, reply: &Reply, message: Value) -> Value {
    let reason = match stop_reason(reply) {
        // There is no reason of its own for tool calls.
        "tool_calls" | "content_filter" => "stop",
        other => other,
    };
    let mut document = json!({
        "model": exchange.model, "created_at": CREATED_AT, "message": message,
        "done": true, "done_reason": reason,
        "total_duration": 1_000_000, "load_duration": 1000, "prompt_eval_duration": 1000,
        "eval_duration": 1000,
    });
    if let Some(counts) = reply.usage {
        document["prompt_eval_count"] = counts.input.into();
        document["eval_count"] = counts.output.into();
    }
    document
}
