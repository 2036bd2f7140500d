//! What the adapter costs: CPU time of this side alone, per call and per piece of a streamed
//! answer, beside a client that only reads the bytes, in the same run.
//!
//! `cargo run --release -p bartizan-model --example adapter_cost`
//!
//! The scripted upstream runs on a thread of its own, and the time is that of our thread
//! (`/proc/thread-self/schedstat`), so that Linux is needed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for people; it stops with a message"
)]

use std::{sync::Arc, time::Duration};

use bartizan_engine::{
    identity::RunId,
    message::{Message, Role},
    ports::model::{Model, ModelRequest, OutputFormat, Parameters, ToolChoice},
};
use bartizan_model::{ApiKey, Prices, ProviderKind, ProviderSettings};
use bartizan_net::{Client, ClientOptions, EgressPolicy};
use bartizan_testkit::upstream::{Recording, Reply, Upstream, profiles};
use futures::StreamExt;
use serde_json::json;

const CALLS: u32 = 2_000;
const WARM_UP: u32 = 200;
const FEW: usize = 20;
const MANY: usize = 220;

fn main() {
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("CPU of this side, microseconds; {CALLS} calls each\n");
    println!("{:<20} {:>14} {:>14} {:>12}", "", "20 pieces", "not streamed", "per piece");
    let bytes = Figures {
        few: ours.block_on(reading_bytes(FEW)),
        whole: ours.block_on(reading_bytes(0)),
        many: ours.block_on(reading_bytes(MANY)),
    };
    bytes.print("bytes alone");
    for kind in [
        ProviderKind::OpenAiCompatible,
        ProviderKind::Anthropic,
        ProviderKind::Gemini,
        ProviderKind::Ollama,
    ] {
        let figures = Figures {
            few: ours.block_on(asking(kind, FEW)),
            whole: ours.block_on(asking(kind, 0)),
            many: ours.block_on(asking(kind, MANY)),
        };
        figures.print(kind.as_str());
    }
}

/// Microseconds per call.
struct Figures {
    few: f64,
    whole: f64,
    many: f64,
}

impl Figures {
    fn print(&self, name: &str) {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let per_piece = (self.many - self.few) / (MANY - FEW) as f64;
        println!("{name:<20} {:>14.1} {:>14.1} {per_piece:>12.2}", self.few, self.whole);
    }
}

/// The upstream, on a thread of its own for as long as this lives.
struct Elsewhere {
    url: String,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Elsewhere {
    /// So many pieces at once; none is an answer that is not streamed.
    fn start(pieces: usize) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let reply = Reply::text(profiles::text(pieces.max(FEW)));
                let anywhere = "127.0.0.1:0".parse().unwrap();
                let upstream = Upstream::start_on(anywhere, reply, Recording::Count).await.unwrap();
                tell.send(upstream.url()).unwrap();
                let _ = stopped.await;
            });
        });
        Self { url: told.recv().unwrap(), _stop: stop }
    }
}

async fn asking(kind: ProviderKind, pieces: usize) -> f64 {
    let upstream = Elsewhere::start(pieces);
    let path = if kind == ProviderKind::OpenAiCompatible { "/v1" } else { "" };
    let model = bartizan_model::provider(
        ProviderSettings {
            base_url: Some(format!("{}{path}", upstream.url)),
            api_key: Some(ApiKey::new("none")),
            ..ProviderSettings::new(kind, "some-model")
        },
        client(&upstream.url),
        Arc::new(Prices::default()),
    )
    .unwrap();
    let streamed = pieces > 0;
    measure(async || {
        let mut answer = ask(&model, streamed).await;
        let mut events = 0;
        while let Some(event) = answer.next().await {
            event.unwrap();
            events += 1;
        }
        assert!(events >= 2);
    })
    .await
}

async fn ask(model: &Arc<dyn Model>, stream: bool) -> bartizan_engine::ports::model::ModelStream {
    let request = ModelRequest {
        run_id: RunId::new(),
        system: Some("You are a helpful assistant.".into()),
        messages: vec![Message::text(Role::User, "Tell me about the weather.")],
        tools: Arc::new([]),
        tool_choice: ToolChoice::Auto,
        parameters: Parameters::default(),
        output: OutputFormat::Text,
        stream,
        metadata: Arc::default(),
    };
    model.ask(request).await.unwrap()
}

async fn reading_bytes(pieces: usize) -> f64 {
    let upstream = Elsewhere::start(pieces);
    let client = client(&upstream.url);
    let url = format!("{}/v1/chat/completions", upstream.url);
    let body = json!({
        "model": "some-model",
        "stream": pieces > 0,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Tell me about the weather."},
        ],
    });
    measure(async || {
        let response = client.post(&url).json(&body).send().await.unwrap();
        let mut bytes = response.bytes_stream();
        while let Some(piece) = bytes.next().await {
            piece.unwrap();
        }
    })
    .await
}

fn client(url: &str) -> reqwest::Client {
    let base = url.parse().unwrap();
    let policy = EgressPolicy::default().allowing(&base);
    Client::new(policy, &ClientOptions::default()).unwrap().for_library(&base).unwrap()
}

async fn measure(mut call: impl AsyncFnMut()) -> f64 {
    for _ in 0..WARM_UP {
        call().await;
    }
    let before = cpu();
    for _ in 0..CALLS {
        call().await;
    }
    (cpu() - before).as_secs_f64() * 1e6 / f64::from(CALLS)
}

/// The CPU time of this thread so far.
fn cpu() -> Duration {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(figures.split(' ').next().unwrap().parse().unwrap())
}
