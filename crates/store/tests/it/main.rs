//! The store as the engine sees it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

mod concurrency;
mod conformance;
mod failures;
mod forgetting;
mod kill;
mod opening;
mod property;
mod support;
