//! A model server that says what a [`Script`] tells it to, over real sockets, in the wire format that
//! each request speaks: OpenAI, Anthropic, Gemini or Ollama. It records what it was asked.
//!
//! ```no_run
//! # async fn example() {
//! use bartizan_testkit::upstream::{Reply, Script, Upstream};
//!
//! let upstream = Upstream::start(Script::new([
//!     Reply::too_many_requests(1),
//!     Reply::text(["Hel", "lo"]),
//! ]))
//! .await;
//! // … point a client at `upstream.url()`, then:
//! assert_eq!(upstream.hits(), 2);
//! assert_eq!(upstream.requests()[1].json["model"], "some-model");
//! # }
//! ```

mod play;
pub mod profiles;
mod reading;
pub mod script;
mod unreachable;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

pub use self::reading::{ends_with_tool_result, offered_tools};
pub use self::script::{Fault, FaultKind, Reply, Script, ToolCall, Usage};
pub use self::unreachable::{Unreachable, refused_address};
pub use self::wire::Protocol;
pub use crate::received::{Received, Recording};

use self::wire::Exchange;
use crate::listen::{Body, Listening, json, whole};
use crate::received::Log;

/// A running scripted model server; dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Upstream {
    listening: Listening,
    log: Arc<Log>,
}

impl Upstream {
    /// Starts on a free loopback port and records every request.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn start(script: impl Into<Script>) -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(anywhere, script, Recording::Everything).await.expect("a free loopback port")
    }

    /// Starts on a given address.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start_on(
        address: SocketAddr,
        script: impl Into<Script>,
        recording: Recording,
    ) -> io::Result<Self> {
        let script: Arc<Script> = Arc::new(script.into());
        let log = Arc::new(Log::new(recording));
        let accept_delay = script.accept_delay;
        let answering =
            Arc::new(Answering { script, log: Arc::clone(&log), next_step: AtomicUsize::new(0) });
        let handler = Arc::new(move |request| {
            let answering = Arc::clone(&answering);
            Box::pin(async move { answering.answer(request).await }) as crate::listen::Answer
        });
        let listening = Listening::start(address, accept_delay, handler).await?;
        Ok(Self { listening, log })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// `http://127.0.0.1:PORT`, without a path and a trailing slash: add `/v1` for OpenAI and
    /// Anthropic, `/v1beta` for Gemini, nothing for Ollama.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// How many requests arrived, answered or not.
    pub fn hits(&self) -> u64 {
        self.log.hits()
    }

    /// The requests in order of arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.log.requests()
    }
}

/// What the connections share.
struct Answering {
    script: Arc<Script>,
    log: Arc<Log>,
    next_step: AtomicUsize,
}

impl Answering {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let Ok(received) = Received::read(request).await else {
            // Nobody is left to read this.
            return Response::new(whole(""));
        };
        let number = self.log.push(&received);
        let Some(exchange) = Exchange::of(&received, number) else {
            return no_such_path(&received);
        };
        let reply = self.choose(&received);
        play::perform(&exchange, reply).await
    }

    fn choose(&self, received: &Received) -> Reply {
        if let Some(chooser) = &self.script.chooser {
            return chooser(received);
        }
        let steps = &self.script.steps;
        let mut body = None;
        for step in steps {
            if let Some(when) = &step.when {
                let body = body.get_or_insert_with(|| String::from_utf8_lossy(&received.body));
                if body.contains(when.as_str()) {
                    return step.clone();
                }
            }
        }
        if let Some(on_tools) = &self.script.on_tools
            && !ends_with_tool_result(&received.json)
            && let Some(first) = offered_tools(&received.json).first()
        {
            let mut reply = on_tools.clone();
            for call in &mut reply.tool_calls {
                if call.name.is_empty() {
                    call.name.clone_from(first);
                }
            }
            return reply;
        }
        let ordered = || steps.iter().filter(|step| step.when.is_none());
        let index = self.next_step.fetch_add(1, Ordering::SeqCst);
        match ordered().nth(index).or_else(|| ordered().next_back()) {
            Some(step) => step.clone(),
            None => Reply::status(500).body(json!({"error": {
                "message": "the script has no reply for this request", "type": "server_error"}})),
        }
    }
}

/// Model lists are answered because clients ask for them first; anything else is a mistake worth a
/// clear message.
fn no_such_path(received: &Received) -> Response<Body> {
    if received.path.ends_with("/models") {
        let model =
            json!({"id": "scripted", "object": "model", "created": 0, "owned_by": "testkit"});
        return json(StatusCode::OK, &json!({"object": "list", "data": [model]}));
    }
    let message = format!("the scripted upstream serves no {} {}", received.method, received.path);
    json(StatusCode::NOT_FOUND, &wire::error(Protocol::OpenAi, 404, &message))
}
