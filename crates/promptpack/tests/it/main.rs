//! The crate as a stranger uses it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bounds;
mod compile;
mod corpus;
mod fixtures;
mod properties;
mod render;
mod support;
