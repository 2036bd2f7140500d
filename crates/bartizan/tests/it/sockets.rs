//! Nothing leaves the machine: a default `serve` has its three listening sockets and no other.

use std::{collections::BTreeSet, time::Duration};

use bartizan_testkit::{client, process::Launch};
use serde_json::json;

use crate::support::BINARY;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_default_serve_listens_on_three_sockets_and_calls_nobody() {
    let mut server = Launch::new(BINARY).arg("serve").start().await;
    server.ready().await;
    let doors = BTreeSet::from([server.http, server.grpc, server.ops]);
    for _ in 0..20 {
        let body = json!({
            "model": "concierge",
            "messages": [{ "role": "user", "content": "hello" }],
        });
        client::post(server.http, "/v1/chat/completions", &body, LIMIT).await.unwrap();
        let sockets = server.sockets().unwrap();
        let listening: BTreeSet<_> =
            sockets.iter().filter(|socket| socket.listening).map(|socket| socket.local).collect();
        assert_eq!(listening, doors);
        for socket in &sockets {
            // What is not listening was accepted: its own end is one of the doors.
            assert!(doors.contains(&socket.local), "{socket:?}");
            assert!(socket.remote.ip().is_loopback() || socket.listening, "{socket:?}");
            assert!(socket.protocol.starts_with("tcp"), "{socket:?}");
        }
    }
    server.kill().await;
}

#[tokio::test]
async fn the_only_call_of_the_example_is_to_itself() {
    let mut server = Launch::new(BINARY).arg("serve").start().await;
    server.ready().await;
    let doors = [server.http, server.grpc, server.ops];
    let body = json!({
        "model": "concierge",
        "messages": [{ "role": "user", "content": "who is on duty?" }],
    });
    let answer = client::post(server.http, "/v1/chat/completions", &body, LIMIT).await.unwrap();
    assert!(answer.text().contains("concierge/postcard"), "{}", answer.text());
    for socket in server.sockets().unwrap() {
        let ours = doors.contains(&socket.local) || socket.remote == server.http;
        assert!(ours, "{socket:?}");
    }
    server.kill().await;
}
