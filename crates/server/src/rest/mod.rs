//! The REST door: agents, sessions and runs as resources. See docs/rest.md.
//!
//! # Layout
//!
//! - [`agents`] — `/v1/agents`: what there is to talk to, and what it takes.
//! - [`sessions`] — `/v1/sessions`: conversations that are kept.
//! - [`runs`] — `/v1/runs`: turns, started, waited for, cancelled, helped along.
//! - [`events`] — `/v1/runs/{id}/events`: what happens in a turn, exactly once.
//! - [`input`] — what a run may be given. [`shapes`] — messages and parts on the wire.
//! - [`document`] — `/openapi.json`.

mod agents;
pub(crate) mod document;
mod events;
mod input;
mod runs;
mod sessions;
mod shapes;

use std::sync::Arc;

use bartizan_engine::identity::{RunId, SessionId};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{errors::ApiError, http::Doors};

/// The door's routes.
pub(crate) fn routes() -> OpenApiRouter<Arc<Doors>> {
    OpenApiRouter::new()
        .routes(routes!(agents::list))
        .routes(routes!(agents::get))
        .routes(routes!(agents::get_prompt))
        .routes(routes!(sessions::list, sessions::create))
        .routes(routes!(sessions::get, sessions::delete))
        .routes(routes!(runs::create))
        .routes(routes!(runs::get))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::submit))
        .routes(routes!(events::follow))
        .routes(routes!(document::get))
}

/// A run's id out of a path. What cannot be one names no run.
fn run_id(text: &str) -> Result<RunId, ApiError> {
    text.parse().map_err(|_| {
        let failure = bartizan_engine::failure::Failure::new(
            bartizan_engine::failure::FailureCode::UnknownRun,
            "there is no such run",
        );
        ApiError::from(failure.param("run_id"))
    })
}

/// A session's id out of the field or path segment `param`.
fn session_id(text: &str, param: &str) -> Result<SessionId, ApiError> {
    text.parse().map_err(|error: bartizan_engine::identity::IdentityError| {
        ApiError::invalid(format!("{param}: {error}")).param(param)
    })
}
