use std::{io, net::IpAddr, sync::Arc};

use bartizan_net::{Client, ClientOptions, EgressError, EgressPolicy, Lookup};
use bartizan_testkit::tool_server::{ToolReply, ToolServer};
use bartizan_tools::{HttpLimits, ToolFile, http_tool};
use serde_json::json;

use crate::{call, server_and_tool};

struct Always(IpAddr);

#[async_trait::async_trait]
impl Lookup for Always {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![self.0])
    }
}

fn handler(endpoint: &str) -> bartizan_tools::HttpHandler {
    let file = json!({"handlers": [{
        "name": "h", "type": "http", "tool": {"name": "t"},
        "httpConfig": {"endpoint": endpoint, "retryPolicy": {"maxAttempts": 3}},
    }]});
    ToolFile::parse(&file.to_string()).unwrap().http.remove(0)
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_without_saying_where_it_points() {
    let server = ToolServer::start([]).await;
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"] {
        let lookup = Arc::new(Always(address.parse().unwrap()));
        // Not listed: as when an endpoint is public and its name is later pointed inward.
        let client =
            Client::with_lookup(EgressPolicy::default(), &ClientOptions::default(), lookup)
                .unwrap();
        let endpoint = format!("http://tools.example:{}/", server.address().port());
        let tool = http_tool(handler(&endpoint), client, HttpLimits::default()).unwrap();
        let error = call(&tool, json!({})).await.unwrap_err();
        assert_eq!(error.message, "this address is not allowed by the server's policy");
        assert!(error.detail.unwrap().contains("tools.example"));
    }
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_not_listed_is_refused_when_the_tool_is_made() {
    let client = Client::new(EgressPolicy::default(), &ClientOptions::default()).unwrap();
    let made = http_tool(handler("http://127.0.0.1:1/"), client, HttpLimits::default());
    assert!(matches!(made.err(), Some(EgressError::Address { .. })));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let inner = ToolServer::start([]).await;
    for target in [inner.url(), "http://169.254.169.254/latest/meta-data/".into()] {
        let (server, tool) = server_and_tool([ToolReply::redirect(&target)], json!({})).await;
        let error = call(&tool, json!({})).await.unwrap_err();
        assert!(error.message.starts_with("HTTP 302: "), "{error}");
        assert_eq!(server.hits(), 1);
    }
    assert_eq!(inner.hits(), 0);
}
