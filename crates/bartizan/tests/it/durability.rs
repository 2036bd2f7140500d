//! `kill -9` in the middle of turns loses no acknowledged turn and leaves a store that opens.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bartizan_testkit::{client, process::Launch};
use serde_json::json;
use tempfile::TempDir;

use crate::support::BINARY;

const LIMIT: Duration = Duration::from_secs(20);
const SESSIONS: usize = 4;
const KILLS: usize = 5;

/// How many turns of each session were acknowledged.
type Acknowledged = Arc<Mutex<BTreeMap<String, usize>>>;

/// Talks in one session until the server is gone.
async fn talk(http: SocketAddr, session: String, acknowledged: Acknowledged) {
    loop {
        let body = json!({
            "model": "concierge",
            "messages": [{ "role": "user", "content": "hello" }],
            "metadata": { "session_id": session },
        });
        match client::post(http, "/v1/chat/completions", &body, LIMIT).await {
            Ok(answer) if answer.status == 200 => {
                *acknowledged.lock().unwrap().entry(session.clone()).or_default() += 1;
            }
            _ => return,
        }
    }
}

#[tokio::test]
async fn no_acknowledged_turn_is_lost() {
    let data = TempDir::new().unwrap();
    let acknowledged = Acknowledged::default();
    for kill in 0..KILLS {
        let mut server = Launch::new(BINARY).arg("serve").data_dir(data.path()).start().await;
        server.ready().await;
        let talks: Vec<_> = (0..SESSIONS)
            .map(|index| talk(server.http, format!("s{index}"), Arc::clone(&acknowledged)))
            .map(tokio::spawn)
            .collect();
        let goal = (kill + 1) * 40;
        while acknowledged.lock().unwrap().values().sum::<usize>() < goal {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill().await;
        for talk in talks {
            talk.await.unwrap();
        }
    }
    let mut server = Launch::new(BINARY).arg("serve").data_dir(data.path()).start().await;
    server.ready().await;
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.values().sum::<usize>() >= 200);
    for (session, turns) in acknowledged {
        let path = format!("/v1/sessions/{session}");
        let found = client::get(server.http, &path, LIMIT).await.unwrap().json();
        let kept = found["message_count"]
            .as_u64()
            .or_else(|| found["messages"].as_array().map(|messages| messages.len() as u64));
        let kept = usize::try_from(kept.unwrap()).unwrap();
        // A turn may be stored and its answer not yet sent: one for each kill at most.
        assert!(kept >= turns * 2, "{session}: {turns} turns, {kept} messages");
        assert!(kept <= (turns + KILLS) * 2, "{session}: {turns} turns, {kept} messages");
        assert_eq!(kept % 2, 0, "{session}: half a turn was stored");
    }
    server.kill().await;
}
