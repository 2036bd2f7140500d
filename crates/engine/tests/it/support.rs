//! A model that says what it is told to, tools that do what they are told to, and an engine of
//! both.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bartizan_engine::{
    agent::{Catalogue, LoadedPack, Toolbox},
    engine::{Engine, Parts},
    event::{LoggedEvent, StopReason, TurnEvent},
    failure::Failure,
    limits::Limits,
    message::{Message, Role, ToolCall},
    owner::Owner,
    ports::{
        clock::SystemClock,
        model::{
            Model, ModelError, ModelErrorKind, ModelEvent, ModelInfo, ModelRequest, ModelStream,
            ToolSpec,
        },
        observer::Unobserved,
        store::Store,
        tool::{Tool, ToolContext, ToolError},
    },
    request::{SessionChoice, TurnRequest},
    run::Run,
    usage::Usage,
};
use futures::StreamExt;
use serde_json::{Value, json};

/// One piece of a scripted answer.
#[derive(Clone)]
pub enum Say {
    Text(&'static str),
    Reasoning(&'static str),
    Call(&'static str, &'static str, Value),
    Fail(ModelErrorKind),
    Pause(Duration),
    Panic,
    /// The provider counts no tokens.
    Uncounted,
    /// The stream ends without its end.
    BreakOff,
}

#[derive(Default)]
pub struct ScriptedModel {
    answers: Mutex<VecDeque<Vec<Say>>>,
    pub requests: Mutex<Vec<ModelRequest>>,
}

impl ScriptedModel {
    pub fn new(answers: Vec<Vec<Say>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into()), requests: Mutex::default() })
    }

    pub fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn request(&self, index: usize) -> ModelRequest {
        self.requests.lock().unwrap()[index].clone()
    }
}

fn info() -> ModelInfo {
    ModelInfo { provider: "script".into(), model: "scripted".into(), mock: false }
}

fn error(kind: ModelErrorKind) -> ModelError {
    ModelError {
        kind,
        provider: "script".into(),
        status: None,
        provider_code: None,
        message: "as scripted".into(),
        retry_after: None,
    }
}

#[async_trait]
impl Model for ScriptedModel {
    fn info(&self) -> ModelInfo {
        info()
    }

    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        self.requests.lock().unwrap().push(request);
        // The last answer is repeated, so that a model can be one that never stops.
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
        };
        if let Some(Say::Fail(kind)) = answer.first() {
            return Err(error(*kind));
        }
        let broken = answer.iter().any(|say| matches!(say, Say::BreakOff));
        let has_calls = answer.iter().any(|say| matches!(say, Say::Call(..)));
        let stop_reason = if has_calls { StopReason::ToolCalls } else { StopReason::EndTurn };
        let uncounted = answer.iter().any(|say| matches!(say, Say::Uncounted));
        let usage = match uncounted {
            true => Usage::default(),
            false => Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() },
        };
        let events = futures::stream::iter(answer).filter_map(|say| async move {
            Some(match say {
                Say::Text(text) => Ok(ModelEvent::Text(text.into())),
                Say::Reasoning(text) => Ok(ModelEvent::Reasoning(text.into())),
                Say::Call(id, name, arguments) => Ok(ModelEvent::ToolCall(ToolCall {
                    id: id.into(),
                    name: name.into(),
                    arguments,
                    provider_state: vec![],
                })),
                Say::Fail(kind) => Err(error(kind)),
                Say::Pause(time) => {
                    tokio::time::sleep(time).await;
                    return None;
                }
                Say::Panic => panic!("as scripted"),
                Say::BreakOff | Say::Uncounted => return None,
            })
        });
        let end = ModelEvent::Finished { stop_reason, usage, info: info() };
        if broken {
            return Ok(events.boxed());
        }
        Ok(events.chain(futures::stream::iter([Ok(end)])).boxed())
    }
}

/// A tool that adds, fails, sleeps or counts, by its argument.
pub struct Adder {
    spec: ToolSpec,
    pub runs: AtomicUsize,
}

impl Adder {
    pub fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            spec: ToolSpec {
                name: name.into(),
                description: "Adds two numbers".into(),
                parameters: json!({
                    "type": "object",
                    "properties": { "a": { "type": "number" }, "b": { "type": "number" } },
                    "required": ["a", "b"],
                }),
            },
            runs: AtomicUsize::new(0),
        })
    }

    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Tool for Adder {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: &Value, _: &ToolContext) -> Result<Value, ToolError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let (a, b) = (arguments["a"].as_f64().unwrap(), arguments["b"].as_f64().unwrap());
        if a < 0.0 {
            return Err(ToolError::new("negative numbers are not for sale"));
        }
        if a > 1e6 {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        Ok(json!({ "sum": a + b }))
    }
}

pub struct World {
    pub engine: Arc<Engine>,
    pub model: Arc<ScriptedModel>,
    pub adder: Arc<Adder>,
}

/// The pack that all tests use.
pub fn test_pack() -> LoadedPack {
    let options = promptpack::ReadOptions::default();
    let report = promptpack::read(include_bytes!("pack.json"), &options);
    let pack = report.pack.unwrap_or_else(|| panic!("{:?}", report.findings));
    LoadedPack { pack: Arc::new(pack), digest: "0".repeat(64) }
}

/// An engine with the test pack, these answers and these limits.
pub fn world_with(answers: Vec<Vec<Say>>, limits: Limits, store: Arc<dyn Store>) -> World {
    let model = ScriptedModel::new(answers);
    let adder = Adder::new("add");
    let mut toolbox = Toolbox::default();
    toolbox.server.insert("add".into(), adder.clone());
    toolbox.server.insert("forbidden".into(), Adder::new("forbidden"));
    let ask = ToolSpec {
        name: "ask_user".into(),
        description: "Asks the user".into(),
        parameters: json!({ "type": "object", "properties": {} }),
    };
    toolbox.client.insert("ask_user".into(), ask.into());
    let mut catalogue = Catalogue::default();
    catalogue.add(&test_pack(), None, "scripted", &toolbox).unwrap();
    let engine = Engine::new(Parts {
        catalogue,
        model: model.clone(),
        store,
        clock: Arc::new(SystemClock),
        observer: Arc::new(Unobserved),
        limits,
        variables: serde_json::Map::new(),
    });
    World { engine, model, adder }
}

pub fn memory() -> Arc<dyn Store> {
    bartizan_store::Memory::new(Arc::new(SystemClock), Default::default())
}

pub fn world(answers: Vec<Vec<Say>>) -> World {
    world_with(answers, Limits::default(), memory())
}

pub fn owner() -> Arc<Owner> {
    Arc::new(Owner::local())
}

/// A turn of one user message.
pub fn turn(text: &str) -> TurnRequest {
    TurnRequest::new(owner(), "test", vec![Message::text(Role::User, text)])
}

/// A turn of one user message in a session.
pub fn turn_in(session: &str, text: &str) -> TurnRequest {
    TurnRequest { session: SessionChoice::Open(session.parse().unwrap()), ..turn(text) }
}

impl World {
    pub async fn start(&self, request: TurnRequest) -> Arc<Run> {
        self.engine.start(request).await.unwrap()
    }

    pub async fn refused(&self, request: TurnRequest) -> Failure {
        match self.engine.start(request).await {
            Err(failure) => failure,
            Ok(_) => panic!("the turn began"),
        }
    }

    /// All events of the turn.
    pub async fn events(&self, request: TurnRequest) -> Vec<TurnEvent> {
        let run = self.start(request).await;
        all_events(&run).await.into_iter().map(|logged| logged.event.clone()).collect()
    }

    /// The messages of a session.
    pub async fn messages(&self, session: &str) -> Vec<Message> {
        let stored =
            self.engine.store().messages(&owner(), &session.parse().unwrap(), 100).await.unwrap();
        stored.into_iter().map(|stored| stored.message).collect()
    }
}

pub async fn all_events(run: &Arc<Run>) -> Vec<Arc<LoggedEvent>> {
    let mut follower = run.follow(0);
    let mut events = Vec::new();
    while let Some(batch) = follower.next_batch().await {
        events.extend(batch);
    }
    events
}

/// The results of tools in these events.
pub fn results(events: &[TurnEvent]) -> Vec<(String, bool, Value)> {
    events
        .iter()
        .filter_map(|event| match event {
            TurnEvent::ToolResult { result } => {
                Some((result.call_id.clone(), result.is_error, result.content.clone()))
            }
            _ => None,
        })
        .collect()
}
