//! The server's life: start, every door, restart, drain.

use std::{net::SocketAddr, path::Path, time::Duration};

use bartizan_server::grpc::wire::{
    ClientMessage, HealthRequest, runtime_service_client::RuntimeServiceClient,
    server_message::Message,
};
use bartizan_testkit::{
    client,
    process::{Launch, Running, Signal},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{BINARY, small_pack};

const LIMIT: Duration = Duration::from_secs(20);

async fn started(launch: Launch) -> Running {
    let mut server = launch.start().await;
    server.ready().await;
    server
}

/// One message to a session through the OpenAI door; returns the answer.
async fn say(http: SocketAddr, session: &str, text: &str) -> Value {
    let body = json!({
        "model": "concierge",
        "messages": [{ "role": "user", "content": text }],
        "metadata": { "session_id": session },
    });
    let answer = client::post(http, "/v1/chat/completions", &body, LIMIT).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["x-bartizan-mock"], "true");
    answer.json()["choices"][0]["message"]["content"].clone()
}

async fn messages(http: SocketAddr, session: &str) -> Vec<Value> {
    let path = format!("/v1/sessions/{session}");
    let answer = client::get(http, &path, LIMIT).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["messages"].as_array().unwrap().clone()
}

/// One message to a session through the gRPC door; returns the answer.
async fn converse(grpc: SocketAddr, session: &str, text: &str) -> String {
    let mut door = RuntimeServiceClient::connect(format!("http://{grpc}")).await.unwrap();
    let said = ClientMessage {
        session_id: session.into(),
        content: text.into(),
        ..ClientMessage::default()
    };
    let stream = door.converse(futures::stream::iter([said])).await.unwrap();
    let mut stream = stream.into_inner();
    while let Some(frame) = stream.message().await.unwrap() {
        if let Some(Message::Done(done)) = frame.message {
            return done.final_content;
        }
    }
    panic!("the stream ended without an answer")
}

#[tokio::test]
async fn every_door_shares_sessions_and_they_outlive_the_process() {
    let data = TempDir::new().unwrap();
    let launch = || Launch::new(BINARY).arg("serve").data_dir(data.path());
    let mut server = started(launch()).await;

    let agents = client::get(server.http, "/v1/agents", LIMIT).await.unwrap().json();
    assert_eq!(agents["data"][0]["id"], "concierge/welcome");
    let models = client::get(server.http, "/v1/models", LIMIT).await.unwrap().json();
    assert_eq!(models["object"], "list");
    let metrics = client::get(server.ops, "/metrics", LIMIT).await.unwrap();
    assert!(metrics.text().contains("promptpack_name=\"concierge\""), "{}", metrics.text());
    let mut door = RuntimeServiceClient::connect(format!("http://{}", server.grpc)).await.unwrap();
    assert!(door.health(HealthRequest::default()).await.unwrap().into_inner().healthy);

    let answer = say(server.http, "s", "hello over OpenAI").await;
    assert!(answer.as_str().unwrap().contains("mock"), "{answer}");
    let answer = converse(server.grpc, "s", "hello over gRPC").await;
    assert!(answer.contains("hello over gRPC"), "{answer}");
    let run = json!({ "session_id": "s", "input": "hello over REST", "wait": true });
    let run = client::post(server.http, "/v1/runs", &run, LIMIT).await.unwrap();
    assert!(run.status.is_success(), "{}", run.text());
    let before = messages(server.http, "s").await;
    assert_eq!(before.len(), 6);

    server.terminate();
    assert_eq!(server.ended(LIMIT).await.code(), Some(0), "{}", server.stderr());
    let mut server = started(launch()).await;
    assert_eq!(messages(server.http, "s").await, before);
    say(server.http, "s", "and again").await;
    assert_eq!(messages(server.http, "s").await.len(), 8);
    server.kill().await;
}

#[tokio::test]
async fn the_banner_says_who_what_and_where() {
    let mut server = started(Launch::new(BINARY).arg("serve")).await;
    let banner = server.stderr();
    for word in [
        "concierge/welcome",
        "MOCK",
        "OPENAI_API_KEY",
        &format!("http://{}/v1", server.http),
        &server.grpc.to_string(),
        &server.ops.to_string(),
        &server.data.display().to_string(),
    ] {
        assert!(banner.contains(word), "{word} is not in:\n{banner}");
    }
    assert_eq!(server.stdout(), "");
    server.kill().await;
}

#[tokio::test]
async fn with_port_0_the_banner_says_which_ports() {
    let mut server = Launch::new(BINARY)
        .args(["serve", "--set", "log.format=json"])
        .args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--ops", "127.0.0.1:0"])
        .start()
        .await;
    let banner: Value = loop {
        if let Some((line, _)) = server.stderr().split_once('\n') {
            break serde_json::from_str(line).unwrap();
        }
        assert!(server.is_running(), "{}", server.stderr());
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(banner["event"], "listening");
    assert_eq!(banner["mock"], true);
    let ops: SocketAddr = banner["ops"].as_str().unwrap().parse().unwrap();
    assert_ne!(ops.port(), 0);
    assert_eq!(client::get(ops, "/healthz", LIMIT).await.unwrap().status, 200);
    server.kill().await;
}

/// A pack whose mock takes this long to answer.
fn slow(folder: &Path, milliseconds: u64) -> Launch {
    let (pack, mock) = (folder.join("small.json"), folder.join("mock.yaml"));
    std::fs::write(&pack, small_pack().to_string()).unwrap();
    let script = format!("defaultResponse: {{content: done, delay_ms: {milliseconds}}}\n");
    std::fs::write(&mock, script).unwrap();
    Launch::new(BINARY).arg("serve").arg(&pack).arg("--mock").arg(&mock)
}

/// Asks, and returns when the turn is at work.
async fn asking(
    server: &Running,
) -> tokio::task::JoinHandle<std::io::Result<bartizan_testkit::client::Answer>> {
    let http = server.http;
    let body = json!({ "model": "small", "messages": [{ "role": "user", "content": "x" }] });
    let task =
        tokio::spawn(async move { client::post(http, "/v1/chat/completions", &body, LIMIT).await });
    let running = |text: &str| {
        text.lines().any(|line| line.starts_with("bartizan_turns_running") && line.ends_with(" 1"))
    };
    loop {
        let metrics = client::get(server.ops, "/metrics", LIMIT).await.unwrap().text();
        if running(&metrics) {
            return task;
        }
        assert!(!task.is_finished(), "the turn ended too early:\n{metrics}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_turn_at_work_ends_before_the_server_does() {
    let folder = TempDir::new().unwrap();
    let mut server = started(slow(folder.path(), 1500)).await;
    let asking = asking(&server).await;
    server.terminate();
    // No new turns meanwhile, and whoever asks is told.
    loop {
        let ready = client::get(server.ops, "/readyz", LIMIT).await.unwrap();
        if ready.status == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let body = json!({ "model": "small", "messages": [{ "role": "user", "content": "late" }] });
    let late = client::post(server.http, "/v1/chat/completions", &body, LIMIT).await.unwrap();
    assert_eq!(late.status, 503, "{}", late.text());
    let answer = asking.await.unwrap().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(server.ended(LIMIT).await.code(), Some(0), "{}", server.stderr());
}

#[tokio::test]
async fn the_grace_time_ends() {
    let folder = TempDir::new().unwrap();
    let launch = slow(folder.path(), 60_000).args(["--set", "shutdown.grace=1s"]);
    let mut server = started(launch).await;
    let asking = asking(&server).await;
    server.terminate();
    assert_eq!(server.ended(LIMIT).await.code(), Some(0), "{}", server.stderr());
    // Told that it was cut off, if the connection lasted long enough to be told.
    if let Ok(answer) = asking.await.unwrap() {
        assert!(answer.status.is_client_error() || answer.status.is_server_error());
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = TempDir::new().unwrap();
    let mut server = started(slow(folder.path(), 60_000)).await;
    let asking = asking(&server).await;
    server.signal(Signal::INT);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(server.is_running(), "{}", server.stderr());
    server.signal(Signal::INT);
    assert_eq!(server.ended(LIMIT).await.code(), Some(130), "{}", server.stderr());
    asking.abort();
}

#[tokio::test]
async fn it_is_not_ready_while_its_pack_is_broken() {
    let folder = TempDir::new().unwrap();
    let mut server = started(slow(folder.path(), 0)).await;
    let pack = folder.path().join("small.json");
    let whole = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, "{").unwrap();
    let ready = client::get(server.ops, "/readyz", LIMIT).await.unwrap();
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert!(ready.text().contains("small.json"), "{}", ready.text());
    assert_eq!(client::get(server.ops, "/healthz", LIMIT).await.unwrap().status, 200);
    std::fs::write(&pack, whole).unwrap();
    assert_eq!(client::get(server.ops, "/readyz", LIMIT).await.unwrap().status, 200);
    server.kill().await;
}

#[tokio::test]
async fn a_data_directory_has_one_server() {
    let data = TempDir::new().unwrap();
    let mut server = started(Launch::new(BINARY).arg("serve").data_dir(data.path())).await;
    let free = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--ops", "127.0.0.1:0"];
    let second = Launch::new(BINARY).arg("serve").args(free).data_dir(data.path()).run(LIMIT).await;
    assert_eq!(second.code, Some(69), "{}", second.stderr);
    assert!(second.stderr.contains(&server.pid.to_string()), "{}", second.stderr);
    server.kill().await;
}
