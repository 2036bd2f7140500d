//! The real binary: what it prints, how it ends, and what it does as a server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests: stopping with a message is how a test fails"
)]

mod bad_input;
mod chat;
mod durability;
mod example;
mod omnia;
mod pack;
mod precedence;
mod provider;
mod reference;
mod secrets;
mod serve;
mod sockets;
mod support;
