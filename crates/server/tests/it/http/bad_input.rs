//! What should not have been sent, and what the server says to it. The process goes on.

use std::{sync::atomic::Ordering, time::Duration};

use ::http::Method;
use bartizan_server::http::limits::HttpLimits;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Answer, Setup, World, chat, connect, text, world, world_with};

async fn raw(world: &World, kind: &str, body: impl Into<Bytes>) -> Answer {
    let request = world
        .request(Method::POST, "/v1/chat/completions")
        .header("content-type", kind)
        .body(Full::from(body.into()))
        .unwrap();
    Answer::of(world.send(request).await).await
}

const JSON: &str = "application/json";

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be() {
    let http = HttpLimits { body_bytes: 10_000, ..HttpLimits::default() };
    let world = world_with(Setup { http, ..Setup::default() }, |_, _| text("hi")).await;
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    let cases: Vec<(&str, Bytes, u16, &str)> = vec![
        ("text/plain", "{}".into(), 415, "unsupported_media_type"),
        ("application/json; charset=utf-8", "{".into(), 400, "invalid_request"),
        (JSON, "".into(), 400, "invalid_request"),
        (JSON, "{".into(), 400, "invalid_request"),
        (JSON, "[]".into(), 400, "invalid_request"),
        (JSON, Bytes::from_static(b"{\"model\": \"\xff\"}"), 400, "invalid_request"),
        (JSON, deep.into(), 400, "invalid_request"),
        (JSON, vec![b' '; 10_001].into(), 413, "too_large"),
        (JSON, vec![b' '; 1_000_000].into(), 413, "too_large"),
    ];
    for (kind, body, status, code) in cases {
        let head = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        let answer = raw(&world, kind, body).await;
        assert_eq!((answer.error().0, answer.error().1.as_str()), (status, code), "{head}");
        assert_eq!(answer.header("content-type"), JSON);
    }
    assert_eq!(world.chat(json!({})).await.status, 200);
}

#[tokio::test]
async fn fields_that_make_no_sense_are_named() {
    let world = world(|_, _| text("hi")).await;
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let many: Vec<Value> = (0..3000).map(|_| json!({ "role": "user", "content": "hi" })).collect();
    let image =
        json!([{ "type": "image_url", "image_url": { "url": "data:image/png;base64,aGk=" } }]);
    let gif =
        json!([{ "type": "image_url", "image_url": { "url": "data:image/gif;base64,aGk=" } }]);
    let greeter = |mut body: Value| {
        body["model"] = json!("desk/greeter");
        body["variables"] = json!({ "name": "Ada" });
        body
    };
    let cases = [
        (json!({ "model": "none" }), 404, "unknown_agent", "model"),
        (json!({ "model": 7 }), 400, "invalid_request", "model"),
        (json!({ "messages": [] }), 400, "invalid_request", "messages"),
        (json!({ "messages": many }), 413, "too_large", "messages"),
        (user(json!("")), 400, "invalid_request", "messages[0]"),
        (user(json!(null)), 400, "invalid_request", "messages[0]"),
        (user(json!(7)), 400, "invalid_request", "messages[0].content"),
        (
            user(json!([{ "type": "smell" }])),
            400,
            "invalid_request",
            "messages[0].content[0].smell",
        ),
        (greeter(user(gif)), 422, "unsupported_content", "messages[0]"),
        (json!({ "n": 2 }), 400, "invalid_request", "n"),
        (json!({ "model": "desk/greeter" }), 422, "invalid_variable", "variables"),
        (
            json!({ "model": "desk/greeter", "variables": { "name": 7 } }),
            422,
            "invalid_variable",
            "variables",
        ),
        (
            json!({ "metadata": { "session_id": "a/b" } }),
            400,
            "invalid_request",
            "metadata.session_id",
        ),
    ];
    for (fields, status, code, param) in cases {
        let answer = world.chat(fields).await;
        assert_eq!(answer.error(), (status, code.into(), Some(param.into())), "{}", answer.text);
    }
    assert_eq!(world.chat(greeter(user(image))).await.status, 200);
    assert_eq!(world.model.requests.lock().unwrap().len(), 1, "only the last was asked");
}

/// The request's field is named, and in the caller's words: no type of ours, no place in a list
/// that the caller has never seen.
#[tokio::test]
async fn faults_are_told_in_the_callers_words() {
    let world = world(|_, _| text("hi")).await;
    let chat_path = "/v1/chat/completions";
    let cases = [
        (chat_path, json!({ "messages": [] }), "model"),
        (chat_path, json!({ "model": "desk" }), "messages"),
        (chat_path, json!({ "model": "desk", "messages": [{}] }), "messages[0].role"),
        (chat_path, json!({ "model": "desk", "messages": ["hi"] }), "messages[0]"),
        ("/v1/runs", json!({}), "input"),
        ("/v1/runs", json!({ "input": [{}] }), "input[0].type"),
        ("/v1/runs", json!({ "input": "hi", "tools": [{ "name": "a b" }] }), "tools[0].name"),
        (
            "/v1/runs",
            json!({ "input": [{ "type": "media", "mime_type": "x\r\ny", "data": "aGk=" }] }),
            "input[0]",
        ),
        ("/v1/sessions", json!({ "id": 7 }), "id"),
    ];
    for (path, body, param) in cases {
        let answer = world.post(path, &body).await;
        assert_eq!(answer.error(), (400, "invalid_request".into(), Some(param.into())));
        for ours in ["struct", "enum ", "ChatMessage"] {
            assert!(!answer.text.contains(ours), "{}", answer.text);
        }
    }
    for (path, param) in [("/v1/sessions?limit=x", "limit"), ("/v1/sessions?after=a%20b", "after")]
    {
        let answer = world.get(path).await;
        assert_eq!(answer.error(), (400, "invalid_request".into(), Some(param.into())));
        assert!(!answer.text.contains("deserialize"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_message_of_a_kept_conversation_is_named_by_its_place_in_the_request() {
    let world = world(|_, _| text("hi")).await;
    let gif = json!({ "type": "image_url", "image_url": { "url": "data:image/gif;base64,aGk=" } });
    let body = json!({
        "model": "desk/greeter",
        "variables": { "name": "Ada" },
        "metadata": { "session_id": "s-1" },
        "messages": [
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": "hi" },
            { "role": "user", "content": [gif] },
        ],
    });
    let answer = world.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.error(), (422, "unsupported_content".into(), Some("messages[2]".into())));
}

#[tokio::test]
async fn an_error_repeats_only_so_much_of_what_was_wrong() {
    let world = world(|_, _| text("hi")).await;
    let long = "ä".repeat(1_000_000);
    for body in [
        json!({ "model": long, "messages": [{ "role": "user", "content": "hi" }] }),
        json!({ "model": "desk", "messages": [{ "role": long, "content": "hi" }] }),
        json!({ "model": "desk", "messages": long }),
    ] {
        let answer = world.post("/v1/chat/completions", &body).await;
        assert!(answer.status.is_client_error() && answer.text.len() < 5_000, "{}", answer.status);
    }
    let answer = world.post("/v1/runs", &json!({ "input": "hi", (long): 1 })).await;
    assert!(answer.status == 400 && answer.text.len() < 5_000);
}

#[tokio::test]
async fn metadata_is_a_few_words() {
    let world = world(|_, _| text("hi")).await;
    let many: serde_json::Map<String, Value> =
        (0..65).map(|number| (format!("k{number}"), json!("v"))).collect();
    for metadata in
        [json!({ "k": "v".repeat(9_000) }), json!({ ("k".repeat(300)): "v" }), many.into()]
    {
        for (path, mut body) in [
            ("/v1/sessions", json!({})),
            ("/v1/runs", json!({ "input": "hi" })),
            ("/v1/chat/completions", chat(json!({}))),
        ] {
            body["metadata"] = metadata.clone();
            assert_eq!(world.post(path, &body).await.error().0, 413, "{path}");
        }
    }
}

#[tokio::test]
async fn runs_that_make_no_sense() {
    let world = world(|_, _| text("hi")).await;
    let cases = [
        (json!({}), 400, "input"),
        (json!({ "input": "" }), 400, "input[0]"),
        (json!({ "input": [] }), 400, "input[0]"),
        (json!({ "input": "hi", "inptu": 1 }), 400, "inptu"),
        (json!({ "input": "hi", "agent": "none" }), 404, "agent"),
        (json!({ "input": "hi", "session_id": "none" }), 404, "session_id"),
        (json!({ "input": "hi", "session_id": "a b" }), 400, "session_id"),
        (json!({ "input": "hi", "keep": false }), 400, "keep"),
        (json!({ "input": "hi", "stream": true, "wait": true }), 400, "wait"),
    ];
    for (fields, status, param) in cases {
        let answer = world.post("/v1/runs", &fields).await;
        let (found, _, named) = answer.error();
        assert_eq!(found, status, "{}", answer.text);
        assert!(answer.text.contains(param), "{param}: {named:?} {}", answer.text);
    }
    for path in ["/v1/runs/none", "/v1/runs/0190b6f0-8d3a-7c1e-9f4e-2b1c5d6e7f80/events"] {
        assert_eq!(world.get(path).await.error().1, "unknown_run");
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let world = world(|_, _| text("hi")).await;
    assert_eq!(world.get("/nowhere").await.error().1, "unknown_route");
    let answer = world.get("/v1/chat/completions").await;
    assert_eq!(answer.error().1, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST");
    assert_eq!(world.get("/v1/models/%ff").await.error().0, 400);
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_not_answered() {
    let world = world(|_, _| text("hi")).await;
    let port = world.address.port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        ("[::1]".to_owned(), 200),
        (format!("evil.example:{port}"), 421),
        ("localhost.evil.example".to_owned(), 421),
    ] {
        let request = world
            .request(Method::GET, "/v1/sessions")
            .header("host", &host)
            .body(Full::<Bytes>::default())
            .unwrap();
        assert_eq!(world.send(request).await.status(), status, "{host}");
    }
}

#[tokio::test]
async fn a_host_that_is_there_twice_is_refused() {
    let world = world(|_, _| text("hi")).await;
    let mut stream = connect(world.address).await;
    let request = "GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let world = world(|_, _| text("hi")).await;
    let request = world
        .request(Method::POST, "/v1/chat/completions")
        .header("content-type", JSON)
        .header("content-encoding", "gzip")
        .body(Full::from("\x1f"))
        .unwrap();
    let answer = Answer::of(world.send(request).await).await;
    assert_eq!(answer.error().1, "unsupported_media_type");
    assert!(answer.text.contains("content-encoding"), "{}", answer.text);
}

#[tokio::test]
async fn a_request_id_is_taken_or_made() {
    let world = world(|_, _| text("hi")).await;
    for (given, taken) in [("abc-1", true), ("", false), ("a b", false), (&"x".repeat(129), false)]
    {
        let request = world
            .request(Method::GET, "/v1/models")
            .header("x-request-id", given)
            .body(Full::<Bytes>::default())
            .unwrap();
        let answer = Answer::of(world.send(request).await).await;
        assert_eq!(answer.header("x-request-id") == given, taken, "{given}");
        assert!(!answer.header("x-request-id").is_empty());
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_store_that_fails_fails_the_turn_and_not_the_server() {
    let world = world(|_, _| text("hi")).await;
    world.store.fails.store(true, Ordering::SeqCst);
    let kept = json!({ "metadata": { "session_id": "s-1" } });
    let answer = world.chat(kept.clone()).await;
    assert_eq!(answer.error(), (503, "store_unavailable".into(), None));
    assert_eq!(answer.header("retry-after"), "2");
    assert!(!answer.text.contains("/secret"));
    let answer = world.post("/v1/runs", &json!({ "input": "hi", "wait": true })).await;
    assert_eq!(answer.error().1, "store_unavailable");
    world.store.fails.store(false, Ordering::SeqCst);
    assert_eq!(world.chat(kept).await.status, 200);
}

#[tokio::test]
async fn a_head_that_never_comes_is_not_waited_for() {
    let http = HttpLimits { head_time: Duration::from_millis(100), ..HttpLimits::default() };
    let world = world_with(Setup { http, ..Setup::default() }, |_, _| text("hi")).await;
    let mut stream = connect(world.address).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("a hang-up").unwrap();
}

#[tokio::test]
async fn a_connection_that_never_begins_is_not_waited_for() {
    let http = HttpLimits { head_time: Duration::from_millis(100), ..HttpLimits::default() };
    let world = world_with(Setup { http, ..Setup::default() }, |_, _| text("hi")).await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n"] {
        let mut stream = connect(world.address).await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // However it is hung up on: a reset is an end, too.
        let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect(beginning);
    }
    // Who has begun may take longer.
    let mut stream = connect(world.address).await;
    let body = chat(json!({})).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn what_is_at_work_is_finished_before_the_door_closes() {
    let mut world = world(|_, _| {
        use super::support::Say;
        vec![Say::Text("fi".into()), Say::Gate, Say::Text("ve".into())]
    })
    .await;
    let response = world.open("/v1/chat/completions", &chat(json!({ "stream": true }))).await;
    world.engine.begin_drain();
    world.stop.take().unwrap().send(()).unwrap();
    world.open_gate();
    assert!(Answer::of(response).await.text.ends_with("data: [DONE]\n\n"));
    tokio::time::timeout(Duration::from_secs(20), world.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_stops_takes_no_turns() {
    let world = world(|_, _| text("hi")).await;
    world.engine.begin_drain();
    let answer = world.chat(json!({})).await;
    assert_eq!(answer.error(), (503, "shutting_down".into(), None));
    assert_eq!(answer.header("retry-after"), "1");
}
