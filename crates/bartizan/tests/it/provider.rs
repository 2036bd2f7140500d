//! The configured model: reached with its key, failed over from, and never betrayed.

use std::time::Duration;

use bartizan_testkit::{
    client,
    process::{Launch, Running},
    upstream::{Reply, Script, Upstream},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{BINARY, Desk};

const LIMIT: Duration = Duration::from_secs(20);

/// Assembled at run time, so that no scanner takes this file for a leak.
fn planted() -> String {
    ["sk", "planted", &"7".repeat(20)].join("-")
}

async fn ask(server: &Running) -> client::Answer {
    let body = json!({ "model": "concierge", "messages": [{ "role": "user", "content": "hi" }] });
    client::post(server.http, "/v1/chat/completions", &body, LIMIT).await.unwrap()
}

fn content(answer: &client::Answer) -> Value {
    answer.json()["choices"][0]["message"]["content"].clone()
}

#[tokio::test]
async fn a_key_in_the_environment_is_all_it_takes() {
    let upstream = Upstream::start(Reply::text(["Good ", "evening."])).await;
    let key = planted();
    let mut server = Launch::new(BINARY)
        .args(["serve", "--log-level", "trace"])
        .env("OPENAI_API_KEY", &key)
        .env("OPENAI_BASE_URL", format!("{}/v1", upstream.url()))
        .start()
        .await;
    server.ready().await;
    let answer = ask(&server).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(content(&answer), "Good evening.");
    assert!(!answer.headers.contains_key("x-bartizan-mock"));
    let asked = &upstream.requests()[0];
    assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {key}")));
    assert_eq!(asked.json["model"], "gpt-4o");
    let said = server.stderr();
    assert!(said.contains("gpt-4o at openai"), "{said}");
    assert!(said.contains("OPENAI_API_KEY"), "which name chose it is said: {said}");
    assert!(!said.contains(&key), "{said}");
    server.kill().await;
}

#[tokio::test]
async fn a_key_that_is_refused_is_in_no_answer_and_no_log() {
    let key = planted();
    let refusal = json!({ "error": { "message": format!("Incorrect API key: {key}"), "code": "invalid_api_key" } });
    let upstream = Upstream::start(Reply::status(401).body(refusal)).await;
    let mut server = Launch::new(BINARY)
        .args(["serve", "--log-level", "trace", "--provider", "openai"])
        .env("BARTIZAN_PROVIDER__API_KEY", &key)
        .env("BARTIZAN_PROVIDER__BASE_URL", format!("{}/v1", upstream.url()))
        .start()
        .await;
    server.ready().await;
    let answer = ask(&server).await;
    assert!(answer.status.is_server_error(), "{}", answer.text());
    assert!(!answer.text().contains(&key), "{}", answer.text());
    assert!(!answer.text().contains("mock"), "the mock never answers for a provider");
    assert!(!server.stderr().contains(&key), "{}", server.stderr());
    server.kill().await;
}

#[tokio::test]
async fn the_failover_list_and_the_headers_act() {
    let first = Upstream::start(Reply::status(503)).await;
    let second = Upstream::start(Script::new([Reply::text(["from the second"])])).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("bartizan.yaml");
    let text = json!({
        "provider": {
            "type": "openai-compatible",
            "model": "one",
            "base_url": format!("{}/v1", first.url()),
            "headers": { "x-team": "desk" },
            "retry": { "attempts": 2, "initial_backoff": "1ms" },
            "failover": [{
                "type": "ollama", "model": "two", "base_url": second.url(),
                "headers": { "x-team": "attic" },
            }],
        },
    });
    std::fs::write(&file, text.to_string()).unwrap();
    let mut server = Launch::new(BINARY).args(["serve", "--config"]).arg(&file).start().await;
    server.ready().await;
    let answer = ask(&server).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(content(&answer), "from the second");
    assert_eq!(first.hits(), 2, "the first is asked as often as configured");
    assert_eq!(first.requests()[0].header("x-team"), Some("desk"));
    assert_eq!(second.requests()[0].header("x-team"), Some("attic"));
    assert_eq!(second.requests()[0].json["model"], "two");
    server.kill().await;
}

#[tokio::test]
async fn calls_go_through_the_proxy() {
    // A proxy is asked for the whole URL; what answers here does not look at it.
    let proxy = Upstream::start(Reply::text(["By proxy."])).await;
    let mut server = Launch::new(BINARY)
        .args(["serve", "--provider", "openai-compatible", "--model", "m"])
        .args(["--base-url", "http://models.invalid/v1"])
        .env("BARTIZAN_EGRESS__PROXY", proxy.url())
        .start()
        .await;
    server.ready().await;
    let answer = ask(&server).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(content(&answer), "By proxy.");
    assert_eq!(proxy.requests().len(), 1);
    server.kill().await;
}

#[test]
fn authorities_that_cannot_be_read_stop_the_start() {
    let desk = Desk::new().file("ca.pem", "none");
    for file in ["ca.pem", "nowhere.pem"] {
        let outcome = desk.run(&format!("serve --set egress.ca_file={file}"));
        assert_eq!(outcome.code, Some(66), "{outcome}");
        assert!(outcome.stderr.contains(file), "{outcome}");
    }
}
