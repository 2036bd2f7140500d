//! The turn against a scripted model, a scripted tool and a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod budgets;
mod failing;
mod sessions;
mod support;
mod tools;
