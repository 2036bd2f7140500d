//! The testkit's own tests, and those of the whole workspace's shape.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "stopping with a message is how a test fails, and here clients and processes are made directly"
)]

mod bench;
mod faults;
mod layers;
mod process;
mod support;
mod tidy;
mod tool_server;
mod wire;
