//! The tool server, as an independent HTTP client sees it.

use std::time::Duration;

use bartizan_testkit::tool_server::{ToolReply, ToolServer};
use serde_json::{Value, json};

use crate::support::{http, http_builder};

#[tokio::test]
async fn it_echoes_and_records_what_it_was_sent() {
    let tools = ToolServer::start([]).await;
    let url = format!("{}/orders/42?full=1", tools.url());
    let response =
        http().put(url).header("x-tenant", "acme").json(&json!({"a": 1})).send().await.unwrap();
    let echo: Value = response.json().await.unwrap();
    assert_eq!(echo["method"], "PUT");
    assert_eq!(echo["path"], "/orders/42");
    assert_eq!(echo["query"], "full=1");
    assert_eq!(echo["headers"]["x-tenant"], "acme");
    assert_eq!(echo["body"], json!({"a": 1}));
    let request = &tools.requests()[0];
    assert_eq!(request.header("x-tenant"), Some("acme"));
    assert_eq!(request.json, json!({"a": 1}));
}

#[tokio::test]
async fn statuses_come_in_order_and_the_last_repeats() {
    let tools =
        ToolServer::start([ToolReply::status(503), ToolReply::status(503), ToolReply::echo()])
            .await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(http().get(tools.url()).send().await.unwrap().status().as_u16());
    }
    assert_eq!(seen, [503, 503, 200, 200]);
    assert_eq!(tools.hits(), 4);
}

#[tokio::test]
async fn bodies_can_be_oversized_malformed_or_cut() {
    let tools = ToolServer::start([
        ToolReply::oversized(3_000_001),
        ToolReply::text("application/json", "{oops"),
        ToolReply::cut("{\"half\": "),
        ToolReply::redirect("http://192.0.2.1/").header("x-more", "1"),
    ])
    .await;
    let no_redirects = reqwest::redirect::Policy::none();
    let client = http_builder().redirect(no_redirects).build().unwrap();
    let get = || client.get(tools.url()).send();
    assert_eq!(get().await.unwrap().bytes().await.unwrap().len(), 3_000_001);
    assert!(get().await.unwrap().json::<Value>().await.is_err());
    assert!(get().await.unwrap().bytes().await.is_err());
    let redirect = get().await.unwrap();
    assert_eq!(redirect.status(), 302);
    assert_eq!(redirect.headers()["location"], "http://192.0.2.1/");
    assert_eq!(redirect.headers()["x-more"], "1");
}

#[tokio::test]
async fn it_can_hang_and_wait() {
    let tools = ToolServer::choose(|request| match request.path.as_str() {
        "/hang" => ToolReply::hang(),
        _ => ToolReply::json(&json!({})).with_status(201).delay(Duration::from_millis(50)),
    })
    .await;
    let hang = http().get(format!("{}/hang", tools.url())).timeout(Duration::from_millis(150));
    assert!(hang.send().await.unwrap_err().is_timeout());
    let started = std::time::Instant::now();
    assert_eq!(http().get(tools.url()).send().await.unwrap().status(), 201);
    assert!(started.elapsed() >= Duration::from_millis(50));
}
