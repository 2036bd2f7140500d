//! Talking to language models.
//!
//! Implements the engine's [`Model`](bartizan_engine::ports::model::Model) port over the chat
//! APIs of OpenAI and of servers that speak its protocol, Anthropic, Gemini and Ollama, and with a
//! mock that follows a script. It is the only room that knows a provider's wire format.
//!
//! What it promises:
//! - No key, no prompt and no word of a provider's error text is in an error or a log line that
//!   leaves this room: errors say a kind, a status, a provider's code and our own words.
//! - A call is tried again, or handed to the next model, only while nothing of its answer has been
//!   seen.
//! - An answer that stops without the provider's own end is [`Interrupted`], never a success.
//! - A provider's failure is never answered by the mock.
//!
//! What it never does: read the environment or a file, open a socket of its own (the caller brings
//! the HTTP client), fetch a media address, run a tool.
//!
//! # Layout
//!
//! - [`settings`]: what a provider needs to know. [`prices`]: what tokens cost.
//! - [`provider`](mod@provider): the adapter: a request in, the provider's answer out.
//! - [`circuit`] and [`retry`]: when to ask again and when to leave a provider alone.
//! - [`failover`](mod@failover): the next model in the list.
//! - [`mock`](mod@mock): the model that is none.
//!
//! [`Interrupted`]: bartizan_engine::ports::model::ModelErrorKind::Interrupted
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

mod circuit;
mod retry;

pub mod failover;
pub mod mock;
pub mod prices;
pub mod provider;
pub mod settings;

pub use self::{
    failover::failover,
    mock::{MockScript, MockScriptError, mock},
    prices::{Price, Prices},
    provider::provider,
    settings::{
        ApiKey, CircuitPolicy, ModelSetupError, ProviderKind, ProviderSettings, RetryPolicy,
        Timeouts,
    },
};
