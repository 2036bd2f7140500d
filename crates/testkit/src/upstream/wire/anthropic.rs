//! Anthropic's messages: named events, one content block after the other, a ping among them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Exchange, Frame, stop_reason};
use crate::upstream::script::{Reply, Usage};

pub(super) fn stream(exchange: &Exchange, reply: &Reply) -> Vec<Frame> {
    let mut message = envelope(exchange);
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    // The opening event always counts the prompt; the output is known at the end.
    let counts = reply.usage.unwrap_or_default();
    message["usage"] = usage(Usage { output: 1, ..counts });
    let mut frames = vec![
        Frame::envelope(event(
            "message_start",
            &json!({"type": "message_start", "message": message}),
        )),
        Frame::envelope(event("ping", &json!({"type": "ping"}))),
    ];
    let mut index = 0;
    let mut block = |opening: Value, deltas: Vec<Value>, closing: Option<Value>| {
        let delta = |delta: &Value| {
            let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
            event("content_block_delta", &data)
        };
        let start =
            json!({"type": "content_block_start", "index": index, "content_block": opening});
        frames.push(Frame::envelope(event("content_block_start", &start)));
        frames.extend(deltas.iter().map(|piece| Frame::piece(delta(piece))));
        frames.extend(closing.iter().map(|piece| Frame::envelope(delta(piece))));
        let stop = json!({"type": "content_block_stop", "index": index});
        frames.push(Frame::envelope(event("content_block_stop", &stop)));
        index += 1;
    };
    if !reply.reasoning.is_empty() {
        block(
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            deltas(&reply.reasoning, "thinking_delta", "thinking"),
            Some(json!({"type": "signature_delta", "signature": "c2NyaXB0ZWQ="})),
        );
    }
    if !reply.text.is_empty() {
        block(json!({"type": "text", "text": ""}), deltas(&reply.text, "text_delta", "text"), None);
    }
    for call in &reply.tool_calls {
        block(
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}),
            deltas(&call.arguments, "input_json_delta", "partial_json"),
            None,
        );
    }
    let mut last = json!({
        "type": "message_delta",
        "delta": {"stop_reason": spelled(stop_reason(reply)), "stop_sequence": null},
    });
    if let Some(counts) = reply.usage {
        last["usage"] = json!({"output_tokens": counts.output});
    }
    frames.push(Frame::envelope(event("message_delta", &last)));
    frames.push(Frame::envelope(event("message_stop", &json!({"type": "message_stop"}))));
    frames
}

pub(super) fn whole(exchange: &Exchange, reply: &Reply) -> Value {
    let mut content = Vec::new();
    if !reply.reasoning.is_empty() {
        content.push(json!({"type": "thinking", "thinking": reply.reasoning.concat(),
            "signature": "c2NyaXB0ZWQ="}));
    }
    if !reply.text.is_empty() {
        content.push(json!({"type": "text", "text": reply.whole_text()}));
    }
    for call in &reply.tool_calls {
        content.push(json!({"type": "tool_use", "id": call.id, "name": call.name,
            "input": call.arguments_value()}));
    }
    let mut message = envelope(exchange);
    message["content"] = content.into();
    message["stop_reason"] = spelled(stop_reason(reply)).into();
    if let Some(counts) = reply.usage {
        message["usage"] = usage(counts);
    }
    message
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

pub(super) fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

fn envelope(exchange: &Exchange) -> Value {
    json!({
        "id": format!("msg_scripted{}", exchange.number), "type": "message", "role": "assistant",
        "model": exchange.model, "stop_sequence": null,
    })
}

fn deltas(pieces: &[String], kind: &str, field: &str) -> Vec<Value> {
    pieces.iter().map(|piece| json!({"type": kind, field: piece})).collect()
}

/// Here the cached part of the prompt is counted beside the rest, not within it.
fn usage(counts: Usage) -> Value {
    json!({
        "input_tokens": counts.input.saturating_sub(counts.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.output,
    })
}

fn spelled(reason: &str) -> &str {
    match reason {
        "stop" => "end_turn",
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        "content_filter" => "refusal",
        other => other,
    }
}
