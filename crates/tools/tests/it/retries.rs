use std::time::Duration;

use bartizan_testkit::tool_server::{ToolReply, ToolServer};
use serde_json::{Value, json};

use crate::{call, server_and_tool, tool};

fn policy(mut policy: Value) -> Value {
    if policy.get("initialBackoff").is_none() {
        policy["initialBackoff"] = "1ms".into();
    }
    json!({"retryPolicy": policy})
}

#[tokio::test]
async fn without_a_policy_there_is_one_attempt() {
    for reply in [ToolReply::status(503), ToolReply::cut("{")] {
        let (server, tool) = server_and_tool([reply, ToolReply::echo()], json!({})).await;
        call(&tool, json!({})).await.unwrap_err();
        assert_eq!(server.hits(), 1);
    }
}

#[tokio::test]
async fn listed_statuses_are_tried_again_up_to_the_count() {
    for status in [408, 429, 500, 502, 503, 504] {
        let replies = [ToolReply::status(status), ToolReply::status(status), ToolReply::echo()];
        let (server, tool) = server_and_tool(replies, policy(json!({"maxAttempts": 3}))).await;
        call(&tool, json!({})).await.unwrap();
        assert_eq!(server.hits(), 3, "{status}");
    }
    let (server, tool) =
        server_and_tool([ToolReply::status(503)], policy(json!({"maxAttempts": 3}))).await;
    let error = call(&tool, json!({})).await.unwrap_err();
    assert!(error.message.starts_with("HTTP 503: "), "{error}");
    assert_eq!(server.hits(), 3);
}

#[tokio::test]
async fn other_statuses_are_not() {
    for (listed, status) in
        [(None, 400), (None, 501), (Some(json!([])), 503), (Some(json!([409])), 503)]
    {
        let mut retry = json!({"maxAttempts": 3});
        if let Some(listed) = listed {
            retry["retryOn"] = listed;
        }
        let (server, tool) = server_and_tool([ToolReply::status(status)], policy(retry)).await;
        call(&tool, json!({})).await.unwrap_err();
        assert_eq!(server.hits(), 1, "{status}");
    }
}

#[tokio::test]
async fn broken_connections_are_tried_again_where_wanted() {
    let replies = || [ToolReply::cut("{\"half\":"), ToolReply::echo()];
    let (server, tool) = server_and_tool(replies(), policy(json!({"maxAttempts": 2}))).await;
    call(&tool, json!({})).await.unwrap();
    assert_eq!(server.hits(), 2);
    let retry = json!({"maxAttempts": 2, "retryOnNetworkError": false});
    let (server, tool) = server_and_tool(replies(), policy(retry)).await;
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, "the tool's answer broke off");
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn retry_after_sets_the_wait_up_to_the_cap() {
    let replies = || [ToolReply::status(429).header("retry-after", "1"), ToolReply::echo()];
    let gap = |server: &ToolServer| {
        let requests = server.requests();
        requests[1].at - requests[0].at
    };
    let (server, tool) = server_and_tool(replies(), policy(json!({"maxAttempts": 2}))).await;
    call(&tool, json!({})).await.unwrap();
    assert!(gap(&server) >= Duration::from_secs(1), "{:?}", gap(&server));
    // An hour is asked for; were the cap not kept, this test would not end.
    for retry in [
        json!({"maxAttempts": 2, "maxBackoff": "10ms"}),
        json!({"maxAttempts": 2, "respectRetryAfter": false}),
    ] {
        let replies = [ToolReply::status(429).header("retry-after", "3600"), ToolReply::echo()];
        let (server, tool) = server_and_tool(replies, policy(retry)).await;
        call(&tool, json!({})).await.unwrap();
        assert_eq!(server.hits(), 2);
    }
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_left_alone() {
    let (server, tool) = server_and_tool([ToolReply::status(500)], json!({})).await;
    for _ in 0..5 {
        let error = call(&tool, json!({})).await.unwrap_err();
        assert!(error.message.starts_with("HTTP 500"), "{error}");
    }
    let error = call(&tool, json!({})).await.unwrap_err();
    assert!(error.message.contains("is resting; try again in"), "{error}");
    assert_eq!(server.hits(), 5);
}

#[tokio::test]
async fn a_client_s_mistakes_do_not_open_the_circuit() {
    let (server, tool) = server_and_tool([ToolReply::status(400)], json!({})).await;
    for _ in 0..7 {
        call(&tool, json!({})).await.unwrap_err();
    }
    assert_eq!(server.hits(), 7);
}

#[tokio::test]
async fn nobody_listening_is_said_without_the_address() {
    let server = ToolServer::start([]).await;
    let address = server.address().to_string();
    let tool = tool(json!({"endpoint": server.url()}));
    drop(server);
    // The listener closes when its task is next run.
    let error = loop {
        match call(&tool, json!({})).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(!error.message.contains(&address) && !error.message.contains("127.0.0.1"), "{error}");
    assert!(error.message.starts_with("the tool's"), "{error}");
}
