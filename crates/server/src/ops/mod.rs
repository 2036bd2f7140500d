//! The operations door: whether the process lives, whether it is ready, and what it counts.
//!
//! It answers on a port of its own, which is not for callers.
//!
//! # Layout
//!
//! - `/healthz`, `/readyz` and the router: here.
//! - [`metrics`] — `/metrics`.

pub mod metrics;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use bartizan_engine::engine::Engine;
use http::{StatusCode, header};
use serde::Serialize;

use self::metrics::Metrics;
use crate::http::edge;

/// Whether the packs can be read and are valid at this moment; if not, what is wrong with each.
///
/// Called on every `/readyz`, on a thread where it may block.
pub type CheckPacks = Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>;

/// What the operations door looks at.
pub struct Ops {
    /// Where turns are.
    pub engine: Arc<Engine>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether the packs can be served.
    pub check_packs: CheckPacks,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<String>,
}

/// The routes of the operations door.
pub fn router(ops: Arc<Ops>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn(edge::edge))
        .with_state(ops)
}

/// 200 if a turn started now could be served; 503 and the reasons if not.
async fn readyz(State(ops): State<Arc<Ops>>) -> Response {
    let mut reasons = Vec::new();
    if ops.engine.is_draining() {
        reasons.push("the server is stopping".to_owned());
    }
    let check_packs = Arc::clone(&ops.check_packs);
    match tokio::task::spawn_blocking(move || check_packs()).await {
        Ok(Ok(())) => {}
        Ok(Err(faults)) => reasons.extend(faults),
        Err(error) => reasons.push(format!("the packs could not be checked: {error}")),
    }
    if let Err(error) = ops.engine.store().ready().await {
        reasons.push(error.to_string());
    }
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons })).into_response()
}

async fn metrics(State(ops): State<Arc<Ops>>) -> Response {
    let text = ops.metrics.text();
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response()
}
