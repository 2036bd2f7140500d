//! Which dialect a script is in.

use bartizan_engine::ports::model::ModelRequest;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{promptkit::Scenarios, reply::Reply, responses::Responses};

/// The largest script read, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// What the mock says. The default is no script: it says that it is a mock.
#[derive(Debug, Default)]
pub struct MockScript(Dialect);

#[derive(Debug, Default)]
enum Dialect {
    #[default]
    None,
    PromptKit(Scenarios),
    Responses(Responses),
}

impl MockScript {
    /// Reads a script in YAML, in PromptKit's dialect (`defaultResponse`, `scenarios`) or the
    /// Python runtime's (`responses`); `docs/mock.md` describes both.
    ///
    /// # Errors
    /// What is wrong with it, and in which line and column.
    pub fn parse(yaml: &str) -> Result<Self, MockScriptError> {
        if yaml.len() > LARGEST {
            return Err(MockScriptError::TooLarge);
        }
        let keys: std::collections::BTreeMap<String, IgnoredAny> = read(yaml)?;
        let dialect = if keys.contains_key("responses") {
            Dialect::Responses(read(yaml)?)
        } else if keys.contains_key("scenarios") || keys.contains_key("defaultResponse") {
            Dialect::PromptKit(read(yaml)?)
        } else {
            return Err(MockScriptError::UnknownDialect {
                keys: keys.into_keys().collect::<Vec<_>>().join(", "),
            });
        };
        Ok(Self(dialect))
    }

    pub(super) fn reply(&self, request: &ModelRequest) -> Option<Reply> {
        match &self.0 {
            Dialect::None => None,
            Dialect::PromptKit(scenarios) => scenarios.reply(request),
            Dialect::Responses(responses) => responses.reply(request),
        }
    }
}

fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, MockScriptError> {
    serde_saphyr::from_str(yaml)
        .map_err(|error| MockScriptError::Invalid { reason: error.without_snippet().to_string() })
}

/// Why a script cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MockScriptError {
    /// It is larger than any script need be.
    #[error("the mock script is larger than 4 MiB")]
    TooLarge,
    /// It is not YAML, or not what a script looks like.
    #[error("the mock script is wrong: {reason}")]
    Invalid {
        /// What is wrong, and where.
        reason: String,
    },
    /// It is in neither dialect.
    #[error(
        "the mock script has neither `responses` nor `scenarios` nor `defaultResponse` at its \
         top; its keys are: {keys}"
    )]
    UnknownDialect {
        /// The keys that it has.
        keys: String,
    },
}
