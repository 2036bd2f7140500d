//! The doors: gRPC, OpenAI, REST and operations.
//!
//! A door translates: a protocol's request into a [`TurnRequest`], the one stream of turn events
//! into the protocol's answer. It decides nothing. No door has a loop, a budget, a guardrail or
//! a memory of its own; no door reads the environment, chooses an address to listen on, or
//! asks a model, a tool or a file.
//!
//! What it promises:
//! - Limits of size, depth and count are set once, in [`http::limits`], and hold before anything is
//!   parsed.
//! - One table, [`errors`], says what each kind of failure is called in each protocol. What only
//!   an operator may know goes to the log under the request's id, never into an answer.
//! - A panic is one answer of status 500, and the process goes on.
//! - What the mock said is said to be the mock's in every door.
//!
//! # Layout
//!
//! - [`errors`] — from failures to statuses.
//! - [`identity`] — on whose behalf a request is.
//! - [`http`] — what all HTTP doors share: the router, limits, the edge, JSON bodies, SSE.
//! - [`openai`] — `/v1/models` and `/v1/chat/completions`.
//! - [`rest`] — `/v1/agents`, `/v1/sessions`, `/v1/runs` and `/openapi.json`.
//! - [`ops`] — `/healthz`, `/readyz` and `/metrics`, on a port of their own.
//! - [`grpc`] — `omnia.runtime.v1`.
//!
//! [`TurnRequest`]: bartizan_engine::request::TurnRequest
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

pub mod errors;
pub mod grpc;
pub mod http;
pub mod identity;
mod openai;
pub mod ops;
mod rest;

pub use rest::document::openapi_json;
