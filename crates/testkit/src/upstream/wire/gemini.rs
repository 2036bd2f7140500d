//! Gemini's `generateContent`: every event is a whole response document with the parts that are new,
//! tool calls come in one piece, and lines end in CR LF.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Exchange, Frame, stop_reason};
use crate::upstream::script::{Reply, Usage};

pub(super) fn stream(exchange: &Exchange, reply: &Reply) -> Vec<Frame> {
    let mut frames: Vec<Frame> = parts(reply)
        .into_iter()
        .map(|part| Frame::piece(data(&document(exchange, json!([part]), None, None))))
        .collect();
    let last =
        document(exchange, json!([{"text": ""}]), Some(spelled(stop_reason(reply))), reply.usage);
    frames.push(Frame::envelope(data(&last)));
    frames
}

pub(super) fn whole(exchange: &Exchange, reply: &Reply) -> Value {
    let mut joined = Vec::new();
    if !reply.reasoning.is_empty() {
        joined.push(json!({"text": reply.reasoning.concat(), "thought": true}));
    }
    if !reply.text.is_empty() {
        joined.push(json!({"text": reply.whole_text()}));
    }
    joined.extend(calls(reply));
    let reason = spelled(stop_reason(reply));
    document(exchange, joined.into(), Some(reason), reply.usage)
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let name = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status, "message": message, "status": name}})
}

fn parts(reply: &Reply) -> Vec<Value> {
    let thoughts = reply.reasoning.iter();
    let mut parts: Vec<Value> =
        thoughts.map(|piece| json!({"text": piece, "thought": true})).collect();
    parts.extend(reply.text.iter().map(|piece| json!({"text": piece})));
    parts.extend(calls(reply));
    parts
}

fn calls(reply: &Reply) -> impl Iterator<Item = Value> + '_ {
    reply.tool_calls.iter().map(|call| {
        let mut function = json!({"name": call.name, "args": call.arguments_value()});
        if !call.id.is_empty() {
            function["id"] = call.id.as_str().into();
        }
        json!({"functionCall": function})
    })
}

fn document(
    exchange: &Exchange,
    parts: Value,
    finish_reason: Option<&str>,
    counts: Option<Usage>,
) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(reason) = finish_reason {
        candidate["finishReason"] = reason.into();
    }
    let mut document = json!({
        "candidates": [candidate], "modelVersion": exchange.model,
        "responseId": format!("scripted{}", exchange.number),
    });
    if let Some(counts) = counts {
        document["usageMetadata"] = usage(counts);
    }
    document
}

/// Here reasoning is counted beside the visible answer, not within it.
fn usage(counts: Usage) -> Value {
    json!({
        "promptTokenCount": counts.input,
        "cachedContentTokenCount": counts.cached,
        "candidatesTokenCount": counts.output.saturating_sub(counts.reasoning),
        "thoughtsTokenCount": counts.reasoning,
        "totalTokenCount": counts.input + counts.output,
    })
}

fn spelled(reason: &str) -> &str {
    match reason {
        // There is no reason of its own for tool calls.
        "stop" | "tool_calls" => "STOP",
        "length" => "MAX_TOKENS",
        "content_filter" => "SAFETY",
        other => other,
    }
}

fn data(value: &Value) -> Bytes {
    format!("data: {value}\r\n\r\n").into()
}
