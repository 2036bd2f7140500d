//! The OpenAI door.

use bartizan_engine::{message::Role, ports::model::ModelErrorKind, usage::Usage};
use serde_json::json;

use super::support::{Answer, Say, Setup, chat, frame, text, world, world_with};

/// Snapshots without what differs from run to run.
macro_rules! assert_wire {
    ($text:expr) => {{
        let wire = &$text;
        insta::with_settings!({filters => vec![
            (r"chatcmpl-[0-9a-f-]{36}", "chatcmpl-RUN"),
            (r#""created":\s*\d+"#, r#""created":0"#),
            (r#""request_id":"[^"]+""#, r#""request_id":"REQUEST""#),
        ]}, { insta::assert_snapshot!(wire) })
    }};
}

fn used() -> Say {
    let usage = Usage { input_tokens: 9, output_tokens: 4, cached_tokens: 2, ..Usage::default() };
    Say::Used(usage)
}

#[tokio::test]
async fn models_are_agents() {
    let world = world(|_, _| text("hi")).await;
    let answer = world.get("/v1/models").await;
    // Since the packs were loaded, which was just now.
    let created = answer.json()["data"][0]["created"].as_i64().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!((0..60).contains(&(now.as_secs() as i64 - created)), "{created}");
    assert_wire!(answer.text);
    for path in ["/v1/models/desk", "/v1/models/desk/greeter", "/v1/models/desk%2Fgreeter"] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
    let missing = world.get("/v1/models/gpt-4").await;
    assert_eq!(missing.error(), (404, "unknown_agent".into(), Some("model".into())));
}

#[tokio::test]
async fn an_answer_in_one_piece() {
    let world = world(|_, _| vec![Say::Text("fi".into()), Say::Text("ve".into()), used()]).await;
    let answer = world.chat(json!({})).await;
    assert_eq!(answer.status, 200);
    assert_wire!(answer.text);
    assert!(!world.asked(0).stream);
    assert_eq!(answer.header("x-bartizan-mock"), "");
    assert!(answer.json()["id"].as_str().unwrap().ends_with(answer.header("x-bartizan-run-id")));
}

#[tokio::test]
async fn an_answer_in_pieces() {
    let world =
        world(|_, _| vec![Say::Text("fi".into()), Say::Text("ve \"\n".into()), used()]).await;
    let fields = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let answer = world.chat(fields).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_wire!(answer.text);
    assert!(world.asked(0).stream);
}

#[tokio::test]
async fn pieces_arrive_as_they_are_written() {
    let world = world(|_, _| vec![Say::Text("fi".into()), Say::Gate, Say::Text("ve".into())]).await;
    let response = world.open("/v1/chat/completions", &chat(json!({ "stream": true }))).await;
    let mut body = response.into_body();
    let first = frame(&mut body).await.unwrap();
    assert!(first.contains("fi") && !first.contains("ve\""), "{first}");
    world.open_gate();
    let mut rest = String::new();
    while let Some(more) = frame(&mut body).await {
        rest.push_str(&more);
    }
    assert!(rest.contains("\"ve\"") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
}

#[tokio::test]
async fn the_agents_own_tools_run_inside() {
    let world = world(|before, _| match before {
        0 => vec![Say::Call("c1", "add", json!({ "a": 2, "b": 3 }))],
        _ => text("five"),
    })
    .await;
    let answer = world.chat(json!({})).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "five");
    assert_eq!(answer["choices"][0]["message"].get("tool_calls"), None);
    assert_eq!(answer["usage"]["prompt_tokens"], 20);
}

fn lookup() -> serde_json::Value {
    json!({ "tools": [{ "type": "function", "function": {
        "name": "lookup", "parameters": { "type": "object" } } }] })
}

#[tokio::test]
async fn the_callers_tools_are_handed_over() {
    let world = world(|before, request| match before {
        0 => vec![
            Say::Call("c1", "lookup", json!({ "key": "a" })),
            Say::Call("c2", "lookup", json!({ "key": "b" })),
        ],
        _ => text(&format!("{} messages", request.messages.len())),
    })
    .await;
    let answer = world.chat(lookup()).await;
    assert_wire!(answer.text);
    let mut fields = lookup();
    let message = answer.json()["choices"][0]["message"].clone();
    fields["messages"] = json!([
        { "role": "user", "content": "look" },
        message,
        { "role": "tool", "tool_call_id": "c1", "content": "1" },
        { "role": "tool", "tool_call_id": "c2", "content": "2" },
    ]);
    let answer = world.chat(fields).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "4 messages");
}

#[tokio::test]
async fn the_callers_tools_are_handed_over_in_pieces() {
    let world = world(|_, _| {
        vec![Say::Text("hm".into()), Say::Call("c1", "lookup", json!({ "key": "a" }))]
    })
    .await;
    let mut fields = lookup();
    fields["stream"] = json!(true);
    assert_wire!(world.chat(fields).await.text);
}

#[tokio::test]
async fn a_session_is_kept() {
    let world = world(|before, _| text(&format!("answer {before}"))).await;
    let kept = json!({ "metadata": { "session_id": "s-1" } });
    let answer = world.chat(kept.clone()).await;
    assert_eq!(answer.header("x-bartizan-session-id"), "s-1");
    // The caller repeats the conversation, as clients do; only what is new is added.
    let mut again = kept;
    again["messages"] = json!([
        { "role": "system", "content": "be brief" },
        { "role": "user", "content": "2 + 3?" },
        { "role": "assistant", "content": "answer 0" },
        { "role": "user", "content": "and 4 + 5?" },
    ]);
    world.chat(again).await;
    let roles: Vec<Role> = world.asked(1).messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::System, Role::User]);
    let session = world.get("/v1/sessions/s-1").await.json();
    assert_eq!(session["message_count"], 4);
}

#[tokio::test]
async fn nothing_is_kept_without_a_session() {
    let world = world(|_, _| text("hi")).await;
    let answer = world.chat(json!({})).await;
    assert_eq!(answer.header("x-bartizan-session-id"), "");
    assert_eq!(world.get("/v1/sessions").await.json()["data"], json!([]));
}

#[tokio::test]
async fn the_mock_says_that_it_is_one() {
    let setup = Setup { mock: true, ..Setup::default() };
    let world = world_with(setup, |_, _| text("hi")).await;
    assert_eq!(world.chat(json!({})).await.header("x-bartizan-mock"), "true");
    let streamed = world.chat(json!({ "stream": true })).await;
    assert_eq!(streamed.header("x-bartizan-mock"), "true");
}

#[tokio::test]
async fn a_provider_that_fails_at_once_is_a_status() {
    for stream in [false, true] {
        let world = world(|_, _| vec![Say::Fail(ModelErrorKind::Unavailable)]).await;
        let answer = world.chat(json!({ "stream": stream })).await;
        assert_eq!(answer.error(), (503, "model_unavailable".into(), None));
        assert!(!answer.text.contains("secret"));
    }
}

#[tokio::test]
async fn a_provider_that_breaks_off_breaks_the_stream() {
    let world = world(|_, _| {
        vec![
            Say::Text("fi".into()),
            Say::Pause(std::time::Duration::from_millis(50)),
            Say::Fail(ModelErrorKind::Interrupted),
        ]
    })
    .await;
    let answer = world.chat(json!({ "stream": true })).await;
    assert_eq!(answer.status, 200);
    assert_wire!(answer.text);
    assert_eq!(world.chat(json!({})).await.error().1, "model_interrupted");
}

#[tokio::test]
async fn a_turn_ends_with_its_caller_unless_it_is_kept() {
    let world = world(|_, _| vec![Say::Text("fi".into()), Say::Gate, Say::Text("ve".into())]).await;
    for (fields, kept) in [
        (json!({ "stream": true }), false),
        (json!({ "stream": true, "metadata": { "session_id": "s-1" } }), true),
    ] {
        let response = world.open("/v1/chat/completions", &chat(fields)).await;
        let mut body = response.into_body();
        frame(&mut body).await;
        assert_eq!(world.engine.running_count(), 1);
        drop(body);
        for _ in 0..50 {
            if world.engine.running_count() == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(world.engine.running_count(), usize::from(kept));
    }
}

#[tokio::test]
async fn the_request_arrives_at_the_model() {
    let world = world(|_, _| text("{}")).await;
    let answer: Answer = world
        .chat(json!({
            "model": "desk/greeter",
            "variables": { "name": "Ada" },
            "temperature": 0.5,
            "max_completion_tokens": 9,
            "response_format": { "type": "json_schema", "json_schema": {
                "name": "greeting", "schema": { "type": "object" }, "strict": true } },
            "messages": [{ "role": "user", "content": [
                { "type": "text", "text": "look" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,aGk=" } },
            ] }],
        }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let asked = world.asked(0);
    assert_eq!(asked.system.as_deref(), Some("You greet Ada."));
    assert_eq!(asked.parameters.temperature, Some(0.5));
    assert_eq!(asked.parameters.max_tokens, Some(9));
    insta::assert_debug_snapshot!((asked.output, asked.messages));
}
