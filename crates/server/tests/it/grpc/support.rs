//! A server with a model that says what it is told to, and a client.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bartizan_engine::{
    agent::{Catalogue, LoadedPack, Toolbox},
    engine::{Engine, Parts},
    event::StopReason,
    identity::{RunId, SessionId},
    limits::Limits,
    message::{Media, MediaKind, MediaSource, Message, ToolCall},
    owner::Owner,
    ports::{
        clock::SystemClock,
        model::{
            Model, ModelError, ModelErrorKind, ModelEvent, ModelInfo, ModelRequest, ModelStream,
            ToolSpec,
        },
        observer::Unobserved,
        store::{RunRecord, Session, Store, StoreError, StoredMessage, TurnRecord},
    },
    usage::Usage,
};
use bartizan_server::grpc::{
    GrpcSettings, serve,
    wire::{
        ClientMessage, ClientToolResult, ServerMessage,
        runtime_service_client::RuntimeServiceClient, server_message::Message as Frame,
    },
};
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

pub type Client = RuntimeServiceClient<Channel>;

/// One piece of a scripted answer.
#[derive(Clone)]
pub enum Say {
    Text(String),
    Call(&'static str, &'static str, Value),
    Image,
    Pause(Duration),
    /// Until the test opens the gate once more.
    Gate,
    Fail(ModelErrorKind),
    /// The call used this much.
    Used(Usage),
}

pub fn text(text: &str) -> Vec<Say> {
    vec![Say::Text(text.into())]
}

type Script = dyn Fn(usize, &ModelRequest) -> Vec<Say> + Send + Sync;

/// Answers by a script that is told how many calls were before and what is asked.
pub struct ScriptedModel {
    script: Box<Script>,
    mock: bool,
    pub gate: Arc<Semaphore>,
    pub requests: Mutex<Vec<ModelRequest>>,
}

impl ScriptedModel {
    fn info_now(&self) -> ModelInfo {
        ModelInfo { provider: "script".into(), model: "scripted".into(), mock: self.mock }
    }
}

fn model_error(kind: ModelErrorKind) -> ModelError {
    ModelError {
        kind,
        provider: "script".into(),
        status: None,
        provider_code: None,
        message: "a secret of the provider".into(),
        retry_after: None,
    }
}

#[async_trait]
impl Model for ScriptedModel {
    fn info(&self) -> ModelInfo {
        self.info_now()
    }

    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let before = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        let answer = (self.script)(before, &request);
        let called = answer.iter().any(|say| matches!(say, Say::Call(..)));
        let stop_reason = if called { StopReason::ToolCalls } else { StopReason::EndTurn };
        let usage = answer.iter().find_map(|say| match say {
            Say::Used(usage) => Some(*usage),
            _ => None,
        });
        let usage =
            usage.unwrap_or(Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() });
        let gate = Arc::clone(&self.gate);
        let events = futures::stream::iter(answer).filter_map(move |say| {
            let gate = Arc::clone(&gate);
            async move {
                match say {
                    Say::Text(text) => Some(Ok(ModelEvent::Text(text))),
                    Say::Call(id, name, arguments) => Some(Ok(ModelEvent::ToolCall(ToolCall {
                        id: id.into(),
                        name: name.into(),
                        arguments,
                        provider_state: vec![],
                    }))),
                    Say::Image => Some(Ok(ModelEvent::Media(Media {
                        kind: MediaKind::Image,
                        mime_type: "image/png".into(),
                        source: MediaSource::Base64("iVBORw0KGgo=".into()),
                        name: None,
                    }))),
                    Say::Pause(time) => {
                        tokio::time::sleep(time).await;
                        None
                    }
                    Say::Gate => {
                        gate.acquire().await.unwrap().forget();
                        None
                    }
                    Say::Fail(kind) => Some(Err(model_error(kind))),
                    Say::Used(_) => None,
                }
            }
        });
        let end = ModelEvent::Finished { stop_reason, usage, info: self.info_now() };
        Ok(events.chain(futures::stream::iter([Ok(end)])).boxed())
    }
}

/// A store that can be told to fail.
pub struct FailingStore {
    inner: Arc<dyn Store>,
    pub fails: AtomicBool,
}

impl FailingStore {
    fn check(&self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Other("/secret/path: disk I/O error".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for FailingStore {
    async fn create_session(&self, session: Session) -> Result<(), StoreError> {
        self.check()?;
        self.inner.create_session(session).await
    }

    async fn session(&self, owner: &Owner, id: &SessionId) -> Result<Option<Session>, StoreError> {
        self.check()?;
        self.inner.session(owner, id).await
    }

    async fn sessions(
        &self,
        owner: &Owner,
        limit: usize,
        after: Option<&SessionId>,
    ) -> Result<Vec<Session>, StoreError> {
        self.check()?;
        self.inner.sessions(owner, limit, after).await
    }

    async fn delete_session(&self, owner: &Owner, id: &SessionId) -> Result<bool, StoreError> {
        self.check()?;
        self.inner.delete_session(owner, id).await
    }

    async fn messages(
        &self,
        owner: &Owner,
        id: &SessionId,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        self.check()?;
        self.inner.messages(owner, id, limit).await
    }

    async fn begin_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        self.check()?;
        self.inner.begin_run(run).await
    }

    async fn finish_turn(&self, turn: TurnRecord) -> Result<(), StoreError> {
        self.check()?;
        self.inner.finish_turn(turn).await
    }

    async fn run(&self, owner: &Owner, id: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.check()?;
        self.inner.run(owner, id).await
    }

    async fn run_events(
        &self,
        owner: &Owner,
        id: RunId,
        after: u64,
    ) -> Result<Vec<bartizan_engine::event::LoggedEvent>, StoreError> {
        self.check()?;
        self.inner.run_events(owner, id, after).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.check()?;
        self.inner.sweep(now).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.check()?;
        self.inner.ready().await
    }
}

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
    let model = Arc::new(ScriptedModel {
        script: Box::new(script),
        mock: setup.mock,
        gate: Arc::new(Semaphore::new(0)),
        requests: Mutex::default(),
    });
    let inner = bartizan_store::Memory::new(Arc::new(SystemClock), Default::default());
    let store = Arc::new(FailingStore { inner, fails: AtomicBool::new(false) });
    let engine = Engine::new(Parts {
        catalogue: catalogue(),
        model: Arc::clone(&model) as Arc<dyn Model>,
        store: Arc::clone(&store) as Arc<dyn Store>,
        clock: Arc::new(SystemClock),
        observer: Arc::new(Unobserved),
        limits: setup.limits,
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
    let mut toolbox = Toolbox::default();
    for name in ["locate", "confirm"] {
        let spec = ToolSpec {
            name: name.into(),
            description: format!("To {name}"),
            parameters: json!({ "type": "object" }),
        };
        toolbox.client.insert(name.into(), spec);
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
