//! The environment: the only place in Bartizan that reads it.
//!
//! Everything else takes [`Variables`], which a test fills as it likes.

use std::{collections::BTreeMap, env, path::Path};

use super::{
    check::{Source, secret_in},
    dotenv,
    keys::{self, Key, Kind},
    layers::{Candidate, Origin},
    node::{Node, Shape},
};
use crate::refusal::Refusal;

/// How our own variables begin.
const PREFIX: &str = "BARTIZAN_";

/// The variable that names the configuration file, as `--config` does.
pub const CONFIG: &str = "BARTIZAN_CONFIG";

/// One variable and where it stands.
#[derive(Clone, Debug)]
struct Variable {
    value: String,
    origin: Origin,
}

/// Variables by name. A variable that is empty counts as not set, as it does for Omnia's
/// runtimes: compose files and charts write empty variables for what nobody filled in.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, Variable>);

impl Variables {
    /// Those of this process. What is not Unicode cannot be any of ours.
    pub fn of_process() -> Self {
        env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Those of the `.env` file, where there is one.
    ///
    /// # Errors
    /// Where the file makes no sense.
    pub fn of_file(path: &Path) -> Result<Self, Refusal> {
        let entries = dotenv::read(path)?.into_iter().map(|(name, entry)| {
            let origin = Origin::DotEnv { name: name.clone(), line: entry.line };
            (name, Variable { value: entry.value, origin })
        });
        Ok(Self(entries.collect()))
    }

    /// The variable's value, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.with_origin(name).map(|(value, _)| value)
    }

    /// The variable's value and its place, unless it is empty.
    pub fn with_origin(&self, name: &str) -> Option<(&str, &Origin)> {
        let variable = self.0.get(name)?;
        (!variable.value.is_empty()).then_some((&variable.value, &variable.origin))
    }

    /// The names of all variables that are not empty and begin like this.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, variable)| name.starts_with(prefix) && !variable.value.is_empty())
            .map(|(name, _)| name.as_str())
    }

    /// The secret in the variable, or in the file that the variable with `_FILE` behind its name
    /// names.
    ///
    /// # Errors
    /// Where both are set, and where the file cannot be read.
    pub fn secret(&self, name: &str) -> Result<Option<(String, Origin)>, Refusal> {
        let by_file = format!("{name}_FILE");
        match (self.with_origin(name), self.with_origin(&by_file)) {
            (Some(_), Some((_, origin))) => Err(Refusal::configuration(format!(
                "{origin}: both {name} and {by_file} are set; keep one"
            ))),
            (Some((value, origin)), None) => Ok(Some((value.to_owned(), origin.clone()))),
            (None, Some((path, origin))) => {
                let secret = secret_in(Path::new(path))
                    .map_err(|error| Refusal::input(format!("{origin}: {error}")))?;
                Ok(Some((secret, origin.clone())))
            }
            (None, None) => Ok(None),
        }
    }

    /// What our own variables say. Unknown ones become warnings.
    ///
    /// # Errors
    /// Where a value is not what its key takes.
    pub fn candidates(&self, warnings: &mut Vec<String>) -> Result<Vec<Candidate>, Refusal> {
        for name in self.names(PREFIX) {
            let known = |name: &str| Key::all().iter().any(|key| key.variable() == name);
            let secret =
                |name: &str| Key::all().iter().any(|key| key.is_secret() && key.variable() == name);
            let file_of_secret = name.strip_suffix("_FILE").is_some_and(secret);
            if name != CONFIG && !known(name) && !file_of_secret {
                let names: Vec<String> = Key::all().iter().map(|key| key.variable()).collect();
                let near = keys::did_you_mean(name, names.iter().map(String::as_str));
                warnings.push(format!("unknown variable {name} is ignored{near}"));
            }
        }
        let mut found = Vec::new();
        for key in Key::all() {
            let name = key.variable();
            if key.is_secret() {
                if let Some((secret, origin)) = self.secret(&name)? {
                    found.push(Candidate { key: *key, value: secret.into(), origin });
                }
            } else if let Some((text, origin)) = self.with_origin(&name) {
                found.push(candidate(*key, text, origin)?);
            }
        }
        Ok(found)
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let entry = |(name, value): (String, String)| {
            let origin = Origin::Environment(name.clone());
            (name, Variable { value, origin })
        };
        Self(variables.into_iter().map(entry).collect())
    }
}

/// What this text says about a key: from a variable, or from the command line.
///
/// # Errors
/// Where the text is not what the key takes.
pub fn candidate(key: Key, text: &str, origin: &Origin) -> Result<Candidate, Refusal> {
    let refuse =
        |reason: &str| Refusal::configuration(format!("{origin}: `{}`: {reason}", key.path));
    let scalar = |value| Node { line: 0, shape: Shape::Scalar(value) };
    let structured =
        |text: &str| Node::read(text).map_err(|_| refuse("takes JSON, and this is not JSON"));
    let node = match key.kind() {
        Kind::Text => scalar(text.into()),
        Kind::Integer => {
            let number: i64 = text
                .trim()
                .parse()
                .map_err(|_| refuse(&format!("`{text}` is not a whole number")))?;
            scalar(number.into())
        }
        Kind::List if !text.trim_start().starts_with('[') => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Node { line: 0, shape: Shape::List(items.map(|item| scalar(item.into())).collect()) }
        }
        Kind::List | Kind::Object => structured(text)?,
    };
    let source = Source { base: None, origin: &|_| origin.clone() };
    Ok(Candidate { key, value: source.value(node, key.schema, key.path)?, origin: origin.clone() })
}
