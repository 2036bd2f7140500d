//! A language model.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    event::StopReason,
    failure::{Failure, FailureCode},
    identity::RunId,
    message::{Media, Message, ToolCall},
    usage::Usage,
};

/// A language model, whoever provides it.
///
/// An implementation retries, fails over and times out by its own rules; what it returns is
/// final. Dropping the stream cancels the call.
#[async_trait]
pub trait Model: Send + Sync {
    /// Who answers when nothing else is asked for.
    fn info(&self) -> ModelInfo;

    /// Asks the model.
    ///
    /// # Errors
    /// [`ModelError`] where no answer began. An answer that breaks off is an `Err` item of the
    /// stream, which ends there. A whole answer ends with [`ModelEvent::Finished`].
    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, ModelError>;
}

/// An answer as it arrives.
pub type ModelStream = Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send>>;

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// The provider, for example `openai` or `mock`.
    pub provider: String,
    /// The model's name at that provider.
    pub model: String,
    /// Whether it is the mock, which every door must say.
    pub mock: bool,
}

/// What to ask.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The run that asks, for logs.
    pub run_id: RunId,
    /// The system prompt, rendered.
    pub system: Option<Arc<str>>,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The tools on offer.
    pub tools: Arc<[ToolSpec]>,
    /// Whether the model may, must or must not use them.
    pub tool_choice: ToolChoice,
    /// Sampling.
    pub parameters: Parameters,
    /// The shape of the answer.
    pub output: OutputFormat,
    /// Whether the caller wants the answer piece by piece. Where not, an adapter may ask the
    /// provider for the whole answer at once, which costs both sides less.
    pub stream: bool,
    /// The caller's metadata. Read by the mock to choose a scenario, sent to no provider.
    pub metadata: Arc<BTreeMap<String, String>>,
}

/// A tool as the model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of its arguments: an object.
    pub parameters: Value,
}

/// Whether the model may, must or must not use tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// It must use at least one.
    Required,
    /// It must not. The request's tools are there all the same, because some providers
    /// (Anthropic) refuse a conversation with calls in it whose tools they are not told;
    /// adapters for the others leave the tools out.
    None,
    /// It must use this one.
    Named(String),
}

/// Sampling parameters; what is unset is left to the provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// The most tokens that one call may write.
    pub max_tokens: Option<u32>,
    /// 0 to 1.
    pub top_p: Option<f64>,
    /// At least 1. Providers that have no such parameter are not sent it.
    pub top_k: Option<u32>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// For answers that repeat, where the provider can.
    pub seed: Option<u64>,
    /// `minimal`, `low`, `medium`, `high`: for models that reason.
    pub reasoning_effort: Option<String>,
}

impl Parameters {
    /// These parameters, with `over`'s where `over` says something.
    #[must_use]
    pub fn overridden_by(mut self, over: &Parameters) -> Self {
        self.temperature = over.temperature.or(self.temperature);
        self.max_tokens = over.max_tokens.or(self.max_tokens);
        self.top_p = over.top_p.or(self.top_p);
        self.top_k = over.top_k.or(self.top_k);
        self.frequency_penalty = over.frequency_penalty.or(self.frequency_penalty);
        self.presence_penalty = over.presence_penalty.or(self.presence_penalty);
        if !over.stop.is_empty() {
            self.stop.clone_from(&over.stop);
        }
        self.seed = over.seed.or(self.seed);
        if over.reasoning_effort.is_some() {
            self.reasoning_effort.clone_from(&over.reasoning_effort);
        }
        self
    }
}

/// The shape of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputFormat {
    /// Any text.
    #[default]
    Text,
    /// A JSON object.
    Json,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// The schema.
        schema: Value,
        /// Whether the provider should enforce it to the letter.
        strict: bool,
    },
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// Some text; never empty.
    Text(String),
    /// Some reasoning; never empty.
    Reasoning(String),
    /// A tool call, whole: pieces are put together before they get here.
    ToolCall(ToolCall),
    /// Something made.
    Media(Media),
    /// The answer is whole. The last event.
    Finished {
        /// Why the model stopped. [`StopReason::ToolCalls`] where it waits for tools.
        stop_reason: StopReason,
        /// What the call used, with its cost where the model has a price.
        usage: Usage,
        /// The provider and model that answered, which after a failover is not the first choice.
        info: ModelInfo,
    },
}

/// Why a model gave no answer, or not all of it. Holds no key and no prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{provider}: {message}")]
pub struct ModelError {
    /// The kind.
    pub kind: ModelErrorKind,
    /// The provider that failed.
    pub provider: String,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The provider's own code, where there was one.
    pub provider_code: Option<String>,
    /// What happened, redacted.
    pub message: String,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// The kinds of model errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelErrorKind {
    /// The key is missing, wrong or not allowed.
    Unauthorized,
    /// Too many requests, or a quota used up.
    RateLimited,
    /// The provider finds the request wrong.
    Rejected,
    /// The conversation does not fit.
    ContextTooLong,
    /// The provider or adapter cannot take this kind of content.
    Unsupported,
    /// Not reachable, or a 5xx, or the circuit is open.
    Unavailable,
    /// No connection, no first token or no next token in time.
    TimedOut,
    /// The answer broke off.
    Interrupted,
    /// The answer made no sense.
    Malformed,
}

impl ModelError {
    /// The failure that a caller sees. The provider's own words stay in the log.
    pub fn into_failure(self) -> Failure {
        let (code, message) = match self.kind {
            ModelErrorKind::Unauthorized => (
                FailureCode::ModelUnauthorized,
                "the model provider refused the server's credentials; the operator must check \
                 the provider key",
            ),
            ModelErrorKind::RateLimited => (
                FailureCode::ModelRateLimited,
                "the model provider's rate limit is reached; try again later",
            ),
            ModelErrorKind::Rejected => {
                (FailureCode::ModelRejected, "the model provider refused the request")
            }
            ModelErrorKind::ContextTooLong => (
                FailureCode::ContextTooLong,
                "the conversation is too long for the model; start a new session or shorten it",
            ),
            ModelErrorKind::Unsupported => {
                (FailureCode::UnsupportedContent, "the model does not take this kind of content")
            }
            ModelErrorKind::Unavailable => (
                FailureCode::ModelUnavailable,
                "the model provider cannot be reached or is failing; try again later",
            ),
            ModelErrorKind::TimedOut => {
                (FailureCode::ModelTimedOut, "the model provider did not answer in time")
            }
            ModelErrorKind::Interrupted => (
                FailureCode::ModelInterrupted,
                "the model provider's answer broke off; a session keeps what arrived, marked \
                 incomplete",
            ),
            ModelErrorKind::Malformed => {
                (FailureCode::ModelMalformed, "the model provider's answer could not be understood")
            }
        };
        let retry_after = self.retry_after;
        let mut message = message.to_owned();
        if let Some(status) = self.status {
            message.push_str(&format!(" (status {status}"));
            if let Some(code) = &self.provider_code {
                message.push_str(&format!(", code {code}"));
            }
            message.push(')');
        }
        let mut failure = Failure::new(code, message).detail(&self);
        failure.retry_after = retry_after;
        failure
    }
}
