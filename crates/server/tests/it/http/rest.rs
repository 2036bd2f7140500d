//! The REST door.

use std::time::Duration;

use ::http::Method;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use super::support::{Answer, Say, World, frame, text, world};

fn slow() -> Vec<Say> {
    vec![Say::Text("fi".into()), Say::Gate, Say::Text("ve".into())]
}

/// Snapshots without what differs from run to run.
macro_rules! assert_wire {
    ($value:expr) => {{
        let wire = $value;
        insta::with_settings!({filters => vec![
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        ]}, { insta::assert_json_snapshot!(wire) })
    }};
}

async fn begin(world: &World, fields: Value) -> Value {
    let answer = world.post("/v1/runs", &fields).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let run = answer.json();
    assert_eq!(answer.header("location"), format!("/v1/runs/{}", run["id"].as_str().unwrap()));
    run
}

async fn events(world: &World, run: &Value, after: u64) -> Answer {
    world.get(&format!("/v1/runs/{}/events?after={after}", run["id"].as_str().unwrap())).await
}

#[tokio::test]
async fn agents_tell_what_they_take() {
    let world = world(|_, _| text("hi")).await;
    assert_wire!(world.get("/v1/agents").await.json());
    for path in ["/v1/agents/desk", "/v1/agents/desk/default", "/v1/agents/desk%2Fdefault"] {
        assert_eq!(world.get(path).await.json()["id"], "desk/default", "{path}");
    }
    let missing = world.get("/v1/agents/none").await;
    assert_eq!(missing.error(), (404, "unknown_agent".into(), Some("agent".into())));
}

#[tokio::test]
async fn a_session_from_beginning_to_end() {
    let world = world(|before, _| match before {
        0 => vec![Say::Call("c1", "add", json!({ "a": 2, "b": 3 }))],
        _ => text("five"),
    })
    .await;
    let made =
        world.post("/v1/sessions", &json!({ "id": "mine", "metadata": { "team": "x" } })).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["agent"], "desk/default");
    let again = world.post("/v1/sessions", &json!({ "id": "mine" })).await;
    assert_eq!(again.error(), (409, "session_exists".into(), Some("id".into())));
    let run = world
        .post("/v1/runs", &json!({ "session_id": "mine", "input": "2 + 3?", "wait": true }))
        .await;
    assert_eq!(run.status, 200, "{}", run.text);
    assert_wire!(run.json());
    assert_wire!(world.get("/v1/sessions/mine").await.json());
    assert_eq!(world.delete("/v1/sessions/mine").await.status, 204);
    let gone = (404, "unknown_session".to_owned());
    for answer in [world.get("/v1/sessions/mine").await, world.delete("/v1/sessions/mine").await] {
        let (status, code, _) = answer.error();
        assert_eq!((status, code), gone);
    }
}

#[tokio::test]
async fn sessions_are_listed_in_pages() {
    let world = world(|_, _| text("hi")).await;
    for id in ["a", "b", "c"] {
        world.post("/v1/sessions", &json!({ "id": id })).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let page = world.get("/v1/sessions?limit=2").await.json();
    let ids = |page: &Value| -> Vec<String> {
        let ids = page["data"].as_array().unwrap().iter();
        ids.map(|session| session["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (ids(&page), page["has_more"].as_bool()),
        (vec!["c".into(), "b".into()], Some(true))
    );
    let page = world.get("/v1/sessions?limit=2&after=b").await.json();
    assert_eq!((ids(&page), page["has_more"].as_bool()), (vec!["a".into()], Some(false)));
    for query in ["limit=0", "limit=101", "limit=x"] {
        assert_eq!(world.get(&format!("/v1/sessions?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn events_come_exactly_once() {
    let world = world(|_, _| slow()).await;
    let run = begin(&world, json!({ "input": "2 + 3?" })).await;
    assert_eq!(run["status"], "running");
    // A first look, broken off in the middle.
    let path = format!("/v1/runs/{}/events", run["id"].as_str().unwrap());
    let request = world.request(Method::GET, &path).body(Full::<Bytes>::default()).unwrap();
    let mut body = world.send(request).await.into_body();
    let mut seen = String::new();
    while !seen.contains("\"fi\"") {
        seen.push_str(&frame(&mut body).await.unwrap());
    }
    drop(body);
    let last: u64 = seen.lines().filter_map(|line| line.strip_prefix("id: ")).count() as u64;
    world.open_gate();
    // The rest, by the header that browsers send, which goes before the query.
    let request = world
        .request(Method::GET, &format!("{path}?after=0"))
        .header("last-event-id", last.to_string())
        .body(Full::<Bytes>::default())
        .unwrap();
    let rest = Answer::of(world.send(request).await).await.events();
    assert_eq!(rest.first().unwrap().id, last + 1);
    assert_eq!(rest.last().unwrap().name, "done");
    assert_eq!(rest.last().unwrap().data["text"], "five");
    // All of it again, now from the store.
    let all = events(&world, &run, 0).await.events();
    let ids: Vec<u64> = all.iter().map(|event| event.id).collect();
    assert_eq!(ids, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all[last as usize..], rest);
    let run_id = run["id"].as_str().unwrap();
    let session = run["session_id"].as_str().unwrap();
    for answer in [events(&world, &run, 0).await, world.get(&format!("/v1/runs/{run_id}")).await] {
        assert_eq!(answer.header("x-bartizan-run-id"), run_id);
        assert_eq!(answer.header("x-bartizan-session-id"), session);
    }
    assert_wire!(all.iter().map(|event| event.data.clone()).collect::<Vec<_>>());
    assert_eq!(events(&world, &run, all.len() as u64).await.status, 204);
    let told = world.get(&format!("/v1/runs/{}", run["id"].as_str().unwrap())).await.json();
    assert_eq!(
        (told["status"].as_str(), told["output"].as_str()),
        (Some("completed"), Some("five"))
    );
}

#[tokio::test]
async fn a_run_may_stream_at_once() {
    let world = world(|_, _| text("five")).await;
    for keep in [true, false] {
        let answer =
            world.post("/v1/runs", &json!({ "input": "?", "stream": true, "keep": keep })).await;
        let events = answer.events();
        assert_eq!(events.last().unwrap().data["text"], "five");
        assert_eq!(answer.header("x-bartizan-session-id").is_empty(), !keep);
    }
    assert_eq!(world.get("/v1/sessions").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_run_can_be_cancelled() {
    let world = world(|_, _| slow()).await;
    let run = begin(&world, json!({ "input": "2 + 3?" })).await;
    let events_path = format!("/v1/runs/{}/events", run["id"].as_str().unwrap());
    let request = world.request(Method::GET, &events_path).body(Full::<Bytes>::default()).unwrap();
    let mut body = world.send(request).await.into_body();
    while !frame(&mut body).await.unwrap().contains("\"fi\"") {}
    let path = format!("/v1/runs/{}/cancel", run["id"].as_str().unwrap());
    for _ in 0..2 {
        let told = world.post(&path, &json!({})).await.json();
        assert_eq!(told["status"], "cancelled");
        assert_eq!(told["error"]["code"], "cancelled");
        assert_eq!(told["output"], "fi", "what was said until then");
    }
    let last = events(&world, &run, 0).await.events();
    assert_eq!(last.last().unwrap().name, "failed");
}

#[tokio::test]
async fn the_callers_tools_are_waited_for() {
    let world = world(|before, _| match before {
        0 => vec![Say::Call("c1", "lookup", json!({ "key": "a" }))],
        _ => text("done"),
    })
    .await;
    let run = begin(&world, json!({ "input": "look", "tools": [{ "name": "lookup" }] })).await;
    let path = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    let request =
        world.request(Method::GET, &format!("{path}/events")).body(Full::<Bytes>::default());
    let mut body = world.send(request.unwrap()).await.into_body();
    while !frame(&mut body).await.unwrap().contains("\"client\"") {}
    let results = |id: &str| json!({ "results": [{ "call_id": id, "content": 7 }] });
    let path = format!("{path}/tool_results");
    let wrong = world.post(&path, &results("c9")).await;
    let expected = (404, "unknown_tool_call".into(), Some("results[0].call_id".into()));
    assert_eq!(wrong.error(), expected);
    assert_eq!(world.post(&path, &results("c1")).await.status, 204);
    while frame(&mut body).await.is_some() {}
    assert_eq!(world.post(&path, &results("c1")).await.error().1, "unknown_tool_call");
}

#[tokio::test]
async fn who_waits_gets_the_calls_back() {
    let world = world(|_, _| vec![Say::Call("c1", "lookup", json!({ "key": "a" }))]).await;
    let wanted = json!({ "input": "look", "tools": [{ "name": "lookup" }], "wait": true });
    let run = world.post("/v1/runs", &wanted).await.json();
    assert_eq!(run["stop_reason"], "tool_calls");
    let call =
        json!([{ "type": "tool_call", "id": "c1", "name": "lookup", "arguments": { "key": "a" } }]);
    assert_eq!(run["tool_calls"], call);
}
