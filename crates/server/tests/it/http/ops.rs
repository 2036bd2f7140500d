//! The operations door.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::support::{Say, text, world};

#[tokio::test]
async fn ready_means_packs_store_and_not_stopping() {
    let world = world(|_, _| text("hi")).await;
    assert_eq!(world.get_ops("/healthz").await.text, "ok");
    assert_eq!(world.get_ops("/readyz").await.json(), json!({ "ready": true, "reasons": [] }));
    world.faults.lock().unwrap().push("desk.pack.json: not JSON at line 3".into());
    world.store.fails.store(true, Ordering::SeqCst);
    world.engine.begin_drain();
    let answer = world.get_ops("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reasons"].as_array().unwrap().len(), 3, "{}", answer.text);
    assert_eq!(world.get_ops("/healthz").await.status, 200);
}

#[tokio::test]
async fn turns_are_counted() {
    let world = world(|before, _| match before {
        0 => vec![Say::Call("c1", "add", json!({ "a": 2, "b": 3 }))],
        _ => text("five"),
    })
    .await;
    world.chat(json!({})).await;
    world.chat(json!({ "model": "desk/greeter" })).await;
    let answer = world.get_ops("/metrics").await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        r#"turn_agent="desk/default",outcome="ok"} 1"#,
        r#"provider="script",model="scripted",source="agent",status="success"} 2"#,
        r#"tool="add",status="success"} 1"#,
    ] {
        assert!(answer.text.contains(line), "{line}\n{}", answer.text);
    }
    // What is refused before it begins is no turn.
    assert!(!answer.text.contains("desk/greeter"));
}
