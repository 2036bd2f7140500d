//! What goes wrong on command: statuses, cuts, stalls, garbage, servers that are not there.

use std::time::Duration;

use bartizan_testkit::upstream::{Reply, Script, Unreachable, Upstream, refused_address};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::support::{events, http, post};

const PATHS: [&str; 4] = [
    "/v1/chat/completions",
    "/v1/messages",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
    "/api/chat",
];

/// The text that arrived and whether the body ended well.
async fn read(url: &str) -> (String, bool) {
    let request = json!({"model": "m", "stream": true, "messages": []});
    let response = http().post(url).json(&request).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut stream = response.bytes_stream();
    let mut text = String::new();
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            Err(_) => return (text, false),
        }
    }
    (text, true)
}

#[tokio::test]
async fn a_cut_arrives_after_exactly_so_many_pieces_as_a_broken_connection() {
    let upstream = Upstream::start(Reply::text(["one", "two", "three"]).cut_after(2)).await;
    for path in PATHS {
        let (text, clean) = read(&format!("{}{path}", upstream.url())).await;
        assert!(!clean, "{path}");
        assert!(text.contains("two") && !text.contains("three"), "{path}: {text}");
    }
}

#[tokio::test]
async fn an_early_end_is_clean_and_lacks_the_closing_events() {
    let upstream = Upstream::start(Reply::text(["one", "two"]).end_after(2)).await;
    for path in PATHS {
        let (text, clean) = read(&format!("{}{path}", upstream.url())).await;
        assert!(clean, "{path}");
        assert!(text.contains("two"), "{path}: {text}");
        for closing in ["[DONE]", "message_stop", "finishReason", "\"done\":true"] {
            assert!(!text.contains(closing), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn garbage_comes_in_the_middle_and_the_rest_follows() {
    let upstream = Upstream::start(Reply::text(["one", "two"]).garbage_after(1)).await;
    for path in PATHS {
        let (text, clean) = read(&format!("{}{path}", upstream.url())).await;
        assert!(clean);
        let [one, garbage, two] =
            ["one", "not JSON", "two"].map(|word| text.find(word).expect(path));
        assert!(one < garbage && garbage < two, "{path}: {text}");
    }
}

#[tokio::test]
async fn an_error_event_ends_the_stream() {
    let upstream = Upstream::start(Reply::text(["one", "two"]).error_after(1)).await;
    for path in PATHS {
        let (text, clean) = read(&format!("{}{path}", upstream.url())).await;
        assert!(clean);
        assert!(
            text.contains("one") && text.contains("error") && !text.contains("two"),
            "{path}: {text}"
        );
    }
}

#[tokio::test]
async fn a_stall_sends_what_came_before_and_then_nothing() {
    let upstream = Upstream::start(Reply::text(["one", "two"]).stall_after(1)).await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    let request = json!({"stream": true});
    let response = http().post(url).json(&request).send().await.unwrap();
    let mut stream = response.bytes_stream();
    let mut text = String::new();
    let read_on = async {
        while let Some(piece) = stream.next().await {
            text.push_str(&String::from_utf8_lossy(&piece.unwrap()));
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), read_on).await.is_err());
    assert!(text.contains("one") && !text.contains("two"), "{text}");
}

#[tokio::test]
async fn a_hanging_reply_is_recorded_and_never_answered() {
    let upstream = Upstream::start(Reply::hang()).await;
    let url = format!("{}/v1/messages", upstream.url());
    let request = http().post(url).timeout(Duration::from_millis(200)).json(&json!({}));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(upstream.hits(), 1);
}

#[tokio::test]
async fn whole_answers_can_be_cut_short_and_garbled() {
    let body = |reply: Reply| async move {
        let upstream = Upstream::start(reply).await;
        let url = format!("{}/v1/chat/completions", upstream.url());
        http().post(url).json(&json!({})).send().await.unwrap().text().await
    };
    assert!(body(Reply::text(["one"]).cut_after(1)).await.is_err());
    for reply in [Reply::text(["one"]).end_after(1), Reply::text(["one"]).garbage_after(1)] {
        let text = body(reply).await.unwrap();
        assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn statuses_come_with_headers_and_an_error_in_the_providers_shape() {
    let upstream = Upstream::start(Script::new([Reply::too_many_requests(7)])).await;
    let pointers = ["/error/code", "/error/type", "/error/status", "/error"];
    let words =
        ["rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "scripted status 429"];
    for ((path, pointer), word) in PATHS.into_iter().zip(pointers).zip(words) {
        let url = format!("{}{path}", upstream.url());
        let response = http().post(url).json(&json!({"stream": true})).send().await.unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "7");
        let document: Value = response.json().await.unwrap();
        assert_eq!(document.pointer(pointer).unwrap(), word, "{path}");
    }
}

#[tokio::test]
async fn a_status_can_carry_any_body() {
    let upstream = Upstream::start(Reply::status(502).body("<html>bad gateway</html>")).await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    assert_eq!(post(&url, &json!({})).await, (502, "<html>bad gateway</html>".to_owned()));
}

#[tokio::test]
async fn delays_are_kept() {
    let delay = Duration::from_millis(60);
    let reply = Reply::text(["a", "b", "c"]).first_delay(delay).chunk_delay(delay);
    let upstream = Upstream::start(reply).await;
    let started = std::time::Instant::now();
    let (text, clean) = read(&format!("{}/v1/chat/completions", upstream.url())).await;
    assert!(clean);
    assert_eq!(events(&text).last().unwrap(), "[DONE]");
    // Only the lower bound is certain on a busy machine.
    assert!(started.elapsed() >= delay * 3);
}

#[tokio::test]
async fn dropping_the_upstream_closes_its_connections_and_its_port() {
    let upstream = Upstream::start(Reply::text(["one", "two"]).stall_after(1)).await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    let response = http().post(&url).json(&json!({"stream": true})).send().await.unwrap();
    let mut stream = response.bytes_stream();
    assert!(stream.next().await.unwrap().is_ok());
    drop(upstream);
    let rest: Vec<_> = stream.collect().await;
    assert!(rest.last().unwrap().is_err());
    assert!(http().post(&url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn addresses_that_refuse_and_that_never_answer_a_connect() {
    let refused = format!("http://{}/", refused_address().await);
    assert!(http().get(refused).send().await.unwrap_err().is_connect());
    let unreachable = Unreachable::start().await.unwrap();
    let request = http().get(unreachable.url()).timeout(Duration::from_millis(300));
    assert!(request.send().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn an_accept_delay_holds_back_the_first_byte() {
    let script = Script::from(Reply::text(["late"])).accept_delay(Duration::from_millis(400));
    let upstream = Upstream::start(script).await;
    let url = format!("{}/v1/chat/completions", upstream.url());
    let request = http().post(&url).json(&json!({})).timeout(Duration::from_millis(100));
    assert!(request.send().await.unwrap_err().is_timeout());
    let (status, _) = post(&url, &json!({})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn unknown_paths_say_so() {
    let upstream = Upstream::start(Reply::text(["one"])).await;
    let (status, body) = post(&format!("{}/v1/responses", upstream.url()), &json!({})).await;
    assert_eq!(status, 404);
    assert!(body.contains("serves no POST /v1/responses"), "{body}");
}
