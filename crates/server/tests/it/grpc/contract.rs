//! What the contract asks of every runtime.

use std::{collections::HashSet, time::Duration};

use bartizan_engine::{
    message::{MediaSource, Part},
    ports::model::ModelErrorKind,
    usage::Usage,
};
use bartizan_server::grpc::wire::{
    AudioInputChunk, ClientMessage, ContentPart, DuplexStart, HealthRequest, InvocationRequest,
    MediaContent, server_message::Message as Frame,
};
use tonic::codec::CompressionEncoding;

use super::support::{
    Say, Setup, Talk, error_of, final_content, kinds, message, text, world, world_with,
};

#[tokio::test]
async fn health_and_hello_tell_the_same() {
    let world = world(|_, _| text("Hello.")).await;
    let health = world.client().await.health(HealthRequest {}).await.unwrap().into_inner();
    assert!(health.healthy);
    assert_eq!(health.status, "ready");
    assert_eq!(health.contract_version, "1.3.0");
    let unique: HashSet<&String> = health.capabilities.iter().collect();
    assert_eq!(unique.len(), health.capabilities.len(), "no capability is named twice");
    assert_eq!(health.capabilities, ["invoke", "client_tools"]);

    // Hello needs no message to answer.
    let mut talk = world.talk().await;
    match talk.next().await {
        Some(Frame::RuntimeHello(hello)) => {
            assert_eq!(hello.capabilities, health.capabilities);
            assert_eq!(hello.media, None);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_turn_is_hello_chunks_and_one_done() {
    let world = world(|_, _| {
        let cost =
            Usage { input_tokens: 7, output_tokens: 3, cost_usd: Some(0.25), ..Usage::default() };
        vec![Say::Text("Good ".into()), Say::Text("day.".into()), Say::Used(cost)]
    })
    .await;
    let frames = world.say(message("s-1", "Hello")).await;
    let kinds = kinds(&frames);
    assert_eq!(kinds.first(), Some(&"hello"));
    assert_eq!(kinds.last(), Some(&"done"));
    assert!(kinds[1..kinds.len() - 1].iter().all(|kind| *kind == "chunk"));
    let Some(Frame::Done(done)) = frames.last().unwrap().message.clone() else { panic!() };
    assert_eq!(done.final_content, "Good day.");
    assert!(done.parts.is_empty());
    let usage = done.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cost_usd), (7, 3, 0.25));
    // Stored before done, under the session's name.
    assert_eq!(world.messages("s-1").await.len(), 2);
}

#[tokio::test]
async fn a_turn_of_many_deltas_fits_in_sixteen_frames() {
    let world = world(|_, _| {
        let word =
            |index| [Say::Text(format!("word {index} ")), Say::Pause(Duration::from_millis(60))];
        (0..20).flat_map(word).collect()
    })
    .await;
    let frames = world.say(message("s-1", "Count")).await;
    assert!(frames.len() <= 16, "{} frames", frames.len());
    let said: String = frames
        .iter()
        .filter_map(|frame| match frame.message.as_ref() {
            Some(Frame::Chunk(chunk)) => Some(chunk.content.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said, final_content(&frames));
    assert_eq!(said.matches("word").count(), 20);
}

#[tokio::test]
async fn compressed_calls_are_answered_compressed() {
    let world = world(|_, _| text("{\"squeezed\": true}")).await;
    let client = world
        .client()
        .await
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let mut talk = Talk::with(client.clone()).await;
    assert_eq!(talk.metadata.get("grpc-encoding").unwrap(), "gzip");
    talk.send(message("s-1", &"Hello ".repeat(1000))).await;
    talk.half_close();
    assert_eq!(final_content(&talk.rest().await.unwrap()), "{\"squeezed\": true}");

    let request = InvocationRequest {
        input_json: "{}".into(),
        invocation_id: "i-1".into(),
        ..Default::default()
    };
    let response = client.clone().invoke(request).await.unwrap();
    assert_eq!(response.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(response.into_inner().output_json, "{\"squeezed\": true}");

    // Who could inflate but does not compress is not made to.
    let plain = world.client().await.accept_compressed(CompressionEncoding::Gzip);
    let talk = Talk::with(plain).await;
    assert_eq!(talk.metadata.get("grpc-encoding"), None);
}

#[tokio::test]
async fn a_stream_takes_several_turns_and_says_hello_once() {
    let world = world(|before, request| {
        text(&format!("answer {before} to {} messages", request.messages.len()))
    })
    .await;
    let mut talk = world.talk().await;
    // The second is sent before the first is answered, and waits its turn.
    talk.send(message("s-1", "one")).await;
    talk.send(message("s-1", "two")).await;
    talk.half_close();
    let frames = talk.rest().await.unwrap();
    let kinds = kinds(&frames);
    assert_eq!(kinds.iter().filter(|kind| **kind == "hello").count(), 1);
    assert_eq!(kinds.iter().filter(|kind| **kind == "done").count(), 2);
    assert_eq!(final_content(&frames), "answer 1 to 3 messages");
}

#[tokio::test]
async fn a_message_that_says_nothing_is_refused_on_protocol() {
    let world = world(|_, _| text("unasked")).await;
    let frames = world.say(message("conformance", "")).await;
    assert_eq!(kinds(&frames), ["hello", "error"]);
    let (code, message) = error_of(&frames);
    assert_eq!(code, "INVALID_MESSAGE");
    assert!(message.contains("content"), "{message}");
    assert!(world.model.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_supported_is_refused_aloud() {
    let world = world(|_, _| text("unasked")).await;
    let duplex = ClientMessage {
        duplex_start: Some(DuplexStart {
            codec: "pcm".into(),
            sample_rate: 16000,
            channels: 1,
            ..Default::default()
        }),
        ..message("s-1", "")
    };
    let audio = ClientMessage {
        audio_input: Some(AudioInputChunk { data: vec![0; 4], ..Default::default() }),
        ..message("s-1", "Hello")
    };
    for message in [duplex, audio] {
        let frames = world.say(message).await;
        assert_eq!(kinds(&frames), ["hello", "error"]);
        assert_eq!(error_of(&frames).0, "DUPLEX_UNSUPPORTED");
    }
    let stored = MediaContent {
        storage_ref: "omnia://sessions/s-1/media/m-1".into(),
        mime_type: "image/png".into(),
        ..Default::default()
    };
    let (code, message) = error_of(&world.say(with_media("s-1", "image", stored)).await);
    assert_eq!(code, "UNSUPPORTED_CONTENT");
    assert!(message.starts_with("parts[1].media.storage_ref"), "{message}");
    assert!(world.model.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bad_session_id_is_named() {
    let world = world(|_, _| text("unasked")).await;
    for session in ["", "two words", "a/b", &"x".repeat(129), "naïve"] {
        let (code, text) = error_of(&world.say(message(session, "Hello")).await);
        assert_eq!(code, "INVALID_MESSAGE");
        assert!(text.starts_with("session_id"), "{text}");
    }
}

#[tokio::test]
async fn a_failed_turn_is_an_error_and_a_good_end() {
    let world =
        world(|_, _| vec![Say::Text("Well, ".into()), Say::Fail(ModelErrorKind::Unavailable)])
            .await;
    let frames = world.say(message("s-1", "Hello")).await;
    assert_eq!(kinds(&frames), ["hello", "chunk", "error"]);
    let (code, message) = error_of(&frames);
    assert_eq!(code, "MODEL_UNAVAILABLE");
    assert!(!message.contains("secret"), "{message}");

    // Left open by the client, the stream ends all the same.
    let mut talk = world.talk().await;
    talk.send(super::support::message("s-1", "Again")).await;
    assert_eq!(kinds(&talk.rest().await.unwrap()).last(), Some(&"error"));
}

#[tokio::test]
async fn an_answer_without_text_is_still_archived() {
    let world = world(|before, _| if before == 0 { vec![Say::Image] } else { vec![] }).await;
    let frames = world.say(message("s-1", "Draw")).await;
    assert!(final_content(&frames).contains("image/png"));
    let Some(Frame::Done(done)) = frames.last().unwrap().message.clone() else { panic!() };
    assert_eq!(done.parts[0].r#type, "image");
    assert_eq!(done.parts[0].media.as_ref().unwrap().data, "iVBORw0KGgo=");

    let frames = world.say(message("s-2", "Say nothing")).await;
    assert!(!final_content(&frames).is_empty());
    assert_eq!(kinds(&frames), ["hello", "done"], "no chunk is empty");
}

#[tokio::test]
async fn parts_win_over_content() {
    let world = world(|_, _| text("Seen.")).await;
    let media = MediaContent {
        // URL-safe and unpadded.
        data: "-_-_-w".into(),
        mime_type: "image/png".into(),
        ..Default::default()
    };
    let mut asked = with_media("s-1", "image", media);
    asked.content = "ignored".into();
    assert_eq!(final_content(&world.say(asked).await), "Seen.");
    let parts = &world.request(0).messages[0].parts;
    assert_eq!(parts[0].as_text(), Some("Look:"));
    let Part::Media(media) = &parts[1] else { panic!("{parts:?}") };
    assert_eq!(media.source, MediaSource::Base64("+/+/+w==".into()));
}

#[tokio::test]
async fn metadata_fills_variables() {
    let world = world(|_, _| text("Welcome.")).await;
    let mut asked = message("s-1", "Hello");
    let metadata = [("guests", "3"), ("place", "4"), ("mock_scenario", "party")];
    asked.metadata = metadata.map(|(name, value)| (name.into(), value.into())).into();
    world.say(asked).await;
    let request = world.request(0);
    assert_eq!(request.system.as_deref(), Some("Guests: 3. Place: 4. Asked: ."));
    assert_eq!(request.metadata.keys().collect::<Vec<_>>(), ["mock_scenario"]);

    let mut asked = message("s-1", "Hello");
    asked.metadata = [("guests".into(), "three".into())].into();
    let (code, text) = error_of(&world.say(asked).await);
    assert_eq!(code, "INVALID_VARIABLE");
    assert!(text.contains("guests"), "{text}");
}

#[tokio::test]
async fn the_mock_says_that_it_is_one() {
    let setup = Setup { mock: true, ..Setup::default() };
    let mock = world_with(setup, |_, _| text("I am a mock.")).await;
    assert_eq!(mock.talk().await.metadata.get("x-bartizan-mock").unwrap(), "true");
    let request = InvocationRequest { input_json: "{".into(), ..Default::default() };
    let refused = mock.client().await.invoke(request).await.unwrap_err();
    assert_eq!(refused.metadata().get("x-bartizan-mock").unwrap(), "true");
    let model = world(|_, _| text("I am not.")).await;
    assert_eq!(model.talk().await.metadata.get("x-bartizan-mock"), None);
}

#[tokio::test]
async fn large_messages_pass_both_ways() {
    let long = "x".repeat(3 * 1024 * 1024);
    let echoed = long.clone();
    let world = world(move |_, _| text(&echoed)).await;
    let image = MediaContent {
        data: "AAAA".repeat(3 * 1024 * 1024),
        mime_type: "image/png".into(),
        ..Default::default()
    };
    let frames = world.say(with_media("s-1", "image", image)).await;
    assert_eq!(final_content(&frames).len(), long.len());
}

fn with_media(session: &str, kind: &str, media: MediaContent) -> ClientMessage {
    let said = ContentPart { r#type: "text".into(), text: "Look:".into(), media: None };
    let shown = ContentPart { r#type: kind.into(), text: String::new(), media: Some(media) };
    ClientMessage { parts: vec![said, shown], ..message(session, "") }
}
