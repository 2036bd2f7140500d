//! What each source says, in order of precedence, and what becomes of it.

use std::{fmt, path::PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    keys::{self, Key},
    settings::Settings,
};
use crate::refusal::{Exit, Refusal};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line, by the name of the flag.
    Flag(String),
    /// A variable of the environment; with the file it names, where it names one.
    Environment(String),
    /// A line of the `.env` file.
    DotEnv {
        /// The name.
        name: String,
        /// The line.
        line: usize,
    },
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(formatter, "{name}"),
            Self::Environment(name) => write!(formatter, "environment {name}"),
            Self::DotEnv { name, line } => write!(formatter, ".env:{line} {name}"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What one source says about one key.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The key.
    pub key: Key,
    /// The value. For a secret, the secret: never to be printed.
    pub value: Value,
    /// The source.
    pub origin: Origin,
}

/// What all sources say, the strongest first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    candidates: Vec<Candidate>,
}

impl Layers {
    /// Adds what a weaker source says.
    pub fn extend(&mut self, candidates: impl IntoIterator<Item = Candidate>) {
        self.candidates.extend(candidates);
    }

    /// All that is said about a key, the strongest first.
    pub fn of<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Candidate> {
        self.candidates.iter().filter(move |candidate| candidate.key.path == path)
    }

    /// What wins for a key.
    pub fn winner(&self, path: &str) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.key.path == path)
    }

    /// The settings that follow.
    ///
    /// # Errors
    /// Where a value is not what its key takes; the message names the source.
    pub fn settings(&self) -> Result<Settings, Refusal> {
        let mut tree = Value::Object(Map::new());
        for key in Key::all() {
            if let Some(winner) = self.winner(key.path) {
                insert(&mut tree, key.path, winner.value.clone());
            }
        }
        serde_path_to_error::deserialize(tree).map_err(|error| {
            let path = error.path().to_string();
            self.refusal(&path, &in_words(&error.into_inner().to_string()))
        })
    }

    /// A refusal of what stands at `path`, naming its source.
    pub fn refusal(&self, path: &str, reason: &str) -> Refusal {
        // The path may lead into a list or map that is one key.
        let key = Key::all().iter().find(|key| {
            path.strip_prefix(key.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        let Some(winner) = key.and_then(|key| self.winner(key.path)) else {
            return Refusal::configuration(format!("`{path}`: {reason}"));
        };
        let exit = match winner.origin {
            Origin::Flag(_) => Exit::Usage,
            _ => Exit::Configuration,
        };
        // A reader's error may repeat what it read.
        let reason = if winner.key.is_sensitive() && reason.contains(['`', '"']) {
            "is not of the right form"
        } else {
            reason
        };
        Refusal::new(exit, format!("{}: `{path}`: {reason}", winner.origin))
    }
}

/// A reader's reason without the names of our types.
fn in_words(reason: &str) -> String {
    let types = [
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected u64", "expected a whole number from 0"),
        ("expected usize", "expected a whole number from 0"),
        ("expected f64", "expected a number"),
        ("expected a string", "expected text"),
        ("expected path string", "expected a path"),
        ("expected a sequence", "expected a list"),
    ];
    types.iter().fold(reason.to_owned(), |reason, (name, words)| reason.replace(name, words))
}

/// Puts a value where its dotted path says.
fn insert(tree: &mut Value, path: &str, value: Value) {
    let mut place = tree;
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let Value::Object(map) = place else { return };
        if names.peek().is_none() {
            map.insert(name.to_owned(), value);
            return;
        }
        place = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
}

/// The value at a dotted path.
pub fn at<'a>(tree: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(tree, |place, name| place.get(name).unwrap_or(&Value::Null))
}

/// The refusal of a choice that is none.
pub fn not_a_choice(found: &str, choices: &[&str]) -> String {
    let near = keys::did_you_mean(found, choices.iter().copied());
    format!("`{found}` is not one of {}{near}", choices.join(", "))
}
