//! The doors, by real clients over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that is surprised fails"
)]

mod grpc;
mod http;
mod scripted;
