//! A server with a model that says what it is told to, and a client.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use ::http::{HeaderMap, Method, Request, StatusCode};
use async_trait::async_trait;
use bartizan_engine::{
    agent::{Catalogue, LoadedPack, Toolbox},
    engine::{Engine, Parts},
    limits::Limits,
    ports::{
        clock::SystemClock,
        model::{Model, ModelRequest, ToolSpec},
        store::Store,
        tool::{Tool, ToolContext, ToolError},
    },
};
use bartizan_server::{
    http::{self, Doors, limits::HttpLimits},
    ops::{
        self, Ops,
        metrics::{Deployment, Metrics},
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub use crate::scripted::{FailingStore, Say, ScriptedModel, connect, text};

/// A running server and what is behind it.
pub struct World {
    pub address: SocketAddr,
    pub ops: SocketAddr,
    pub engine: Arc<Engine>,
    pub model: Arc<ScriptedModel>,
    pub store: Arc<FailingStore>,
    /// What the check of the packs finds.
    pub faults: Arc<Mutex<Vec<String>>>,
    pub client: Client<HttpConnector, Full<Bytes>>,
    pub stop: Option<oneshot::Sender<()>>,
    pub serving: JoinHandle<()>,
}

/// What a test sets that most do not.
#[derive(Default)]
pub struct Setup {
    pub limits: Limits,
    pub http: HttpLimits,
    pub mock: bool,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: u64,
    pub name: String,
    pub data: Value,
}

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
    let metrics = Arc::new(Metrics::new(&Deployment::default()));
    let engine = Engine::new(Parts {
        catalogue: catalogue(),
        model: Arc::clone(&model) as Arc<dyn Model>,
        store: Arc::clone(&store) as Arc<dyn Store>,
        clock: Arc::new(SystemClock),
        observer: Arc::clone(&metrics) as _,
        limits: setup.limits,
        variables: serde_json::Map::new(),
    });
    let (listener, address) = bind().await;
    let router =
        http::router(Arc::new(Doors { engine: Arc::clone(&engine), limits: setup.http.clone() }));
    let (stop, stopped) = oneshot::channel::<()>();
    let limits = setup.http.clone();
    let serving = tokio::spawn(async move {
        http::serve(listener, router, &limits, async {
            let _ = stopped.await;
        })
        .await;
    });
    let faults = Arc::new(Mutex::new(Vec::<String>::new()));
    let found = Arc::clone(&faults);
    let router = ops::router(Arc::new(Ops {
        engine: Arc::clone(&engine),
        metrics,
        check_packs: Arc::new(move || {
            let found = found.lock().unwrap().clone();
            if found.is_empty() { Ok(()) } else { Err(found) }
        }),
    }));
    let (listener, ops) = bind().await;
    tokio::spawn(async move {
        http::serve(listener, router, &setup.http, std::future::pending()).await;
    });
    let client = Client::builder(TokioExecutor::new()).build_http();
    World { address, ops, engine, model, store, faults, client, stop: Some(stop), serving }
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A tool that adds.
struct Adder(ToolSpec);

#[async_trait]
impl Tool for Adder {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, arguments: &Value, _: &ToolContext) -> Result<Value, ToolError> {
        Ok(json!(arguments["a"].as_f64().unwrap() + arguments["b"].as_f64().unwrap()))
    }
}

/// Two agents: one with a tool, one with a variable and pictures.
fn catalogue() -> Catalogue {
    let pack = json!({
        "id": "desk",
        "name": "Desk",
        "version": "1.2.0",
        "template_engine": { "version": "v1", "syntax": "{{variable}}" },
        "prompts": {
            "default": {
                "id": "default",
                "name": "Desk",
                "version": "1.0.0",
                "description": "Adds numbers",
                "system_template": "You add numbers.",
                "tools": ["add"],
            },
            "greeter": {
                "id": "greeter",
                "name": "Greeter",
                "version": "1.0.0",
                "system_template": "You greet {{name}}.",
                "variables": [{ "name": "name", "type": "string", "required": true }],
                "media": {
                    "enabled": true,
                    "supported_types": ["image"],
                    "image": { "max_size_mb": 1, "allowed_formats": ["png"] },
                },
            },
        },
        "tools": {
            "add": {
                "name": "add",
                "description": "Adds two numbers",
                "parameters": {
                    "type": "object",
                    "properties": { "a": { "type": "number" }, "b": { "type": "number" } },
                    "required": ["a", "b"],
                },
            },
        },
    });
    let bytes = serde_json::to_vec(&pack).unwrap();
    let report = promptpack::read(&bytes, &promptpack::ReadOptions::default());
    let pack = report.pack.unwrap_or_else(|| panic!("{:?}", report.findings));
    let mut toolbox = Toolbox::default();
    let spec = ToolSpec { name: "add".into(), description: String::new(), parameters: json!({}) };
    toolbox.server.insert("add".into(), Arc::new(Adder(spec)));
    let mut catalogue = Catalogue::default();
    let loaded = LoadedPack { pack: Arc::new(pack), digest: "0".repeat(64) };
    catalogue.add(&loaded, None, "scripted", &toolbox).unwrap();
    catalogue
}

impl World {
    pub async fn send(&self, request: Request<Full<Bytes>>) -> ::http::Response<Incoming> {
        let response = self.client.request(request);
        tokio::time::timeout(Duration::from_secs(30), response).await.unwrap().unwrap()
    }

    pub fn request(&self, method: Method, path: &str) -> ::http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = self.request(Method::GET, path).body(Full::default()).unwrap();
        Answer::of(self.send(request).await).await
    }

    pub async fn get_ops(&self, path: &str) -> Answer {
        let uri = format!("http://{}{path}", self.ops);
        let request = Request::get(uri).body(Full::default()).unwrap();
        Answer::of(self.send(request).await).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        let request = self.request(Method::DELETE, path).body(Full::default()).unwrap();
        Answer::of(self.send(request).await).await
    }

    /// The answer's head; its body is still to come.
    pub async fn open(&self, path: &str, body: &Value) -> ::http::Response<Incoming> {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.open(path, body).await).await
    }

    /// A chat completion of one message with further fields.
    pub async fn chat(&self, fields: Value) -> Answer {
        self.post("/v1/chat/completions", &chat(fields)).await
    }

    pub fn asked(&self, index: usize) -> ModelRequest {
        self.model.requests.lock().unwrap()[index].clone()
    }

    pub fn open_gate(&self) {
        self.model.gate.add_permits(1);
    }
}

/// A chat completion request of one message with further fields.
pub fn chat(fields: Value) -> Value {
    let mut body =
        json!({ "model": "desk", "messages": [{ "role": "user", "content": "2 + 3?" }] });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

impl Answer {
    pub async fn of(response: ::http::Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(Duration::from_secs(30), body.collect()).await;
        let bytes = body.expect("an end in time").unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: head.status, headers: head.headers, text }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code and the field of an error.
    pub fn error(&self) -> (u16, String, Option<String>) {
        let error = &self.json()["error"];
        assert_eq!(error["request_id"], self.header("x-request-id"), "{}", self.text);
        let text = |name: &str| error[name].as_str().map(str::to_owned);
        (self.status.as_u16(), text("code").unwrap(), text("param"))
    }

    /// The server-sent events of a run.
    pub fn events(&self) -> Vec<Event> {
        let field = |block: &str, name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap_or_else(|| panic!("no {name}: {block}")).to_owned()
        };
        let blocks = self.text.split("\n\n").filter(|block| !block.is_empty());
        blocks
            .filter(|block| !block.starts_with(':'))
            .map(|block| Event {
                id: field(block, "id").parse().unwrap(),
                name: field(block, "event"),
                data: serde_json::from_str(&field(block, "data")).unwrap(),
            })
            .collect()
    }
}

/// The next piece of a body.
pub async fn frame(body: &mut Incoming) -> Option<String> {
    let frame = tokio::time::timeout(Duration::from_secs(30), body.frame()).await;
    let bytes = frame.expect("a frame in time")?.unwrap().into_data().unwrap();
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}
