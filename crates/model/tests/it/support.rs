//! What the tests share.

use std::{sync::Arc, time::Duration};

use bartizan_engine::{
    event::StopReason,
    identity::RunId,
    message::{Media, Message, Role, ToolCall},
    ports::model::{
        Model, ModelError, ModelEvent, ModelInfo, ModelRequest, OutputFormat, Parameters,
        ToolChoice, ToolSpec,
    },
    usage::Usage,
};
use bartizan_model::{
    ApiKey, CircuitPolicy, Price, Prices, ProviderKind, ProviderSettings, RetryPolicy,
};
use bartizan_net::{Client, ClientOptions, EgressPolicy};
use bartizan_testkit::upstream::Upstream;
use futures::StreamExt;
use serde_json::json;

/// Every protocol that the upstream speaks.
pub(crate) const KINDS: [ProviderKind; 4] = [
    ProviderKind::OpenAiCompatible,
    ProviderKind::Anthropic,
    ProviderKind::Gemini,
    ProviderKind::Ollama,
];

/// Streamed, and not.
pub(crate) const WAYS: [bool; 2] = [true, false];

/// A key that looks like one, put together here so that no file holds it.
pub(crate) fn key() -> String {
    format!("sk-{}", "Ab3".repeat(12))
}

/// The client that the server itself would use for this provider.
pub(crate) fn client(settings: &ProviderSettings, connect_timeout: Duration) -> reqwest::Client {
    let public = settings.kind.public_base_url().unwrap_or_default();
    let base = settings.base_url.as_deref().unwrap_or(public).parse().unwrap();
    let options = ClientOptions { connect_timeout, ..ClientOptions::default() };
    let client = Client::new(EgressPolicy::default().allowing(&base), &options).unwrap();
    client.for_library(&base).unwrap()
}

pub(crate) fn settings(kind: ProviderKind, url: &str) -> ProviderSettings {
    let path = match kind {
        ProviderKind::OpenAi | ProviderKind::OpenAiCompatible => "/v1",
        ProviderKind::Anthropic | ProviderKind::Gemini | ProviderKind::Ollama => "",
    };
    ProviderSettings {
        base_url: Some(format!("{url}{path}")),
        api_key: Some(ApiKey::new(&key())),
        retry: RetryPolicy {
            attempts: 3,
            initial_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_secs(2),
            jitter: true,
        },
        circuit: CircuitPolicy { failures: 0, ..CircuitPolicy::default() },
        ..ProviderSettings::new(kind, "some-model")
    }
}

pub(crate) fn model(settings: ProviderSettings) -> Arc<dyn Model> {
    let price = Price { input: 1.0, cached_input: Some(0.5), output: 10.0 };
    let prices = Prices::new([("some-model".to_owned(), price)]).unwrap();
    let client = client(&settings, Duration::from_secs(10));
    bartizan_model::provider(settings, client, Arc::new(prices)).unwrap()
}

pub(crate) fn at(kind: ProviderKind, upstream: &Upstream) -> Arc<dyn Model> {
    model(settings(kind, &upstream.url()))
}

pub(crate) fn request(stream: bool) -> ModelRequest {
    asking(stream, vec![Message::text(Role::User, "Say something.")])
}

pub(crate) fn asking(stream: bool, messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        run_id: RunId::new(),
        system: Some("You are helpful.".into()),
        messages,
        tools: Arc::new([]),
        tool_choice: ToolChoice::Auto,
        parameters: Parameters::default(),
        output: OutputFormat::Text,
        stream,
        metadata: Arc::default(),
    }
}

pub(crate) fn tools(names: &[&str]) -> Arc<[ToolSpec]> {
    let schema = json!({"type": "object", "properties": {"q": {"type": "string"}}});
    names
        .iter()
        .map(|name| ToolSpec {
            name: (*name).to_owned(),
            description: format!("Does {name}."),
            parameters: schema.clone(),
        })
        .collect()
}

/// An answer, taken together.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) texts: Vec<String>,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) media: Vec<Media>,
    pub(crate) finished: Option<(StopReason, Usage, ModelInfo)>,
    pub(crate) error: Option<ModelError>,
}

impl Heard {
    pub(crate) fn text(&self) -> String {
        self.texts.concat()
    }

    pub(crate) fn stop_reason(&self) -> &StopReason {
        &self.finished.as_ref().unwrap_or_else(|| panic!("not finished: {self:?}")).0
    }

    pub(crate) fn usage(&self) -> &Usage {
        &self.finished.as_ref().unwrap_or_else(|| panic!("not finished: {self:?}")).1
    }
}

/// Asks and listens to the end. A stream goes on after nothing that ends it.
pub(crate) async fn ask(model: &Arc<dyn Model>, request: ModelRequest) -> Heard {
    let mut heard = Heard::default();
    let mut stream = match model.ask(request).await {
        Ok(stream) => stream,
        Err(error) => {
            heard.error = Some(error);
            return heard;
        }
    };
    while let Some(event) = stream.next().await {
        assert!(heard.finished.is_none() && heard.error.is_none(), "{event:?} after the end");
        match event {
            Ok(ModelEvent::Text(text)) => {
                assert!(!text.is_empty());
                heard.texts.push(text);
            }
            Ok(ModelEvent::Reasoning(text)) => heard.reasoning.push_str(&text),
            Ok(ModelEvent::ToolCall(call)) => heard.calls.push(call),
            Ok(ModelEvent::Media(media)) => heard.media.push(media),
            Ok(ModelEvent::Finished { stop_reason, usage, info }) => {
                heard.finished = Some((stop_reason, usage, info));
            }
            Err(error) => heard.error = Some(error),
        }
    }
    assert!(heard.finished.is_some() || heard.error.is_some(), "an end without a reason");
    heard
}

/// What went wrong before the answer began.
pub(crate) async fn refusal(model: &Arc<dyn Model>, request: ModelRequest) -> ModelError {
    match model.ask(request).await {
        Ok(_) => panic!("the answer began"),
        Err(error) => error,
    }
}
