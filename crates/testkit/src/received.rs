//! What a scripted server records of each request, for a test to look at afterwards.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request method.
    pub method: Method,
    /// The path without the query.
    pub path: String,
    /// The query without its question mark; empty when there is none.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as JSON, or `Null` when it is not JSON.
    pub json: Value,
    /// The body as bytes.
    pub body: Bytes,
    /// When the whole request had been read.
    pub at: Instant,
}

impl Received {
    /// Reads a request to its end. A client that leaves in the middle is the error.
    pub(crate) async fn read(request: Request<Incoming>) -> io::Result<Self> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            json: serde_json::from_slice(&body).unwrap_or(Value::Null),
            body,
            at: Instant::now(),
        })
    }

    /// The header's value as text; `None` when absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How much a server remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// Every request whole.
    #[default]
    Everything,
    /// Only how many: for benchmarks, whose requests would fill the memory.
    Count,
}

/// The requests that a server has seen.
#[derive(Debug, Default)]
pub(crate) struct Log {
    recording: Recording,
    hits: AtomicU64,
    requests: Mutex<Vec<Received>>,
}

impl Log {
    pub(crate) fn new(recording: Recording) -> Self {
        Self { recording, ..Self::default() }
    }

    /// Counts a request and returns its index, from zero.
    pub(crate) fn push(&self, received: &Received) -> u64 {
        if self.recording == Recording::Everything {
            self.lock().push(received.clone());
        }
        self.hits.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Received>> {
        // A test that panicked elsewhere must not hide what was recorded.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
