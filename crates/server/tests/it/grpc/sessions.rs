//! Conversations that outlive their streams.

use std::{sync::atomic::Ordering, time::Duration};

use bartizan_server::grpc::wire::{HasConversationRequest, ResumeState};
use tonic::Code;

use super::support::{Say, World, final_content, message, text, world};

async fn resume(world: &World, session: &str) -> (ResumeState, String) {
    let request = HasConversationRequest { session_id: session.into() };
    let response = world.client().await.has_conversation(request).await.unwrap().into_inner();
    (response.state(), response.detail)
}

#[tokio::test]
async fn has_conversation_knows_what_there_is() {
    let world = world(|_, _| vec![Say::Gate, Say::Text("Done.".into())]).await;
    let missing = world.client().await.has_conversation(HasConversationRequest::default()).await;
    let status = missing.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("session_id"), "{status}");

    assert_eq!(resume(&world, "s-1").await.0, ResumeState::NotFound);
    assert_eq!(resume(&world, "no such/id").await.0, ResumeState::NotFound);

    // At work and not stored yet.
    let mut talk = world.talk().await;
    talk.send(message("s-1", "Hello")).await;
    talk.next().await;
    while world.engine.running_count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(resume(&world, "s-1").await.0, ResumeState::Resumable);
    world.open_gate();
    talk.turn().await;
    drop(talk);

    // Stored, and not prolonged by the question.
    let id = "s-1".parse().unwrap();
    let owner = bartizan_engine::owner::Owner::local();
    let before = world.engine.session(&owner, &id).await.unwrap().expires_at;
    assert_eq!(resume(&world, "s-1").await.0, ResumeState::Resumable);
    assert_eq!(world.engine.session(&owner, &id).await.unwrap().expires_at, before);

    world.store.fails.store(true, Ordering::SeqCst);
    let (state, detail) = resume(&world, "s-1").await;
    assert_eq!(state, ResumeState::Unavailable);
    assert!(!detail.is_empty() && !detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn a_session_goes_on_in_another_stream() {
    let world = world(|_, request| text(&request.messages.len().to_string())).await;
    assert_eq!(final_content(&world.say(message("s-1", "one")).await), "1");
    assert_eq!(final_content(&world.say(message("s-1", "two")).await), "3");
    assert_eq!(final_content(&world.say(message("s-2", "one")).await), "1");
}

#[tokio::test]
async fn a_turn_whose_client_drops_is_finished_and_stored() {
    let world = world(|before, _| match before {
        0 => vec![Say::Text("Once upon ".into()), Say::Gate, Say::Text("a time.".into())],
        _ => text("The end."),
    })
    .await;
    let mut talk = world.talk().await;
    talk.send(message("s-1", "A story")).await;
    talk.next().await;
    talk.next().await;
    drop(talk);

    // The next turn waits for the one that nobody listens to.
    let mut next = world.talk().await;
    next.send(message("s-1", "Go on")).await;
    next.next().await;
    let early = tokio::time::timeout(Duration::from_millis(200), next.frames.message()).await;
    assert!(early.is_err(), "{early:?}");
    world.open_gate();
    next.turn().await;
    let said: Vec<String> =
        world.messages("s-1").await.iter().map(|message| message.plain_text()).collect();
    assert_eq!(said, ["A story", "Once upon a time.", "Go on", "The end."]);
}

#[tokio::test]
async fn a_turn_that_cannot_be_stored_is_not_done() {
    let world = world(|_, _| vec![Say::Gate, Say::Text("Unstored.".into())]).await;
    let mut talk = world.talk().await;
    talk.send(message("s-1", "Hello")).await;
    talk.half_close();
    talk.next().await;
    while world.model.requests.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.store.fails.store(true, Ordering::SeqCst);
    world.open_gate();
    let frames = talk.rest().await.unwrap();
    let (code, message) = super::support::error_of(&frames);
    assert_eq!(code, "STORE_UNAVAILABLE");
    assert!(!message.contains("secret"), "{message}");
}
