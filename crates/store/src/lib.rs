//! What outlives a turn: sessions and their messages, runs, their events and what they used.
//!
//! Two adapters of the engine's [`Store`](bartizan_engine::ports::store::Store) port with one
//! behaviour: [`Sqlite`], one file in a data directory, and [`Memory`], which forgets with the
//! process. The same suite of tests holds both to the port.
//!
//! What it promises:
//! - Ownership is part of every key. There is no read without an owner, and what belongs to
//!   another is answered like what does not exist.
//! - What is acknowledged survives `kill -9`; what cannot be written fails the turn and leaves
//!   nothing half-written.
//! - Deleting a session deletes its messages, runs and events with it, in one transaction and
//!   by one path, whether a caller asks for it or time does.
//! - An expired session does not exist, swept or not.
//!
//! What it never does: open a socket, start a process, read the environment, build SQL from
//! values, or put what people said into an error or a log line.
//!
//! # Layout
//!
//! - [`sqlite`]: the file. Its own page says what is in which module.
//! - [`memory`]: the same without a file.
//! - `rule`: what both must decide alike.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

pub mod memory;
mod rule;
pub mod sqlite;

pub use memory::Memory;
pub use sqlite::{Durability, OpenError, Options, Sqlite};
