//! Models, asked over real sockets: the providers' wire formats from the scripted upstream, and the
//! mock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests: stopping with a message is how a test fails"
)]

mod answers;
mod failures;
mod lists;
mod mocks;
mod requests;
mod support;
