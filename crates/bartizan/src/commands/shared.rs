//! Arguments that several commands take.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use promptpack::{CompiledPrompt, Variable, VariableType};

use crate::{
    config::{Typed, keys::did_you_mean},
    output,
    refusal::Refusal,
};

/// Where the configuration comes from.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Settings {
    /// The configuration file [default: bartizan.yaml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Who provides the model: openai, openai-compatible, anthropic, gemini, ollama or mock
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The model's name at the provider
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The provider's address, for servers that speak the provider's protocol
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The tool file that binds the pack's tools
    #[arg(long, value_name = "FILE")]
    tools: Option<String>,
    /// The script of the mock model
    #[arg(long, value_name = "FILE")]
    mock: Option<String>,
    /// The directory of the database
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// From which level on to log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Sets any key of the configuration (see `bartizan config explain`); may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Settings {
    /// What was typed, by key.
    pub fn typed(self) -> Typed {
        let named = [
            ("--provider", "provider.type", self.provider),
            ("--model", "provider.model", self.model),
            ("--base-url", "provider.base_url", self.base_url),
            ("--tools", "tools.file", self.tools),
            ("--mock", "mock.file", self.mock),
            ("--data-dir", "data.dir", self.data_dir),
            ("--log-level", "log.level", self.log_level),
        ];
        let mut typed = Typed { file: self.config, flags: Vec::new(), set: self.set };
        for (flag, key, value) in named {
            typed.add(flag, key, value);
        }
        typed
    }
}

/// Values for a prompt's variables.
#[derive(Debug, Default, Args)]
pub struct Variables {
    /// A value for a variable of the prompt; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
}

impl Variables {
    /// The values, each of the type that the prompt declares. Those that it has no place for are
    /// warned of: they are ignored, and were probably meant for another name.
    ///
    /// # Errors
    /// Where an argument is not `name=value`.
    pub fn values(&self, prompt: &CompiledPrompt) -> Result<Map<String, Value>, Refusal> {
        let mut values = Map::new();
        for text in &self.variables {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| Refusal::usage(format!("--var {text}: expected NAME=VALUE")))?;
            if !prompt.value_names().any(|known| known == name) {
                let near = did_you_mean(name, prompt.value_names());
                output::warning(format!("--var {name}: the prompt takes no such value{near}"));
            }
            let declared = prompt.variables.iter().find(|variable| variable.name == name);
            values.insert(name.to_owned(), typed(value, declared));
        }
        Ok(values)
    }
}

/// Text where the prompt wants text or says nothing, JSON where it wants anything else. What is
/// not JSON stays text, and the prompt's own check says what is wrong with it.
fn typed(text: &str, declared: Option<&Variable>) -> Value {
    match declared {
        Some(variable) if variable.type_ != VariableType::String => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        _ => text.into(),
    }
}
