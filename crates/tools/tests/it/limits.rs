use std::time::{Duration, Instant};

use bartizan_testkit::tool_server::{ToolReply, ToolServer};
use bartizan_tools::HttpLimits;
use serde_json::json;

use crate::{call, context, server_and_tool, tool_with};

#[tokio::test]
async fn a_response_over_the_limit_is_an_error_and_not_cut() {
    let server = ToolServer::start([ToolReply::oversized(1000), ToolReply::oversized(1001)]).await;
    let limits = HttpLimits { response_bytes: 1000, ..HttpLimits::default() };
    let tool =
        tool_with(json!({"endpoint": server.url(), "retryPolicy": {"maxAttempts": 3}}), limits);
    assert_eq!(call(&tool, json!({})).await.unwrap().as_str().unwrap().len(), 1000);
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, "the response is larger than 1000 bytes");
    assert_eq!(server.hits(), 2, "a response that is too large is not asked for again");
}

#[tokio::test]
async fn the_default_limit_is_ten_mebibytes() {
    let (_server, tool) =
        server_and_tool([ToolReply::oversized(10 * 1024 * 1024 + 1)], json!({})).await;
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, "the response is larger than 10485760 bytes");
}

#[tokio::test]
async fn the_time_is_for_each_attempt() {
    let server = ToolServer::start([ToolReply::hang(), ToolReply::echo()]).await;
    let limits = HttpLimits { timeout: Duration::from_millis(100), ..HttpLimits::default() };
    let config = |attempts: u32| {
        let policy = json!({"maxAttempts": attempts, "initialBackoff": "1ms"});
        json!({"endpoint": server.url(), "retryPolicy": policy})
    };
    let error = call(&tool_with(config(1), limits), json!({})).await.unwrap_err();
    assert_eq!(error.message, "no answer within 0.1 s");

    let server = ToolServer::start([ToolReply::hang(), ToolReply::echo()]).await;
    let config = json!({
        "endpoint": server.url(), "retryPolicy": {"maxAttempts": 2, "initialBackoff": "1ms"},
    });
    call(&tool_with(config, limits), json!({})).await.unwrap();
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn the_file_s_time_counts_before_the_server_s() {
    let server = ToolServer::start([ToolReply::hang()]).await;
    let file = json!({"handlers": [{
        "name": "h", "type": "http", "timeout": "50ms", "tool": {"name": "t"},
        "httpConfig": {"endpoint": server.url()},
    }]});
    let mut file = bartizan_tools::ToolFile::parse(&file.to_string()).unwrap();
    let policy = file.endpoints().fold(Default::default(), bartizan_net::EgressPolicy::allowing);
    let client = bartizan_net::Client::new(policy, &Default::default()).unwrap();
    let tool =
        bartizan_tools::http_tool(file.http.remove(0), client, HttpLimits::default()).unwrap();
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, "no answer within 0.05 s");
}

#[tokio::test]
async fn a_cancelled_turn_ends_the_call_at_once() {
    let (server, tool) = server_and_tool([ToolReply::hang()], json!({})).await;
    let context = context();
    let cancel = context.cancelled.clone();
    let call = tokio::spawn(async move { tool.call(&json!({}), &context).await });
    while server.hits() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let asked = Instant::now();
    cancel.cancel();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.message, "the call was cancelled");
    // Far below the 30 s that the attempt had left.
    assert!(asked.elapsed() < Duration::from_secs(10));
}
