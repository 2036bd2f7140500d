//! What all HTTP doors share.
//!
//! # Layout
//!
//! - [`limits`] — how much one request may ask for.
//! - [`edge`] — the outermost layer: the request's id, the shape of errors, panics.
//! - [`host`] — whom a request believes it is talking to.
//! - [`extract`] — what handlers take from a request.
//! - [`media`] — data URLs and base64.
//! - [`opening`] — a connection whose first bytes must come in time.
//! - [`outcome`] — a turn that is answered in one piece.
//! - [`stream`] — a turn that is answered as server-sent events.
//! - [`serve`] — from a listener to answered requests.

pub mod edge;
pub(crate) mod extract;
mod host;
pub mod limits;
pub(crate) mod media;
pub(crate) mod opening;
pub(crate) mod outcome;
mod serve;
pub(crate) mod stream;

use std::sync::Arc;

use axum::{Extension, Router, middleware};
use bartizan_engine::{
    engine::Engine,
    identity::{RunId, SessionId},
    ports::store::RunRecord,
    run::Run,
};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use self::limits::HttpLimits;
pub use self::serve::serve;
use crate::{openai, rest};

/// Names the run behind an answer.
pub const X_RUN_ID: HeaderName = HeaderName::from_static("x-bartizan-run-id");
/// Names the session in which a conversation is kept.
pub const X_SESSION_ID: HeaderName = HeaderName::from_static("x-bartizan-session-id");
/// `true` on answers that the mock model gave.
pub const X_MOCK: HeaderName = HeaderName::from_static("x-bartizan-mock");

/// What the HTTP doors open onto.
pub struct Doors {
    /// Where turns are.
    pub engine: Arc<Engine>,
    /// How much one request may ask for.
    pub limits: HttpLimits,
}

/// When the packs were loaded: the doors open right after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded(pub(crate) Timestamp);

/// Every public route: OpenAI, REST and `/openapi.json`.
pub fn router(doors: Arc<Doors>) -> Router {
    let loaded = Loaded(doors.engine.clock().now());
    let (router, _) = documented().split_for_parts();
    router
        .layer(Extension(loaded))
        .layer(middleware::from_fn(host::check))
        .layer(middleware::from_fn(edge::edge))
        .with_state(doors)
}

/// The routes with their description, from which `openapi.json` is made.
pub(crate) fn documented() -> OpenApiRouter<Arc<Doors>> {
    rest::document::opening().merge(openai::routes()).merge(rest::routes())
}

/// The headers that an answer of this run carries.
pub(crate) fn run_headers(headers: &mut HeaderMap, run: &Run, mock: bool) {
    put_run_headers(headers, run.id(), run.session_id(), mock);
}

/// The same of a run as the store has it.
pub(crate) fn record_headers(headers: &mut HeaderMap, record: &RunRecord) {
    let mock = record.model.split('/').next() == Some("mock");
    put_run_headers(headers, record.id, record.session_id.as_ref(), mock);
}

fn put_run_headers(headers: &mut HeaderMap, run: RunId, session: Option<&SessionId>, mock: bool) {
    if let Ok(id) = HeaderValue::from_str(&run.to_string()) {
        headers.insert(X_RUN_ID, id);
    }
    if let Some(Ok(id)) = session.map(|id| HeaderValue::from_str(id.as_str())) {
        headers.insert(X_SESSION_ID, id);
    }
    if mock {
        headers.insert(X_MOCK, HeaderValue::from_static("true"));
    }
}

/// Appends a value as JSON. Memory takes all that is written and the values are plain, so there
/// is nothing that could fail.
pub(crate) fn put_json(value: &impl Serialize, out: &mut BytesMut) {
    if let Err(error) = serde_json::to_writer(out.writer(), value) {
        tracing::error!(%error, "an event could not be written as JSON");
    }
}
