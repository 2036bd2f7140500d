//! A server with a model that says what it is told to, and a client.

use std::{sync::Arc, time::Duration};

use bartizan_engine::{
    agent::{Catalogue, LoadedPack, Toolbox},
    engine::{Engine, Parts},
    limits::Limits,
    message::Message,
    owner::Owner,
    ports::{
        clock::SystemClock,
        model::{Model, ModelRequest, ToolSpec},
        observer::Unobserved,
        store::Store,
    },
};
use bartizan_server::grpc::{
    GrpcSettings, serve,
    wire::{
        ClientMessage, ClientToolResult, ServerMessage,
        runtime_service_client::RuntimeServiceClient, server_message::Message as Frame,
    },
};
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

pub use crate::scripted::{FailingStore, Say, ScriptedModel, connect, text};

pub type Client = RuntimeServiceClient<Channel>;

/// A running server and what is behind it.
pub struct World {
    pub address: String,
    pub engine: Arc<Engine>,
    pub model: Arc<ScriptedModel>,
    pub store: Arc<FailingStore>,
    stop: Option<oneshot::Sender<()>>,
    pub serving: JoinHandle<std::io::Result<()>>,
}

/// What a test sets that most do not.
pub struct Setup {
    pub settings: GrpcSettings,
    pub limits: Limits,
    pub mock: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settings: GrpcSettings { grace: Duration::from_secs(20), ..GrpcSettings::default() },
            limits: Limits::default(),
            mock: false,
        }
    }
}

/// A server whose model answers by this script.
pub async fn world(
    script: impl Fn(usize, &ModelRequest) -> Vec<Say> + Send + Sync + 'static,
) -> World {
    world_with(Setup::default(), script).await
}

pub async fn world_with(
    setup: Setup,
    script: impl Fn(usize, &ModelRequest) -> Vec<Say> + Send + Sync + 'static,
) -> World {
    let model = ScriptedModel::new(setup.mock, script);
    let store = FailingStore::new();
    let engine = Engine::new(Parts {
        catalogue: catalogue(),
        model: Arc::clone(&model) as Arc<dyn Model>,
        store: Arc::clone(&store) as Arc<dyn Store>,
        clock: Arc::new(SystemClock),
        observer: Arc::new(Unobserved),
        limits: setup.limits,
        variables: serde_json::Map::new(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(serve(listener, Arc::clone(&engine), setup.settings, async {
        let _ = stopped.await;
    }));
    World { address, engine, model, store, stop: Some(stop), serving }
}

/// One agent with two tools that the caller runs, and variables.
fn catalogue() -> Catalogue {
    let pack = json!({
        "id": "desk",
        "name": "Desk",
        "version": "1.0.0",
        "template_engine": { "version": "v1", "syntax": "{{variable}}" },
        "prompts": {
            "default": {
                "id": "default",
                "name": "Desk",
                "version": "1.0.0",
                "system_template": "Guests: {{guests}}. Place: {{place}}. Asked: {{input}}.",
                "variables": [
                    { "name": "guests", "type": "number", "required": false, "default": 1 },
                    { "name": "place", "type": "string", "required": false, "default": "here" },
                    { "name": "input", "type": "string", "required": false },
                ],
            },
        },
    });
    let report = promptpack::read(
        serde_json::to_vec(&pack).unwrap().as_slice(),
        &promptpack::ReadOptions::default(),
    );
    let pack = report.pack.unwrap_or_else(|| panic!("{:?}", report.findings));
    let mut toolbox = Toolbox { offer_unlisted: true, ..Toolbox::default() };
    for name in ["locate", "confirm"] {
        let spec = ToolSpec {
            name: name.into(),
            description: format!("To {name}"),
            parameters: json!({ "type": "object" }),
        };
        toolbox.client.insert(name.into(), spec.into());
    }
    let mut catalogue = Catalogue::default();
    let loaded = LoadedPack { pack: Arc::new(pack), digest: "0".repeat(64) };
    catalogue.add(&loaded, None, "scripted", &toolbox).unwrap();
    catalogue
}

impl World {
    pub async fn channel(&self) -> Channel {
        Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    pub async fn client(&self) -> Client {
        let most = bartizan_server::grpc::MAX_MESSAGE_BYTES;
        RuntimeServiceClient::new(self.channel().await)
            .max_decoding_message_size(most)
            .max_encoding_message_size(most)
    }

    /// A stream on a connection of its own.
    pub async fn talk(&self) -> Talk {
        Talk::with(self.client().await).await
    }

    /// Every frame of a stream that says this and then closes its side.
    pub async fn say(&self, message: ClientMessage) -> Vec<ServerMessage> {
        let mut talk = self.talk().await;
        talk.send(message).await;
        talk.half_close();
        talk.rest().await.unwrap()
    }

    /// Tells the server to stop.
    pub fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// The model's request number `index`.
    pub fn request(&self, index: usize) -> ModelRequest {
        self.model.requests.lock().unwrap()[index].clone()
    }

    pub fn open_gate(&self) {
        self.model.gate.add_permits(1);
    }

    /// The stored messages of a session.
    pub async fn messages(&self, session: &str) -> Vec<Message> {
        let id = session.parse().unwrap();
        let stored = self.store.inner.messages(&Owner::local(), &id, 100).await.unwrap();
        stored.into_iter().map(|stored| stored.message).collect()
    }
}

/// The client's end of one `Converse` stream.
pub struct Talk {
    send: Option<mpsc::Sender<ClientMessage>>,
    pub frames: Streaming<ServerMessage>,
    pub metadata: tonic::metadata::MetadataMap,
}

impl Talk {
    pub async fn with(mut client: Client) -> Self {
        let (send, receive) = mpsc::channel(16);
        let response = client.converse(ReceiverStream::new(receive)).await.unwrap();
        let metadata = response.metadata().clone();
        Self { send: Some(send), frames: response.into_inner(), metadata }
    }

    pub async fn send(&self, message: ClientMessage) {
        // The server may have ended the stream already; the frames say why.
        let _ = self.send.as_ref().unwrap().send(message).await;
    }

    pub fn half_close(&mut self) {
        self.send = None;
    }

    pub async fn next(&mut self) -> Option<Frame> {
        let frame = tokio::time::timeout(Duration::from_secs(30), self.frames.message()).await;
        frame.expect("a frame in time").unwrap().map(|frame| frame.message.unwrap())
    }

    /// Everything up to the end, or the status that it ends with.
    pub async fn rest(&mut self) -> Result<Vec<ServerMessage>, tonic::Status> {
        let mut frames = Vec::new();
        let all = async {
            while let Some(frame) = self.frames.message().await? {
                frames.push(frame);
            }
            Ok::<_, tonic::Status>(())
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.expect("an end in time")?;
        Ok(frames)
    }

    /// The frames up to and with the turn's `Done`.
    pub async fn turn(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            let last = matches!(frame, Frame::Done(_) | Frame::Error(_));
            frames.push(frame);
            if last {
                break;
            }
        }
        frames
    }
}

pub fn message(session: &str, content: &str) -> ClientMessage {
    ClientMessage { session_id: session.into(), content: content.into(), ..Default::default() }
}

/// A result as facades send it: without a session.
pub fn result(call_id: &str, result_json: &str) -> ClientMessage {
    ClientMessage {
        client_tool_result: Some(ClientToolResult {
            call_id: call_id.into(),
            result_json: result_json.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub fn kind(frame: &Frame) -> &'static str {
    match frame {
        Frame::Chunk(_) => "chunk",
        Frame::ToolCall(_) => "tool_call",
        Frame::Done(_) => "done",
        Frame::Error(_) => "error",
        Frame::MediaChunk(_) => "media_chunk",
        Frame::Interruption(_) => "interruption",
        Frame::RuntimeHello(_) => "hello",
    }
}

pub fn kinds<'a>(frames: impl IntoIterator<Item = &'a ServerMessage>) -> Vec<&'static str> {
    frames.into_iter().map(|frame| kind(frame.message.as_ref().unwrap())).collect()
}

/// The code and message of the last frame, which is an error.
pub fn error_of(frames: &[ServerMessage]) -> (String, String) {
    match frames.last().and_then(|frame| frame.message.as_ref()) {
        Some(Frame::Error(error)) => (error.code.clone(), error.message.clone()),
        other => panic!("no error but {other:?}"),
    }
}

/// The final content of the last frame, which is a done.
pub fn final_content(frames: &[ServerMessage]) -> String {
    match frames.last().and_then(|frame| frame.message.as_ref()) {
        Some(Frame::Done(done)) => done.final_content.clone(),
        other => panic!("no done but {other:?}"),
    }
}
