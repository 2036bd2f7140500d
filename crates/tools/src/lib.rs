//! Doing things: the tools an agent may call.
//!
//! A tool file binds the tools that a pack names to what runs them; this crate reads the file and
//! implements the engine's [`Tool`](bartizan_engine::ports::tool::Tool) port for each kind, one
//! file per kind. In this release that is HTTP; tools that the caller runs are described here and
//! run by no code of ours.
//!
//! What it never does: it opens no socket but through `bartizan-net`, and starts no process. An
//! argument of a call changes neither scheme, host nor port, nor the path outside its place in
//! the template. What it tells the model holds no credential and no internal address. Nothing
//! that a tool's server says is acted on.
//!
//! # Layout
//!
//! - [`handlers`]: the tool file, read and checked. `file`: how it is written. `duration`: Go's
//!   way to write time.
//! - [`http`]: the HTTP tool. `request`: arguments to request. [`template`]: arguments in URLs.
//!   [`auth`]: credentials. [`mapping`]: JMESPath. [`retry`] and `breaker`: when the server fails.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

pub mod auth;
mod breaker;
mod duration;
mod file;
pub mod handlers;
pub mod http;
pub mod mapping;
mod request;
pub mod retry;
pub mod template;

pub use handlers::{ClientHandler, HttpHandler, ToolFile, ToolFileError, Unsupported};
pub use http::{HttpLimits, http_tool};
