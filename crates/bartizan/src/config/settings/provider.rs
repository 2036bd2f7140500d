//! The settings of the language model: who provides it, how patient to be, what it costs.

use std::collections::BTreeMap;

use bartizan_model::ProviderKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{Secret, Span};

/// The language model.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Provider {
    /// Who provides the model. Without it, the first of OpenAI, Anthropic and Gemini that has a
    /// key in the environment; without a key, the mock.
    pub r#type: Option<ProviderType>,
    /// The model's name at the provider. Each provider has a default.
    pub model: Option<String>,
    /// The provider's address, for servers that speak the provider's protocol.
    pub base_url: Option<String>,
    /// The key. Better in the environment or in a file.
    pub api_key: Option<Secret>,
    /// Headers sent with every call, by name. Their values are treated as secrets.
    pub headers: BTreeMap<String, Secret>,
    /// How long to wait for the provider.
    pub timeouts: Timeouts,
    /// What to do when the provider fails before its first token.
    pub retry: Retry,
    /// When to leave a failing provider alone.
    pub circuit: Circuit,
    /// Who answers, in this order, when the provider fails before its first token. The mock is
    /// never among them.
    pub failover: Vec<Fallback>,
}

/// Who provides a model.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ProviderType {
    /// OpenAI.
    #[serde(rename = "openai")]
    OpenAi,
    /// Any server that speaks OpenAI's chat completions (vLLM, llama.cpp, a gateway); needs
    /// `base_url`, and a key only where the server wants one.
    #[serde(rename = "openai-compatible")]
    OpenAiCompatible,
    /// Anthropic.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Google Gemini.
    #[serde(rename = "gemini")]
    Gemini,
    /// Ollama; needs no key.
    #[serde(rename = "ollama")]
    Ollama,
    /// The scripted mock; says in every answer that it is one.
    #[serde(rename = "mock")]
    Mock,
}

impl ProviderType {
    /// The protocol it speaks; none for the mock, which is no provider.
    pub fn kind(self) -> Option<ProviderKind> {
        match self {
            Self::OpenAi => Some(ProviderKind::OpenAi),
            Self::OpenAiCompatible => Some(ProviderKind::OpenAiCompatible),
            Self::Anthropic => Some(ProviderKind::Anthropic),
            Self::Gemini => Some(ProviderKind::Gemini),
            Self::Ollama => Some(ProviderKind::Ollama),
            Self::Mock => None,
        }
    }

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        self.kind().map_or("mock", ProviderKind::as_str)
    }

    /// The model asked where none is named; none where only the operator can know.
    pub fn default_model(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("gpt-4o"),
            Self::Anthropic => Some("claude-sonnet-4-20250514"),
            Self::Gemini => Some("gemini-2.5-flash"),
            Self::Ollama => Some("llama3.2"),
            Self::OpenAiCompatible | Self::Mock => None,
        }
    }
}

/// A provider that answers when those before it fail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Who provides the model.
    pub r#type: ProviderType,
    /// The model's name at the provider.
    pub model: Option<String>,
    /// The provider's address.
    pub base_url: Option<String>,
    /// The key. Without it, the usual name in the environment (`OPENAI_API_KEY` and so on).
    pub api_key: Option<Secret>,
    /// Headers sent with every call, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

/// How long to wait for the provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For the connection.
    pub connect: Span,
    /// For the first token of an answer.
    pub first_token: Span,
    /// For the next token of an answer that has begun.
    pub idle: Span,
    /// For the whole of an answer that is not streamed.
    pub answer: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        let model = bartizan_model::Timeouts::default();
        Self {
            connect: Span(model.connect),
            first_token: Span(model.first_token),
            idle: Span(model.idle),
            answer: Span(model.answer),
        }
    }
}

/// What to do when the provider fails before its first token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How often to ask, the first time included; at least 1.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with every further one.
    pub initial_backoff: Span,
    /// The longest wait of all. A provider that asks for more is not asked again.
    pub max_backoff: Span,
}

impl Default for Retry {
    fn default() -> Self {
        let model = bartizan_model::RetryPolicy::default();
        Self {
            attempts: model.attempts,
            initial_backoff: Span(model.initial_backoff),
            max_backoff: Span(model.max_backoff),
        }
    }
}

/// When to leave a failing provider alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Circuit {
    /// After so many failures in a row; 0 for never.
    pub failures: u32,
    /// For how long. After that one call may try.
    pub open_for: Span,
}

impl Default for Circuit {
    fn default() -> Self {
        let model = bartizan_model::CircuitPolicy::default();
        Self { failures: model.failures, open_for: Span(model.open_for) }
    }
}

/// What a model costs, in US dollars per million tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens that the model reads.
    #[schemars(range(min = 0))]
    pub input: f64,
    /// Tokens that the model writes.
    #[schemars(range(min = 0))]
    pub output: f64,
    /// Tokens that the model reads from its cache; without it they cost as others do.
    #[schemars(range(min = 0))]
    pub cached_input: Option<f64>,
}
