//! The testkit's own tests, and those of the whole workspace's shape.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "stopping with a message is how a test fails"
)]

mod faults;
mod layers;
mod process;
mod support;
mod tidy;
mod tool_server;
mod wire;
