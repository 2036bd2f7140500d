//! An HTTP server to point an agent's tools at: it echoes what it was sent, or answers with statuses,
//! delays, oversized and malformed bodies in the order it was told, and records every request.
//!
//! ```no_run
//! # async fn example() {
//! use bartizan_testkit::tool_server::{ToolReply, ToolServer};
//!
//! let tools = ToolServer::start([ToolReply::status(503), ToolReply::status(503), ToolReply::echo()]).await;
//! // … point a tool at `tools.url()`, then:
//! assert_eq!(tools.hits(), 3);
//! # }
//! ```

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Map, Value, json};

use crate::listen::{Body, Listening, whole};
use crate::received::Log;
pub use crate::received::{Received, Recording};

/// One answer of a tool endpoint.
#[derive(Clone, Debug)]
pub struct ToolReply {
    status: u16,
    headers: Vec<(String, String)>,
    content: Content,
    delay: Duration,
    hang: bool,
}

#[derive(Clone, Debug)]
enum Content {
    Echo,
    Fixed { content_type: &'static str, bytes: Bytes },
    Endless { limit: u64 },
    Cut(Bytes),
}

impl ToolReply {
    /// Answers with what was received: `{"method", "path", "query", "headers", "body"}`, the body as
    /// JSON where it is JSON and as text otherwise.
    pub fn echo() -> Self {
        Self::of(200, Content::Echo)
    }

    /// A JSON document.
    pub fn json(value: &Value) -> Self {
        Self::text("application/json", &value.to_string())
    }

    /// A body of any type, JSON or not.
    pub fn text(content_type: &'static str, text: &str) -> Self {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Self::of(200, Content::Fixed { content_type, bytes })
    }

    /// A status with a small JSON body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::json(&json!({"error": format!("scripted status {status}")})) }
    }

    /// A redirect.
    pub fn redirect(location: &str) -> Self {
        Self::status(302).header("location", location)
    }

    /// So many bytes of text without a declared length.
    pub fn oversized(bytes: u64) -> Self {
        Self::of(200, Content::Endless { limit: bytes })
    }

    /// A body that breaks off with the connection.
    pub fn cut(start: &str) -> Self {
        Self::of(200, Content::Cut(Bytes::copy_from_slice(start.as_bytes())))
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self { hang: true, ..Self::echo() }
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before answering.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn of(status: u16, content: Content) -> Self {
        Self { status, headers: Vec::new(), content, delay: Duration::ZERO, hang: false }
    }
}

type Chooser = Arc<dyn Fn(&Received) -> ToolReply + Send + Sync>;

/// A running tool server; dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct ToolServer {
    listening: Listening,
    log: Arc<Log>,
}

impl ToolServer {
    /// Starts on a free loopback port; the replies are given in order and the last repeats. An empty
    /// list echoes.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn start(replies: impl IntoIterator<Item = ToolReply>) -> Self {
        let replies: Vec<ToolReply> = replies.into_iter().collect();
        let next = AtomicUsize::new(0);
        Self::choose(move |_| {
            let index = next.fetch_add(1, Ordering::SeqCst);
            let reply = replies.get(index).or(replies.last());
            reply.cloned().unwrap_or_else(ToolReply::echo)
        })
        .await
    }

    /// Starts on a free loopback port with a reply made from each request.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn choose(choose: impl Fn(&Received) -> ToolReply + Send + Sync + 'static) -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(anywhere, Recording::Everything, choose).await.expect("a free loopback port")
    }

    /// Starts on a given address with a reply made from each request.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start_on(
        address: SocketAddr,
        recording: Recording,
        choose: impl Fn(&Received) -> ToolReply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let log = Arc::new(Log::new(recording));
        let choose: Chooser = Arc::new(choose);
        let recorded = Arc::clone(&log);
        let handler = Arc::new(move |request| {
            let (choose, log) = (Arc::clone(&choose), Arc::clone(&recorded));
            Box::pin(answer(request, choose, log)) as crate::listen::Answer
        });
        let listening = Listening::start(address, Duration::ZERO, handler).await?;
        Ok(Self { listening, log })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// `http://127.0.0.1:PORT`, without a path and a trailing slash.
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

async fn answer(request: Request<Incoming>, choose: Chooser, log: Arc<Log>) -> Response<Body> {
    let Ok(received) = Received::read(request).await else {
        // Nobody is left to read this.
        return Response::new(whole(""));
    };
    log.push(&received);
    let reply = choose(&received);
    if reply.hang {
        pending::<()>().await;
    }
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let (content_type, body) = match reply.content {
        Content::Echo => ("application/json", whole(echo(&received).to_string())),
        Content::Fixed { content_type, bytes } => (content_type, whole(bytes)),
        Content::Endless { limit } => ("text/plain", endless(limit)),
        Content::Cut(start) => ("application/json", cut(start)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status in the script");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in &reply.headers {
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).expect("a header name in the script"),
            HeaderValue::from_str(value).expect("a header value in the script"),
        );
    }
    response
}

fn echo(received: &Received) -> Value {
    let mut headers = Map::new();
    for (name, value) in &received.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers.insert(name.as_str().to_owned(), value.into());
    }
    let body = match &received.json {
        Value::Null => String::from_utf8_lossy(&received.body).into(),
        json => json.clone(),
    };
    json!({
        "method": received.method.as_str(), "path": received.path, "query": received.query,
        "headers": headers, "body": body,
    })
}

fn endless(limit: u64) -> Body {
    const BLOCK: u64 = 64 * 1024;
    let block = Bytes::from(vec![b'x'; BLOCK as usize]);
    let blocks = (0..limit.div_ceil(BLOCK)).map(move |index| {
        let rest = (limit - index * BLOCK).min(BLOCK);
        Ok(Frame::data(block.slice(..rest as usize)))
    });
    StreamBody::new(stream::iter(blocks)).boxed_unsync()
}

fn cut(start: Bytes) -> Body {
    let body = stream::unfold(Some(start), |start| async {
        match start {
            Some(bytes) if !bytes.is_empty() => Some((Ok(Frame::data(bytes)), Some(Bytes::new()))),
            Some(_) => {
                // Long enough for the start to leave this process.
                tokio::time::sleep(Duration::from_millis(5)).await;
                let cut = io::Error::new(io::ErrorKind::ConnectionReset, "cut by the script");
                Some((Err(cut), None))
            }
            None => None,
        }
    });
    StreamBody::new(body).boxed_unsync()
}
