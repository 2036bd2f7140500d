//! A model that says what it is told to, and a store that fails when it is told to.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bartizan_engine::{
    event::StopReason,
    identity::{RunId, SessionId},
    message::{Media, MediaKind, MediaSource, ToolCall},
    owner::Owner,
    ports::{
        model::{
            Model, ModelError, ModelErrorKind, ModelEvent, ModelInfo, ModelRequest, ModelStream,
        },
        store::{RunRecord, Session, Store, StoreError, StoredMessage, TurnRecord},
    },
    usage::Usage,
};
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;

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
    pub inner: Arc<dyn Store>,
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

impl ScriptedModel {
    /// A model that answers by this script.
    pub fn new(
        mock: bool,
        script: impl Fn(usize, &ModelRequest) -> Vec<Say> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            mock,
            gate: Arc::new(Semaphore::new(0)),
            requests: Mutex::default(),
        })
    }
}

impl FailingStore {
    /// A store in memory that works until it is told to fail.
    pub fn new() -> Arc<Self> {
        let clock = Arc::new(bartizan_engine::ports::clock::SystemClock);
        let inner = bartizan_store::Memory::new(clock, Default::default());
        Arc::new(Self { inner, fails: AtomicBool::new(false) })
    }
}

/// A connection to a server of ours, for what no client library would send.
pub async fn connect(address: std::net::SocketAddr) -> tokio::net::TcpStream {
    tokio::net::TcpSocket::new_v4().unwrap().connect(address).await.unwrap()
}
