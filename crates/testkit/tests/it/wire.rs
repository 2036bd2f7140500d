//! The four wire formats, as an independent HTTP client sees them.

use bartizan_testkit::upstream::{Reply, Script, ToolCall, Upstream, Usage, profiles};
use serde_json::{Value, json};

use crate::support::{events, http, post};

fn spoken() -> Reply {
    Reply::text(["Hel", "lo"])
        .reasoning(["hm"])
        .tool_call(ToolCall::pieces("call_a", "alpha", ["{\"x\"", ":1}"]))
        .tool_call(ToolCall::pieces("call_b", "beta", ["{\"y\"", ":", "2}"]))
        .usage(Usage { input: 100, output: 20, cached: 16, reasoning: 4 })
}

#[tokio::test]
async fn openai_streams_text_then_interleaved_calls_then_usage() {
    let upstream = Upstream::start(spoken()).await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    let request = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hi"}]});
    let (status, body) = post(&url, &request).await;
    assert_eq!(status, 200);
    let events = events(&body);
    let delta = |pointer: &str| -> String {
        let pieces = events.iter().filter_map(|event| event.pointer(pointer)?.as_str());
        pieces.collect()
    };
    assert_eq!(delta("/choices/0/delta/content"), "Hello");
    assert_eq!(delta("/choices/0/delta/reasoning_content"), "hm");
    let calls: Vec<(u64, String)> = events
        .iter()
        .filter_map(|event| event.pointer("/choices/0/delta/tool_calls/0"))
        .map(|call| {
            let arguments = call["function"]["arguments"].as_str().unwrap().to_owned();
            (call["index"].as_u64().unwrap(), arguments)
        })
        .collect();
    let piece = |index: u64, text: &str| (index, text.to_owned());
    assert_eq!(
        calls,
        [
            piece(0, ""),
            piece(1, ""),
            piece(0, "{\"x\""),
            piece(1, "{\"y\""),
            piece(0, ":1}"),
            piece(1, ":"),
            piece(1, "2}"),
        ]
    );
    assert_eq!(delta("/choices/0/finish_reason"), "tool_calls");
    let usage = &events[events.len() - 2]["usage"];
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 16);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 4);
    assert_eq!(events.last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn openai_sends_usage_in_a_stream_only_when_asked() {
    let upstream = Upstream::start(Reply::text(["a"])).await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    let (_, body) = post(&url, &json!({"model": "m", "stream": true, "messages": []})).await;
    assert!(!body.contains("usage"), "{body}");
}

#[tokio::test]
async fn openai_answers_whole() {
    let upstream = Upstream::start(spoken()).await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    let (_, body) = post(&url, &json!({"model": "m", "messages": []})).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    let message = &document["choices"][0]["message"];
    assert_eq!(message["content"], "Hello");
    assert_eq!(message["tool_calls"][1]["id"], "call_b");
    assert_eq!(message["tool_calls"][1]["function"]["arguments"], "{\"y\":2}");
    assert_eq!(document["usage"]["total_tokens"], 120);
    assert_eq!(document["model"], "m");
}

#[tokio::test]
async fn anthropic_streams_blocks_in_order_with_names() {
    let upstream = Upstream::start(spoken()).await;
    let url = format!("{}/v1/messages", upstream.url());
    let (_, body) = post(&url, &json!({"model": "m", "stream": true, "messages": []})).await;
    let names: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let start = ["message_start", "ping"];
    let thinking =
        ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"];
    let text = thinking;
    let first_call = thinking;
    let second_call = [
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
    ];
    let end = ["message_delta", "message_stop"];
    let expected =
        [&start[..], &thinking[..], &text[..], &first_call[..], &second_call[..], &end[..]];
    assert_eq!(names, expected.concat());
    let events = events(&body);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 84);
    assert_eq!(events[0]["message"]["usage"]["cache_read_input_tokens"], 16);
    let json: String = events
        .iter()
        .filter(|event| event["index"] == 3)
        .filter_map(|event| event["delta"]["partial_json"].as_str())
        .collect();
    assert_eq!(json, "{\"y\":2}");
    let last = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    assert_eq!(last["usage"]["output_tokens"], 20);
}

#[tokio::test]
async fn anthropic_answers_whole() {
    let upstream = Upstream::start(spoken()).await;
    let url = format!("{}/v1/messages", upstream.url());
    let (_, body) = post(&url, &json!({"model": "m", "messages": []})).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    let kinds: Vec<&Value> =
        document["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"]);
    assert_eq!(document["content"][2]["input"], json!({"x": 1}));
}

#[tokio::test]
async fn gemini_streams_documents_and_answers_whole() {
    let upstream = Upstream::start(spoken()).await;
    let model = format!("{}/v1beta/models/gemini-x", upstream.url());
    let (_, body) =
        post(&format!("{model}:streamGenerateContent?alt=sse"), &json!({"contents": []})).await;
    assert!(body.contains("\r\n\r\n"));
    let events = events(&body);
    let part = |index: usize| &events[index]["candidates"][0]["content"]["parts"][0];
    assert_eq!(part(0), &json!({"text": "hm", "thought": true}));
    assert_eq!(part(2)["text"], "lo");
    assert_eq!(part(4)["functionCall"], json!({"id": "call_b", "name": "beta", "args": {"y": 2}}));
    let last = events.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"]["candidatesTokenCount"], 16);
    assert_eq!(last["usageMetadata"]["thoughtsTokenCount"], 4);
    assert_eq!(last["modelVersion"], "gemini-x");

    let (_, body) = post(&format!("{model}:generateContent"), &json!({"contents": []})).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["candidates"][0]["content"]["parts"][1]["text"], "Hello");
}

#[tokio::test]
async fn ollama_streams_lines_unless_told_not_to() {
    let upstream = Upstream::start(spoken()).await;
    let url = format!("{}/api/chat", upstream.url());
    let (_, body) = post(&url, &json!({"model": "m", "messages": []})).await;
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["message"]["thinking"], "hm");
    assert_eq!(lines[2]["message"]["content"], "lo");
    assert_eq!(lines[3]["message"]["tool_calls"][1]["function"]["arguments"], json!({"y": 2}));
    assert_eq!(lines[4]["done"], true);
    assert_eq!(lines[4]["eval_count"], 20);

    let (_, body) = post(&url, &json!({"model": "m", "messages": [], "stream": false})).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["message"]["content"], "Hello");
}

#[tokio::test]
async fn stop_reasons_are_spelled_the_providers_way() {
    let upstream = Upstream::start(Reply::text(["a"]).stop_reason("length")).await;
    let spelled = [
        ("/v1/chat/completions", "/choices/0/finish_reason", "length"),
        ("/v1/messages", "/stop_reason", "max_tokens"),
        ("/v1beta/models/m:generateContent", "/candidates/0/finishReason", "MAX_TOKENS"),
        ("/api/chat", "/done_reason", "length"),
    ];
    for (path, pointer, expected) in spelled {
        let request = json!({"model": "m", "stream": false, "messages": []});
        let (_, body) = post(&format!("{}{path}", upstream.url()), &request).await;
        let document: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(document.pointer(pointer).unwrap(), expected, "{path}");
    }
}

#[tokio::test]
async fn requests_are_recorded_and_answered_in_order_and_the_last_repeats() {
    let upstream = Upstream::start(Script::new([Reply::text(["one"]), Reply::text(["two"])])).await;
    let url = format!("{}/v1/chat/completions?api-version=7", upstream.url());
    for expected in ["one", "two", "two"] {
        let response = http()
            .post(&url)
            .bearer_auth("secret")
            .json(&json!({"model": expected}))
            .send()
            .await
            .unwrap();
        let document: Value = response.json().await.unwrap();
        assert_eq!(document["choices"][0]["message"]["content"], expected);
    }
    assert_eq!(upstream.hits(), 3);
    let request = &upstream.requests()[1];
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.query, "api-version=7");
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    assert_eq!(request.json["model"], "two");
}

#[tokio::test]
async fn a_closure_chooses_by_the_request() {
    let upstream = Upstream::start(Script::choose(|request| {
        Reply::text([request.json["model"].as_str().unwrap_or_default()])
    }))
    .await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    let (_, body) = post(&url, &json!({"model": "parrot"})).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["choices"][0]["message"]["content"], "parrot");
}

#[tokio::test]
async fn a_script_file_chooses_by_words_and_else_goes_in_order() {
    let script: Script = serde_json::from_value(json!({
        "steps": [
            {"text": ["first"]},
            {"when": "weather", "text": ["sunny"]},
            {"text": ["second"], "chunk_delay_ms": 1, "usage": {"input": 3}},
        ],
    }))
    .unwrap();
    let upstream = Upstream::start(script).await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    for (asked, expected) in [("a", "first"), ("the weather", "sunny"), ("b", "second")] {
        let (_, body) =
            post(&url, &json!({"messages": [{"role": "user", "content": asked}]})).await;
        assert!(body.contains(expected), "{asked}: {body}");
    }
}

#[test]
fn a_script_file_with_an_unknown_key_is_refused() {
    let read = serde_json::from_value::<Script>(json!({"steps": [{"txt": ["typo"]}]}));
    assert!(read.unwrap_err().to_string().contains("txt"));
}

#[tokio::test]
async fn the_tool_profile_calls_the_first_tool_once_per_turn_in_every_format() {
    let upstream = Upstream::start(profiles::named("tool").unwrap()).await;
    let function = json!({"name": "lookup", "parameters": {"type": "object", "properties": {}}});
    let user = json!({"role": "user", "content": "hi"});
    let cases = [
        (
            "/v1/chat/completions",
            json!({"tools": [{"type": "function", "function": function}], "messages": [user]}),
            json!({"role": "tool", "tool_call_id": "call_scripted", "content": "{}"}),
        ),
        (
            "/v1/messages",
            json!({"tools": [{"name": "lookup", "input_schema": {}}], "messages": [user]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}),
        ),
        (
            "/v1beta/models/m:generateContent",
            json!({"tools": [{"functionDeclarations": [function]}], "contents": [{"role": "user", "parts": []}]}),
            json!({"role": "user", "parts": [{"functionResponse": {"name": "lookup"}}]}),
        ),
        (
            "/api/chat",
            json!({"stream": false, "tools": [{"type": "function", "function": function}], "messages": [user]}),
            json!({"role": "tool", "content": "{}"}),
        ),
    ];
    for (path, mut request, result) in cases {
        let url = format!("{}{path}", upstream.url());
        let (_, body) = post(&url, &request).await;
        assert!(body.contains("lookup") && !body.contains("word00"), "{path}: {body}");
        let key = if request.get("contents").is_some() { "contents" } else { "messages" };
        request[key].as_array_mut().unwrap().push(result);
        let (_, body) = post(&url, &request).await;
        assert!(body.contains("word00") && body.contains("word19"), "{path}: {body}");
    }
}
