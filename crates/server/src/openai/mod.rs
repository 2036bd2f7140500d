//! The OpenAI door: agents as models.
//!
//! A client made for OpenAI's chat completions
//! (<https://platform.openai.com/docs/api-reference/chat>) talks to an agent by its name,
//! `pack/prompt`, or by its pack's name alone. The agent's own tools run inside and are not
//! shown; tools that the client brings are called by the client.
//!
//! The door keeps nothing: as with OpenAI, `messages` is the whole conversation. With
//! `metadata.session_id` the conversation is kept in that session, and of `messages` only what
//! is new is taken. See docs/openai.md.
//!
//! # Layout
//!
//! - [`models`] — `/v1/models`.
//! - [`completions`] — `/v1/chat/completions`.
//! - [`request`] — the request's fields, and what a turn makes of them.
//! - [`messages`] — the request's messages.
//! - [`answer`] — the answer in one piece. [`chunks`] — the answer in pieces.

mod answer;
mod chunks;
mod completions;
mod messages;
mod models;
mod request;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::Doors;

/// The door's routes.
pub(crate) fn routes() -> OpenApiRouter<Arc<Doors>> {
    OpenApiRouter::new()
        .routes(routes!(models::list))
        .routes(routes!(models::get))
        .routes(routes!(models::get_prompt))
        .routes(routes!(completions::create))
}
