//! Tools that the client runs.

use std::time::Duration;

use bartizan_engine::message::{Part, ToolResult};
use bartizan_server::grpc::wire::{
    ClientToolResult, ServerMessage, ToolCall, ToolExecution, server_message::Message as Frame,
};
use serde_json::{Value, json};

use super::support::{
    Say, Talk, World, error_of, final_content, kind, kinds, message, result, text, world,
};

/// An agent that asks where the user is before it answers.
async fn asking() -> World {
    world(|before, _| match before {
        0 => vec![
            Say::Text("One moment.".into()),
            Say::Call("call-1", "locate", json!({ "exact": true })),
        ],
        _ => text("Thanks."),
    })
    .await
}

/// The frames up to the next tool call, and the call.
async fn next_call(talk: &mut Talk) -> (Vec<&'static str>, ToolCall) {
    let mut before = Vec::new();
    while let Some(frame) = talk.next().await {
        match frame {
            Frame::ToolCall(call) => return (before, call),
            other => before.push(kind(&other)),
        }
    }
    panic!("no tool call after {before:?}");
}

/// What the model was told in its second call.
fn told(world: &World) -> ToolResult {
    let request = world.request(1);
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match part {
            Part::ToolResult(result) => Some(result.clone()),
            _ => None,
        })
        .next()
        .unwrap()
}

#[tokio::test]
async fn a_result_without_a_session_reaches_the_model() {
    let world = asking().await;
    let mut talk = world.talk().await;
    talk.send(message("s-1", "Where am I?")).await;
    let (before, call) = next_call(&mut talk).await;
    assert_eq!(before, ["hello", "chunk"], "text leaves before the call");
    assert_eq!(call.id, "call-1");
    assert_eq!(call.name, "locate");
    assert_eq!(call.arguments_json, r#"{"exact":true}"#);
    assert_eq!(call.execution(), ToolExecution::Client);
    talk.send(result("call-1", r#"{"city": "Wien"}"#)).await;
    talk.half_close();
    assert_eq!(final_content(&talk.rest().await.unwrap()), "One moment.\n\nThanks.");
    let told = told(&world);
    assert_eq!((told.content, told.is_error), (json!({ "city": "Wien" }), false));
}

#[tokio::test]
async fn what_is_not_json_is_text() {
    let world = asking().await;
    let mut talk = world.talk().await;
    talk.send(message("s-1", "Where am I?")).await;
    next_call(&mut talk).await;
    talk.send(result("call-1", "somewhere {near}")).await;
    talk.half_close();
    talk.rest().await.unwrap();
    assert_eq!(told(&world).content, Value::from("somewhere {near}"));
}

#[tokio::test]
async fn a_rejection_is_an_error_that_the_model_sees() {
    let world = asking().await;
    let mut talk = world.talk().await;
    talk.send(message("s-1", "Where am I?")).await;
    next_call(&mut talk).await;
    let mut rejection = result("call-1", "");
    rejection.client_tool_result = Some(ClientToolResult {
        call_id: "call-1".into(),
        is_rejected: true,
        rejection_reason: "the user said no".into(),
        ..Default::default()
    });
    talk.send(rejection).await;
    talk.half_close();
    assert_eq!(final_content(&talk.rest().await.unwrap()), "One moment.\n\nThanks.");
    let told = told(&world);
    assert!(told.is_error);
    assert_eq!(told.content, Value::from("the tool was not run: the user said no"));
}

#[tokio::test]
async fn two_calls_come_one_at_a_time() {
    let world = world(|before, _| match before {
        0 => vec![
            Say::Call("call-1", "locate", json!({})),
            Say::Call("call-2", "confirm", json!({})),
        ],
        _ => text("Both known."),
    })
    .await;
    let mut talk = world.talk().await;
    talk.send(message("s-1", "Go")).await;
    let (_, call) = next_call(&mut talk).await;
    assert_eq!(call.id, "call-1");
    let early = tokio::time::timeout(Duration::from_millis(200), talk.frames.message()).await;
    assert!(early.is_err(), "the second call must wait for the first: {early:?}");
    talk.send(result("call-1", "1")).await;
    let (_, call) = next_call(&mut talk).await;
    assert_eq!(call.id, "call-2");
    talk.send(result("call-2", "2")).await;
    let frames = talk.turn().await;
    assert_eq!(frames.last().map(kind), Some("done"));

    // The stream takes another turn after that.
    talk.send(message("s-1", "And?")).await;
    assert_eq!(talk.turn().await.last().map(kind), Some("done"));
}

#[tokio::test]
async fn nothing_but_a_result_will_do() {
    for wrong in [message("s-1", "Never mind"), result("call-9", "1"), message("s-1", "")] {
        let world = asking().await;
        let mut talk = world.talk().await;
        talk.send(message("s-1", "Where am I?")).await;
        next_call(&mut talk).await;
        talk.send(wrong).await;
        let frames = talk.rest().await.unwrap();
        assert_eq!(kinds(&frames), ["error"]);
        let (code, _) = error_of(&frames);
        assert!(["INVALID_MESSAGE", "UNKNOWN_TOOL_CALL"].contains(&code.as_str()), "{code}");
        // The turn is over: the session takes the next at once.
        let frames = world.say(message("s-1", "Again")).await;
        assert_eq!(final_content(&frames), "Thanks.");
    }
}

#[tokio::test]
async fn a_result_that_nobody_asked_for_is_refused() {
    let world = asking().await;
    let frames = world.say(result("call-1", "1")).await;
    let (code, message) = error_of(&frames);
    assert_eq!(code, "INVALID_MESSAGE");
    assert!(message.starts_with("client_tool_result"), "{message}");
}

#[tokio::test]
async fn a_client_that_closed_its_side_is_not_waited_for() {
    let world = asking().await;
    let frames: Vec<ServerMessage> = world.say(message("s-1", "Where am I?")).await;
    assert_eq!(kinds(&frames).last(), Some(&"done"));
    assert!(told(&world).is_error);
}

#[tokio::test]
async fn a_client_that_is_gone_does_not_hold_the_session() {
    let world = asking().await;
    let mut talk = world.talk().await;
    talk.send(message("s-1", "Where am I?")).await;
    next_call(&mut talk).await;
    drop(talk);
    // Well before the two minutes that a client may take over a tool.
    let frames = world.say(message("s-1", "I am back")).await;
    assert_eq!(final_content(&frames), "Thanks.");
    assert_eq!(world.request(2).messages.len(), 5, "the first turn was kept");
}
