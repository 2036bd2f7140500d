//! `Invoke`: the agent as a function.

use bartizan_engine::{
    ports::model::{ModelErrorKind, OutputFormat},
    usage::Usage,
};
use bartizan_server::grpc::wire::{InvocationRequest, InvocationResponse};
use serde_json::json;
use tonic::{Code, Status};

use super::support::{Say, Setup, World, text, world, world_with};

async fn invoke(world: &World, input: &str) -> Result<InvocationResponse, Status> {
    let request = InvocationRequest {
        input_json: input.into(),
        invocation_id: "i-1".into(),
        ..Default::default()
    };
    world.client().await.invoke(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn an_answer_repeats_the_call_and_counts() {
    let world = world(|_, _| vec![Say::Text("{\"sum\":".into()), Say::Text(" 3}".into())]).await;
    let response = invoke(&world, "{}").await.unwrap();
    assert_eq!(response.invocation_id, "i-1");
    assert_eq!(response.output_json, "{\"sum\": 3}");
    assert_eq!(response.usage.unwrap().input_tokens, 10);
    assert!(response.duration_ms >= 0);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let world = world(|_, _| text("unasked")).await;
    let request = |input: &str, id: &str| InvocationRequest {
        input_json: input.into(),
        invocation_id: id.into(),
        ..Default::default()
    };
    let cases = [
        (request("{}", ""), "invocation_id"),
        (request("", "i-1"), "input_json"),
        (request("{", "i-1"), "input_json"),
        (request(&"[".repeat(100_000), "i-1"), "input_json"),
    ];
    for (request, field) in cases {
        let status = world.client().await.invoke(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{status}");
    }
    assert!(world.model.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_input_is_said_and_fills_the_prompt() {
    let world = world(|_, _| text("Noted.")).await;
    let input = r#"{"guests": 2, "place": ["a", "b"], "more": true}"#;
    let response = invoke(&world, input).await.unwrap();
    assert_eq!(response.output_json, "\"Noted.\"", "text that is no JSON is a JSON string");
    let request = world.request(0);
    assert_eq!(request.messages[0].plain_text(), input);
    let whole = r#"{"guests":2,"place":["a","b"],"more":true}"#;
    let system = request.system.unwrap();
    assert!(system.starts_with(r#"Guests: 2. Place: ["a","b"]. Asked: {"#), "{system}");
    assert_eq!(system.len(), format!(r#"Guests: 2. Place: ["a","b"]. Asked: {whole}."#).len());

    let status = invoke(&world, r#"{"guests": "two"}"#).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("guests"), "{status}");
}

#[tokio::test]
async fn nothing_is_remembered() {
    let world = world(|_, request| text(&request.messages.len().to_string())).await;
    for _ in 0..2 {
        assert_eq!(invoke(&world, "\"again\"").await.unwrap().output_json, "1");
    }
}

#[tokio::test]
async fn usage_of_nothing_is_left_out() {
    let world = world(|_, _| vec![Say::Text("1".into()), Say::Used(Usage::default())]).await;
    assert_eq!(invoke(&world, "{}").await.unwrap().usage, None);
}

#[tokio::test]
async fn a_client_tool_cannot_be_asked_for() {
    let world = world(|_, _| vec![Say::Call("call-1", "locate", json!({}))]).await;
    assert_eq!(invoke(&world, "{}").await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_providers_failure_is_internal_and_tells_no_secret() {
    let world = world(|_, _| vec![Say::Fail(ModelErrorKind::Unavailable)]).await;
    let status = invoke(&world, "{}").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("secret"), "{status}");
    assert_eq!(status.metadata().get("x-bartizan-code").unwrap(), "model_unavailable");
}

#[tokio::test]
async fn the_operators_format_is_asked_for_and_held_to() {
    let output = OutputFormat::JsonSchema {
        name: "desk".into(),
        schema: json!({ "type": "object" }),
        strict: true,
    };
    let mut setup = Setup::default();
    setup.settings.output = output.clone();
    let world = world_with(setup, |before, _| text(["{}", "Sorry."][before])).await;
    assert_eq!(invoke(&world, "{}").await.unwrap().output_json, "{}");
    assert_eq!(world.request(0).output, output);
    assert_eq!(invoke(&world, "{}").await.unwrap_err().code(), Code::Internal);
}
