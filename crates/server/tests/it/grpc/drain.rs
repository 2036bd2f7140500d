//! Starting, stopping, and what other services say of it.

use std::{sync::atomic::Ordering, time::Duration};

use bartizan_server::grpc::wire::HealthRequest;
use tonic::codec::CompressionEncoding;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::support::{
    Say, Setup, World, error_of, final_content, kinds, message, text, world, world_with,
};

async fn serving(world: &World, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.into() };
    // Compressed, as on a channel that compresses everything.
    let mut client =
        HealthClient::new(world.channel().await).send_compressed(CompressionEncoding::Gzip);
    client.check(request).await.unwrap().into_inner().status()
}

/// Waits until the standard health service says so.
async fn becomes(world: &World, status: ServingStatus) {
    for _ in 0..200 {
        if serving(world, "").await == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {status:?}");
}

#[tokio::test]
async fn health_follows_the_store() {
    let world = world(|_, _| text("Hello.")).await;
    becomes(&world, ServingStatus::Serving).await;
    assert_eq!(serving(&world, "omnia.runtime.v1.RuntimeService").await, ServingStatus::Serving);
    world.store.fails.store(true, Ordering::SeqCst);
    let health = world.client().await.health(HealthRequest {}).await.unwrap().into_inner();
    assert!(!health.healthy);
    assert_eq!(health.status, "not ready");
    becomes(&world, ServingStatus::NotServing).await;
    world.store.fails.store(false, Ordering::SeqCst);
    becomes(&world, ServingStatus::Serving).await;
}

#[tokio::test]
async fn reflection_lists_the_contract() {
    let world = world(|_, _| text("Hello.")).await;
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = ServerReflectionClient::new(world.channel().await)
        .send_compressed(CompressionEncoding::Gzip);
    let mut answers =
        client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"omnia.runtime.v1.RuntimeService"), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
}

#[tokio::test]
async fn turns_at_work_finish_and_new_ones_are_refused() {
    let mut world =
        world(|_, _| vec![Say::Text("Nearly ".into()), Say::Gate, Say::Text("done.".into())]).await;
    let mut at_work = world.talk().await;
    at_work.send(message("s-1", "Hello")).await;
    at_work.next().await;
    at_work.next().await;
    let mut silent = world.talk().await;
    let client = world.client().await;
    silent.next().await;

    world.stop();
    let frames = silent.rest().await.unwrap();
    assert_eq!(error_of(&frames).0, "SHUTTING_DOWN");
    // Still there for whoever asks.
    let health = client.clone().health(HealthRequest {}).await.unwrap().into_inner();
    assert!(!health.healthy);
    assert_eq!(serving(&world, "").await, ServingStatus::NotServing);
    let late = world.say(message("s-2", "Hello")).await;
    assert_eq!(kinds(&late), ["hello", "error"]);
    assert_eq!(error_of(&late).0, "SHUTTING_DOWN");

    assert!(!world.serving.is_finished());
    world.open_gate();
    let frames = at_work.rest().await.unwrap();
    assert_eq!(final_content(&frames), "Nearly done.");
    tokio::time::timeout(Duration::from_secs(30), &mut world.serving)
        .await
        .expect("the server ends when its streams have")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn grace_ends() {
    let mut setup = Setup::default();
    setup.settings.grace = Duration::from_millis(100);
    let mut world = world_with(setup, |_, _| vec![Say::Text("Never ".into()), Say::Gate]).await;
    let mut talk = world.talk().await;
    talk.send(message("s-1", "Hello")).await;
    talk.next().await;
    talk.next().await;
    world.stop();
    tokio::time::timeout(Duration::from_secs(30), &mut world.serving)
        .await
        .expect("the server does not wait for ever")
        .unwrap()
        .unwrap();
}
