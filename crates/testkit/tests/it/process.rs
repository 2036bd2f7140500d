//! Starting, watching and ending a real process: `scripted-upstream` stands in for the server.

use std::time::Duration;

use bartizan_testkit::client;
use bartizan_testkit::process::{self, Launch};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

fn upstream() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_scripted-upstream"))
}

#[tokio::test]
async fn the_program_serves_a_script_file_and_prints_its_url() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.json");
    std::fs::write(&file, json!({"steps": [{"text": ["from a file"]}]}).to_string()).unwrap();
    let [address, ..] = process::free_addresses();
    let arguments = ["--address", &address.to_string(), "--script", &file.to_string_lossy()];
    let mut server = upstream().args(arguments).start().await;
    let url = format!("http://{address}\n");
    tokio::time::timeout(LIMIT, async {
        while server.stdout() != url {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    let answer = client::post(address, "/v1/chat/completions", &json!({}), LIMIT).await.unwrap();
    assert!(answer.text().contains("from a file"));

    let sockets = server.sockets().unwrap();
    assert!(sockets.iter().any(|socket| socket.listening && socket.local == address));
    assert!(server.memory().unwrap().resident_kib > 0);
    assert!(server.cpu_time().is_ok());
    assert!(server.is_running());
    server.terminate();
    assert!(!server.ended(LIMIT).await.success());
    assert!(!server.is_running());
    assert!(server.memory().is_err());
}

#[tokio::test]
async fn a_killed_process_is_gone_when_kill_returns() {
    let mut server = upstream().start().await;
    assert!(server.is_running());
    server.kill().await;
    assert!(!server.is_running());
}

#[tokio::test]
async fn a_command_runs_to_its_end_without_the_callers_environment() {
    let finished = upstream().args(["--script", "/nonexistent.json"]).run(LIMIT).await;
    assert_eq!(finished.code, Some(65));
    assert!(finished.stderr.contains("/nonexistent.json"));
    let finished = Launch::new("/usr/bin/env").env("GIVEN", "1").run(LIMIT).await;
    let mut names: Vec<&str> =
        finished.stdout.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["GIVEN", "HOME", "PATH"]);
}
