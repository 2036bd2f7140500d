//! The turn: a request goes in, a stream of events comes out.
//!
//! This is the domain. It joins prompt, model, tools and store, and knows none of them but by
//! the traits in [`ports`]: no provider's wire format, no database, no HTTP, no gRPC is named
//! here. It reads no environment, opens no socket and starts no process.
//!
//! What it promises:
//! - Budgets (rounds, calls, tokens, time) are checked before the act, not after.
//! - A turn is stored before its `Done` is seen.
//! - A turn on a session waits for the turn before it.
//! - Values are inserted into prompts once; what users say is never a template.
//! - A tool runs only if the agent offers it, and only with arguments that fit its schema.
//!
//! # Layout
//!
//! - [`engine`]: the way in: starts turns, finds runs, drains.
//! - [`request`]: what a door asks for. [`event`]: what it gets. [`failure`]: what can go wrong.
//! - [`agent`]: packs made ready to serve. [`limits`]: what a turn may use.
//! - [`run`]: a turn at work, and those who follow it.
//! - [`message`], [`usage`], [`owner`], [`identity`]: the nouns.
//! - [`ports`]: what the engine needs from others, as traits.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

pub mod agent;
pub mod engine;
pub mod event;
pub mod failure;
pub mod identity;
pub mod limits;
mod media;
pub mod message;
pub mod owner;
pub mod ports;
pub mod request;
pub mod run;
mod sessions;
mod turn;
pub mod usage;
mod window;
