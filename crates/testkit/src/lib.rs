//! Test support: model servers that say what a script tells them, tool endpoints that misbehave on
//! command, a handle on the real `bartizan` process, and the benchmark programs.
//!
//! Everything here runs on this machine and listens on loopback. This crate is never shipped and no
//! shipped crate depends on it outside its tests; it asserts nothing about time; it never talks to a
//! real provider and holds no key.
//!
//! # Layout
//!
//! - [`upstream`]: a model server that speaks four providers' wire formats from a [`Script`](upstream::Script)
//! - [`tool_server`]: an HTTP server to point an agent's tools at
//! - [`process`]: starts a real server process, waits until it is ready, kills it
//! - [`procfs`]: what the kernel says about a process: processor time, memory, sockets
//! - [`client`]: a small HTTP/1.1 client over one kept connection
//! - [`bench`]: the benchmark of the release binary
//! - [`received`]: what the servers above record of each request
//! - `listen`: the accept loop that both servers share
//!
//! Programs: `scripted-upstream` (the model server by hand and for Python tests) and `bench`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "test support: stopping with a message is how a test fails, and programs here print tables"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "what only one shipped room may do (connect, read the environment, start a process) is \
              what tests of all rooms are made of"
)]

mod listen;

pub mod bench;
pub mod client;
pub mod process;
pub mod procfs;
pub mod received;
pub mod tool_server;
pub mod upstream;
