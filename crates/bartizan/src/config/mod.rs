//! The configuration: what every source says, made into one whole that is valid or refused.
//!
//! Order of precedence: flag, environment, `.env`, configuration file, default. Within the
//! environment our own names (`BARTIZAN_...`) come before Omnia's, and those before the names of
//! the providers' own clients (`OPENAI_API_KEY` and the like).
//!
//! # Layout
//!
//! - [`settings`]: every key, typed, with its default and meaning. [`values`]: kinds of values.
//! - [`keys`]: the list of keys, read off the settings' schema.
//! - [`environment`]: the only reader of the environment. `dotenv`: the `.env` file.
//!   [`omnia`] and [`usual`]: other programs' names.
//! - `file` and `node`: `bartizan.yaml` with its lines. `check`: a source held against the schema.
//! - [`layers`]: what each source says, who wins, and the settings that follow.
//! - `valid`: what types alone cannot say.

mod check;
mod dotenv;
pub mod environment;
mod file;
pub mod keys;
pub mod layers;
mod node;
mod omnia;
pub mod settings;
mod usual;
mod valid;
pub mod values;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use self::{
    environment::Variables,
    layers::{Layers, Origin},
    settings::{ProviderType, Settings},
    values::Secret,
};
use crate::refusal::{Exit, Refusal};

/// What was typed that concerns the configuration.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Flags: name as typed, key, text.
    pub flags: Vec<(String, &'static str, String)>,
    /// `--set key=value`, in the order typed.
    pub set: Vec<String>,
}

impl Typed {
    /// Adds a flag, if it was typed.
    pub fn add(&mut self, flag: &str, key: &'static str, text: Option<String>) {
        self.flags.extend(text.map(|text| (flag.to_owned(), key, text)));
    }

    /// Adds the packs, if any were typed.
    pub fn add_packs(&mut self, packs: &[PathBuf]) {
        if !packs.is_empty() {
            // As JSON, because a path may hold a comma.
            let paths: Vec<_> = packs.iter().map(|path| path.to_string_lossy()).collect();
            let paths = serde_json::to_string(&paths).unwrap_or_default();
            self.flags.push(("PACK".into(), "packs", paths));
        }
    }
}

/// The configuration.
pub struct Configuration {
    /// What holds.
    pub settings: Settings,
    /// Who said it.
    pub layers: Layers,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Who chose the provider, where nobody configured one.
    pub chosen_by: Option<Origin>,
    /// The keys of providers under their usual names, for the failover list.
    pub usual_keys: BTreeMap<ProviderType, Secret>,
}

impl Configuration {
    /// Reads everything.
    ///
    /// # Errors
    /// At the first thing that makes no sense: one line that says what, where and what to do.
    pub fn load(typed: &Typed, environment: &Variables) -> Result<Self, Refusal> {
        let mut warnings = Vec::new();
        let asked =
            typed.file.clone().or_else(|| environment.get(environment::CONFIG).map(Into::into));
        let file = file::read(asked.as_deref())?;
        let development = development_variables(environment)?;
        let sources = [environment, &development];

        let mut own = Vec::new();
        for variables in sources {
            let mut candidates = variables.candidates(&mut warnings)?;
            candidates.extend(omnia::candidates(variables, &mut warnings)?);
            own.push(candidates);
        }
        let mut before = Layers::default();
        before.extend(flags(typed)?);
        own.iter().for_each(|candidates| before.extend(candidates.clone()));
        before.extend(file.iter().flat_map(|file| file.candidates.clone()));

        // Which of the usual names count depends on the provider, and where nobody names one, on
        // which of them are there.
        let named = before.winner("provider.type");
        let choices = [usual::choice(environment)?, usual::choice(&development)?];
        // Who writes the mock's script asks for the mock, whatever keys are about.
        let decided = named.is_some() || before.winner("mock.file").is_some();
        let choice = if decided { None } else { choices.into_iter().flatten().next() };
        let provider: Option<ProviderType> = named
            .or(choice.as_ref())
            .and_then(|candidate| serde_json::from_value(candidate.value.clone()).ok());
        let chosen_by = choice.as_ref().map(|choice| choice.origin.clone());

        let mut layers = Layers::default();
        layers.extend(flags(typed)?);
        for (variables, candidates) in sources.into_iter().zip(own) {
            layers.extend(candidates);
            if let Some(provider) = provider {
                layers.extend(usual::candidates(variables, provider)?);
            }
        }
        layers.extend(choice);
        let path = file.as_ref().map(|file| file.path.clone());
        layers.extend(file.into_iter().flat_map(|file| file.candidates));
        layers.extend(omnia::defaults(environment)?);

        let mut settings = layers.settings()?;
        if let (None, Some(folder)) =
            (layers.winner("data.dir"), path.as_deref().and_then(Path::parent))
        {
            settings.data.dir.0 = folder.join(&settings.data.dir.0);
        }
        let usual_keys = usual_keys(&sources)?;
        let configuration = Self { settings, layers, warnings, chosen_by, usual_keys };
        valid::check(&configuration)?;
        Ok(configuration)
    }

    /// The provider: the one that is named, or the mock.
    pub fn provider(&self) -> ProviderType {
        self.settings.provider.r#type.unwrap_or(ProviderType::Mock)
    }
}

/// `.env` is for a developer's machine; where Kubernetes runs us there should be none, and if one
/// was copied into the image by mistake it must not count.
fn development_variables(environment: &Variables) -> Result<Variables, Refusal> {
    let deployed = [omnia::AGENT_NAME, "KUBERNETES_SERVICE_HOST"]
        .iter()
        .any(|name| environment.get(name).is_some());
    if deployed { Ok(Variables::default()) } else { Variables::of_file(Path::new(".env")) }
}

fn flags(typed: &Typed) -> Result<Vec<layers::Candidate>, Refusal> {
    let usage = |refusal: Refusal| Refusal { exit: Exit::Usage, ..refusal };
    let mut found = Vec::new();
    for (name, path, text) in &typed.flags {
        let Some(key) = keys::Key::find(path) else { continue };
        found.push(environment::candidate(key, text, &Origin::Flag(name.clone())).map_err(usage)?);
    }
    // Of two that set the same key the last one wins.
    for text in typed.set.iter().rev() {
        let (path, value) = text
            .split_once('=')
            .ok_or_else(|| Refusal::usage(format!("--set {text}: expected KEY=VALUE")))?;
        let Some(key) = keys::Key::find(path) else {
            let near = keys::did_you_mean(path, keys::Key::all().iter().map(|key| key.path));
            return Err(Refusal::usage(format!("--set {path}: there is no such key{near}")));
        };
        if key.is_sensitive() {
            return Err(Refusal::usage(format!(
                "--set {path}: a secret on the command line is seen by everybody who can list \
                 processes; set {} or {}_FILE",
                key.variable(),
                key.variable()
            )));
        }
        let origin = Origin::Flag("--set".into());
        found.push(environment::candidate(key, value, &origin).map_err(usage)?);
    }
    Ok(found)
}

fn usual_keys(sources: &[&Variables]) -> Result<BTreeMap<ProviderType, Secret>, Refusal> {
    let mut found = BTreeMap::new();
    for provider in [ProviderType::OpenAi, ProviderType::Anthropic, ProviderType::Gemini] {
        for variables in sources {
            if let Some((secret, _)) = usual::key(variables, provider)? {
                found.entry(provider).or_insert_with(|| Secret::from(secret));
            }
        }
    }
    Ok(found)
}
