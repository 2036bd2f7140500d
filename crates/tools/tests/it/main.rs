//! HTTP tools against real servers on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod calls;
mod egress;
mod limits;
mod retries;

use std::sync::Arc;

use bartizan_engine::{
    identity::RunId,
    owner::Owner,
    ports::tool::{Tool, ToolContext, ToolError},
};
use bartizan_net::{Client, ClientOptions, EgressPolicy};
use bartizan_testkit::tool_server::{ToolReply, ToolServer};
use bartizan_tools::{HttpLimits, ToolFile, http_tool};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A tool of one file, wired as the binary does it: the file's endpoints are listed.
fn tool_with(config: Value, limits: HttpLimits) -> Arc<dyn Tool> {
    let file = json!({"handlers": [{
        "name": "handler", "type": "http", "httpConfig": config,
        "tool": {"name": "the_tool", "description": "For tests."},
    }]});
    let mut file = ToolFile::parse(&file.to_string()).unwrap();
    let policy = file.endpoints().fold(EgressPolicy::default(), EgressPolicy::allowing);
    let client = Client::new(policy, &ClientOptions::default()).unwrap();
    http_tool(file.http.remove(0), client, limits).unwrap()
}

fn tool(config: Value) -> Arc<dyn Tool> {
    tool_with(config, HttpLimits::default())
}

fn context() -> ToolContext {
    ToolContext {
        run_id: RunId::new(),
        session_id: Some("session-1".parse().unwrap()),
        owner: Arc::new(Owner::local()),
        agent: "pack/prompt".into(),
        cancelled: CancellationToken::new(),
    }
}

async fn call(tool: &Arc<dyn Tool>, arguments: Value) -> Result<Value, ToolError> {
    tool.call(&arguments, &context()).await
}

/// A server that gives these replies in order, and a tool that posts to it.
async fn server_and_tool<const N: usize>(
    replies: [ToolReply; N],
    mut config: Value,
) -> (ToolServer, Arc<dyn Tool>) {
    let server = ToolServer::start(replies).await;
    config["endpoint"] = server.url().into();
    let tool = tool(config);
    (server, tool)
}
