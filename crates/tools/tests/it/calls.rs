use bartizan_testkit::tool_server::{ToolReply, ToolServer};
use serde_json::{Value, json};

use crate::{call, server_and_tool, tool};

#[tokio::test]
async fn arguments_arrive_where_the_file_puts_them() {
    let server = ToolServer::start([]).await;
    let tool = tool(json!({
        "urlTemplate": format!("{}/v1/items/{{id}}?lang=en", server.url()),
        "method": "PATCH",
        "headers": {"X-Team": "blue"},
        "headerParams": {"trace": "X-Trace"},
        "queryParams": ["q"],
        "staticQuery": {"v": "2"},
        "staticBody": {"source": "agent"},
    }));
    let arguments = json!({"id": "a/b?c#d", "trace": "t1", "q": "x y", "text": "hi"});
    let seen = call(&tool, arguments).await.unwrap();
    assert_eq!(seen["method"], "PATCH");
    assert_eq!(seen["path"], "/v1/items/a%2Fb%3Fc%23d");
    assert_eq!(seen["query"], "lang=en&v=2&q=x+y");
    assert_eq!(seen["body"], json!({"source": "agent", "text": "hi"}));
    let headers = &seen["headers"];
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-team"], "blue");
    assert_eq!(headers["x-trace"], "t1");
    assert_eq!(headers["x-omnia-tool-name"], "the_tool");
    assert_eq!(headers["x-omnia-tool-registry"], "handler");
    assert_eq!(headers["x-omnia-session-id"], "session-1");
    assert_eq!(headers["x-omnia-agent-name"], "pack/prompt");
    assert_eq!(headers["authorization"], Value::Null);
    assert_eq!(headers["host"], server.address().to_string());
}

#[tokio::test]
async fn of_two_headers_the_one_that_counts_more_is_sent_alone() {
    let config = json!({
        "contentType": "text/one", "headers": {"Content-Type": "text/two", "X-Team": "blue"},
        "headerParams": {"team": "X-Team"},
    });
    let (server, tool) = server_and_tool([], config).await;
    call(&tool, json!({"team": "red"})).await.unwrap();
    let headers = &server.requests()[0].headers;
    for (name, value) in [("content-type", "text/two"), ("x-team", "red")] {
        assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
    }
}

#[tokio::test]
async fn an_argument_moves_the_call_nowhere_else() {
    let server = ToolServer::start([]).await;
    let tool = tool(json!({
        "urlTemplate": format!("{}/v1/items/{{id}}", server.url()), "method": "GET",
    }));
    for value in ["@evil.example", "//evil.example/", "%2e%2e", "..%2f..", "a;b", "a\\b", "{id}"] {
        let seen = call(&tool, json!({"id": value})).await.unwrap();
        let path = seen["path"].as_str().unwrap();
        assert_eq!(path.matches('/').count(), 3, "{path}");
        assert!(path.starts_with("/v1/items/"), "{path}");
        assert_eq!(seen["headers"]["host"], server.address().to_string());
    }
    let hits = server.hits();
    for value in ["..", ".", "../admin", "a/../../admin", "a\r\nX-Evil: 1"] {
        let error = call(&tool, json!({"id": value})).await.unwrap_err();
        assert!(error.message.contains("`id`"), "{error}");
    }
    assert_eq!(server.hits(), hits);
}

#[tokio::test]
async fn credentials_come_from_the_file_and_are_read_anew() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = json!({"authType": "bearer", "authTokenPath": file.path()});
    let (_server, tool) = server_and_tool([], config).await;
    for word in ["first", "second"] {
        std::fs::write(file.path(), format!("{word}\n")).unwrap();
        let seen = call(&tool, json!({})).await.unwrap();
        assert_eq!(seen["headers"]["authorization"], format!("Bearer {word}"));
    }
    let path = file.path().display().to_string();
    file.close().unwrap();
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, "this tool's credentials are not available on the server");
    assert!(!error.message.contains(&path));
    assert!(error.detail.unwrap().contains(&path));
}

#[tokio::test]
async fn a_failed_response_is_shown_in_part_and_without_the_credential() {
    let word = ["one", "long", "credential"].join("-");
    let long = format!("{}{word}{}", "x".repeat(500), "y".repeat(5000));
    let replies = [
        ToolReply::text("text/plain", &format!("no right for {word}")).with_status(403),
        ToolReply::text("text/plain", &long).with_status(500),
        ToolReply::text("text/plain", &"ü".repeat(5000)).with_status(404),
    ];
    let config = json!({"authType": "bearer", "authToken": word});
    let (_server, tool) = server_and_tool(replies, config).await;
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, "HTTP 403: no right for [REDACTED]");
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, format!("HTTP 500: {}[REDACTED]yy", "x".repeat(500)));
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, format!("HTTP 404: {}", "ü".repeat(256)));
}

#[tokio::test]
async fn an_answer_that_repeats_the_credential_is_shown_without_it() {
    let word = ["one", "long", "credential"].join("-");
    let escaped: String = word.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let replies = [
        ToolReply::json(&json!({"you sent": [{"Authorization": format!("Bearer {word}")}]})),
        ToolReply::text("application/json", &format!("{{\"{escaped}\": \"{escaped}\"}}")),
        ToolReply::text("text/plain", &format!("Authorization: Bearer {word}")),
    ];
    let config = json!({"authType": "bearer", "authToken": word});
    let (_server, tool) = server_and_tool(replies, config).await;
    assert_eq!(
        call(&tool, json!({})).await.unwrap(),
        json!({"you sent": [{"Authorization": "Bearer [REDACTED]"}]})
    );
    assert_eq!(call(&tool, json!({})).await.unwrap(), json!({"[REDACTED]": "[REDACTED]"}));
    assert_eq!(call(&tool, json!({})).await.unwrap(), "Authorization: Bearer [REDACTED]");
}

#[tokio::test]
async fn responses_are_json_or_text_redacted_then_mapped() {
    let document = json!({"id": 7, "private": "x", "deep": {"private": "y"}});
    let replies = [
        ToolReply::json(&document),
        ToolReply::text("text/plain", "just text"),
        ToolReply::text("text/plain", "").with_status(204),
        ToolReply::json(&json!([1, 2])),
    ];
    let (_server, tool) = server_and_tool(replies, json!({"redact": ["private", "none"]})).await;
    assert_eq!(
        call(&tool, json!({})).await.unwrap(),
        json!({"id": 7, "private": "[REDACTED]", "deep": {"private": "y"}})
    );
    assert_eq!(call(&tool, json!({})).await.unwrap(), "just text");
    assert_eq!(call(&tool, json!({})).await.unwrap(), "");
    assert_eq!(call(&tool, json!({})).await.unwrap(), json!([1, 2]));

    let config = json!({"redact": ["private"], "responseMapping": "{number: id, hidden: private}"});
    let (_server, tool) = server_and_tool([ToolReply::json(&document)], config).await;
    let mapped = json!({"number": 7, "hidden": "[REDACTED]"});
    assert_eq!(call(&tool, json!({})).await.unwrap(), mapped);

    let config = json!({"responseMapping": "sum(id)"});
    let (_server, tool) = server_and_tool([ToolReply::json(&document)], config).await;
    let error = call(&tool, json!({})).await.unwrap_err();
    assert_eq!(error.message, "the tool's answer does not have the expected shape");
}
