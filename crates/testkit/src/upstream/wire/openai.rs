//! OpenAI's chat completions, as its API reference describes them and as compatible servers speak
//! them: reasoning goes into `reasoning_content`, which those servers share.

use serde_json::{Map, Value, json};

use super::{Exchange, Frame, data, stop_reason};
use crate::upstream::script::{Reply, Usage};

/// Any fixed instant will do: nothing may depend on it.
const CREATED: u64 = 1_700_000_000;

pub(super) fn stream(exchange: &Exchange, reply: &Reply) -> Vec<Frame> {
    let delta = |delta: Value| chunk(exchange, json!([choice(delta, Value::Null)]), None);
    let mut frames =
        vec![Frame::envelope(data(&delta(json!({"role": "assistant", "content": ""}))))];
    for piece in &reply.reasoning {
        frames.push(Frame::piece(data(&delta(json!({"reasoning_content": piece})))));
    }
    for piece in &reply.text {
        frames.push(Frame::piece(data(&delta(json!({"content": piece})))));
    }
    // Each call is opened by its own event and then the pieces take turns, which is the hardest
    // order that the protocol allows.
    for (index, call) in reply.tool_calls.iter().enumerate() {
        let opening = json!({"index": index, "id": call.id, "type": "function",
            "function": {"name": call.name, "arguments": ""}});
        frames.push(Frame::envelope(data(&delta(json!({"tool_calls": [opening]})))));
    }
    let rounds = reply.tool_calls.iter().map(|call| call.arguments.len()).max();
    for round in 0..rounds.unwrap_or(0) {
        for (index, call) in reply.tool_calls.iter().enumerate() {
            if let Some(piece) = call.arguments.get(round) {
                let part = json!({"index": index, "function": {"arguments": piece}});
                frames.push(Frame::piece(data(&delta(json!({"tool_calls": [part]})))));
            }
        }
    }
    let last = choice(json!({}), stop_reason(reply).into());
    frames.push(Frame::envelope(data(&chunk(exchange, json!([last]), None))));
    if let (true, Some(counts)) = (exchange.stream_usage, reply.usage) {
        frames.push(Frame::envelope(data(&chunk(exchange, json!([]), Some(counts)))));
    }
    frames.push(Frame::envelope("data: [DONE]\n\n"));
    frames
}

pub(super) fn whole(exchange: &Exchange, reply: &Reply) -> Value {
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    let silent = reply.text.is_empty();
    let content = if silent { Value::Null } else { reply.whole_text().into() };
    message.insert("content".into(), content);
    if !reply.reasoning.is_empty() {
        message.insert("reasoning_content".into(), reply.reasoning.concat().into());
    }
    if !reply.tool_calls.is_empty() {
        let calls = reply.tool_calls.iter().map(|call| {
            json!({"id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments.concat()}})
        });
        message.insert("tool_calls".into(), calls.collect());
    }
    let mut document = json!({
        "id": id(exchange), "object": "chat.completion", "created": CREATED, "model": exchange.model,
        "choices": [{"index": 0, "message": message, "logprobs": null,
            "finish_reason": stop_reason(reply)}],
    });
    if let Some(counts) = reply.usage {
        document["usage"] = usage(counts);
    }
    document
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        400 => ("invalid_request_error", Value::Null),
        401 => ("invalid_request_error", "invalid_api_key".into()),
        404 => ("invalid_request_error", "model_not_found".into()),
        429 => ("requests", "rate_limit_exceeded".into()),
        _ => ("server_error", Value::Null),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn id(exchange: &Exchange) -> String {
    format!("chatcmpl-scripted{}", exchange.number)
}

fn choice(delta: Value, finish_reason: Value) -> Value {
    json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason})
}

fn chunk(exchange: &Exchange, choices: Value, counts: Option<Usage>) -> Value {
    let mut chunk = json!({
        "id": id(exchange), "object": "chat.completion.chunk", "created": CREATED,
        "model": exchange.model, "choices": choices,
    });
    if exchange.stream_usage {
        chunk["usage"] = counts.map_or(Value::Null, usage);
    }
    chunk
}

fn usage(counts: Usage) -> Value {
    json!({
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    })
}
