//! What a provider needs to know before it can be asked.

use std::{fmt, str::FromStr, time::Duration};

use serde::Deserialize;

/// One provider and one of its models.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Whose protocol it speaks.
    pub kind: ProviderKind,
    /// The model's name, as the provider spells it.
    pub model: String,
    /// Where it answers; none for the provider's public address. Includes the version
    /// (`https://example.com/v1`); for Anthropic and Gemini a bare host gets theirs.
    pub base_url: Option<String>,
    /// The key, where the provider wants one.
    pub api_key: Option<ApiKey>,
    /// Headers to add to each call; they replace ours of the same name.
    pub headers: Vec<(String, String)>,
    /// How long to wait, and for what.
    pub timeouts: Timeouts,
    /// When to ask again.
    pub retry: RetryPolicy,
    /// When to leave it alone.
    pub circuit: CircuitPolicy,
}

impl ProviderSettings {
    /// The same, with no time longer than a clock can bear.
    pub(crate) fn bounded(mut self) -> Self {
        for time in [
            &mut self.timeouts.first_token,
            &mut self.timeouts.idle,
            &mut self.timeouts.answer,
            &mut self.retry.initial_backoff,
            &mut self.retry.max_backoff,
            &mut self.circuit.open_for,
        ] {
            *time = LONGEST_WAIT.min(*time);
        }
        self
    }

    /// A provider at its public address, without a key, with the default patience.
    pub fn new(kind: ProviderKind, model: impl Into<String>) -> Self {
        Self {
            kind,
            model: model.into(),
            base_url: None,
            api_key: None,
            headers: Vec::new(),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            circuit: CircuitPolicy::default(),
        }
    }
}

/// The protocols spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// OpenAI's chat completions, at OpenAI.
    OpenAi,
    /// OpenAI's chat completions, at anyone else's server (vLLM, llama.cpp, a gateway).
    OpenAiCompatible,
    /// Anthropic's messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
    /// Ollama's own chat API.
    Ollama,
}

impl ProviderKind {
    /// The names that [`FromStr`] takes, ours first. `mock` is none of them: the mock is no
    /// provider.
    pub const NAMES: [&str; 9] = [
        "openai",
        "openai-compatible",
        "anthropic",
        "gemini",
        "ollama",
        "claude",
        "vllm",
        "google",
        "openai_compatible",
    ];

    /// Our name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiCompatible => "openai-compatible",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    /// The environment variables that usually hold its key, the most usual first. This room reads
    /// no environment; the names are here so that there is one list of them.
    pub fn key_variables(self) -> &'static [&'static str] {
        match self {
            Self::OpenAi => &["OPENAI_API_KEY"],
            Self::Anthropic => &["ANTHROPIC_API_KEY"],
            Self::Gemini => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            Self::OpenAiCompatible | Self::Ollama => &[],
        }
    }

    /// Where it answers when nothing else is said; none where only the operator can know.
    pub fn public_base_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::OpenAiCompatible => None,
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
            Self::Ollama => Some("http://localhost:11434"),
        }
    }

    /// Whether its public address answers nobody without a key.
    pub fn wants_key(self) -> bool {
        !self.key_variables().is_empty()
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for ProviderKind {
    type Err = ModelSetupError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "openai" => Self::OpenAi,
            "openai-compatible" | "openai_compatible" | "vllm" => Self::OpenAiCompatible,
            "anthropic" | "claude" => Self::Anthropic,
            "gemini" | "google" => Self::Gemini,
            "ollama" => Self::Ollama,
            _ => return Err(ModelSetupError::UnknownProvider { name: name.to_owned() }),
        })
    }
}

impl<'de> Deserialize<'de> for ProviderKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

/// A provider's key. It cannot be printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key; white space around it, as files have it, is dropped.
    pub fn new(key: &str) -> Self {
        Self(key.trim().to_owned())
    }

    /// The key itself, for the one header it belongs in.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

/// Longer than anybody waits, and short enough for any clock to add.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long to wait, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection. This one is the HTTP client's to keep: whoever builds the client that
    /// [`provider`](crate::provider()) takes sets it there.
    pub connect: Duration,
    /// From asking to the first token of a streamed answer.
    pub first_token: Duration,
    /// Between two events of a streamed answer.
    pub idle: Duration,
    /// From asking to the end of an answer that is not streamed.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_token: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            answer: Duration::from_secs(600),
        }
    }
}

/// When to ask the same provider again: after 408, 429, 5xx and failed connections, while nothing
/// of the answer has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often to ask in all; 1 asks once.
    pub attempts: u32,
    /// The longest pause before the second attempt; it doubles with each further one.
    pub initial_backoff: Duration,
    /// The longest pause of all. A provider that asks for more (`Retry-After`) is not asked again.
    pub max_backoff: Duration,
    /// Whether a pause is a random part of its length ("full jitter"), so that many clients do not
    /// come back together.
    pub jitter: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(10),
            jitter: true,
        }
    }
}

/// When to leave a provider alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitPolicy {
    /// How many attempts in a row must fail before it is left alone; 0 never does.
    pub failures: u32,
    /// For how long. After that one call may try.
    pub open_for: Duration,
}

impl Default for CircuitPolicy {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(30) }
    }
}

/// Why a provider cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelSetupError {
    /// No provider of that name.
    #[error("unknown provider `{name}`; known are {}, and mock", ProviderKind::NAMES[..5].join(", "))]
    UnknownProvider {
        /// The name.
        name: String,
    },
    /// No model is named.
    #[error("no model is named for provider {kind}; set its name as the provider spells it")]
    MissingModel {
        /// The provider.
        kind: ProviderKind,
    },
    /// There is no key.
    #[error(
        "provider {kind} needs a key and there is none; set {}",
        .kind.key_variables().join(" or ")
    )]
    MissingKey {
        /// The provider.
        kind: ProviderKind,
    },
    /// There is no address.
    #[error("provider {kind} has no public address; set its base URL")]
    MissingBaseUrl {
        /// The provider.
        kind: ProviderKind,
    },
    /// The address is none. It is not repeated: it may hold a password.
    #[error("the base URL of provider {kind} is wrong: {reason}")]
    InvalidBaseUrl {
        /// The provider.
        kind: ProviderKind,
        /// What is wrong with it.
        reason: String,
    },
    /// A header, or a key that would become one, cannot be sent. Its value is not repeated.
    #[error("header `{name}` of provider {kind} cannot be sent: its name or value is not legal")]
    InvalidHeader {
        /// The provider.
        kind: ProviderKind,
        /// The header's name.
        name: String,
    },
    /// A price makes no sense.
    #[error("the price of `{model}` must be a number of US dollars that is not negative")]
    InvalidPrice {
        /// The model that it is for.
        model: String,
    },
    /// The adapter could not be built.
    #[error("provider {kind} could not be set up")]
    Adapter {
        /// The provider.
        kind: ProviderKind,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_understood() {
        for name in ProviderKind::NAMES {
            let kind: ProviderKind = name.parse().unwrap();
            assert_eq!(kind.as_str().parse::<ProviderKind>().unwrap(), kind);
        }
        assert_eq!("Claude".parse::<ProviderKind>().unwrap(), ProviderKind::Anthropic);
        assert_eq!("vllm".parse::<ProviderKind>().unwrap(), ProviderKind::OpenAiCompatible);
    }

    #[test]
    fn an_unknown_name_says_what_is_known() {
        let error = "opnai".parse::<ProviderKind>().unwrap_err().to_string();
        assert!(error.contains("`opnai`") && error.contains("anthropic"), "{error}");
        assert!("mock".parse::<ProviderKind>().is_err(), "the mock is no provider");
    }

    #[test]
    fn a_key_cannot_be_printed() {
        let mut settings = ProviderSettings::new(ProviderKind::OpenAi, "m");
        settings.api_key = Some(ApiKey::new(" quite-a-secret\n"));
        assert!(!format!("{settings:?}").contains("secret"));
        assert_eq!(settings.api_key.unwrap().expose(), "quite-a-secret");
    }
}
