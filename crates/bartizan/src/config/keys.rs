//! The keys that exist, read off the types in [`super::settings`].
//!
//! The JSON schema of the settings is the one list of keys: it is what editors check
//! `bartizan.yaml` against, what the file and the environment are checked against here, and where
//! `config explain` finds what a key means. A second list could differ from the first.

use std::sync::OnceLock;

use schemars::{Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Map, Value, json};

use super::settings::Settings;

/// What the environment's text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text stays text. Durations, addresses and choices are text too.
    Text,
    /// A whole number.
    Integer,
    /// JSON, or texts with commas between them.
    List,
    /// JSON.
    Object,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path with dots: `provider.api_key`.
    pub path: &'static str,
    /// Its part of the schema.
    pub schema: &'static Value,
}

impl Key {
    /// Every key, in the order of the file.
    pub fn all() -> &'static [Self] {
        static KEYS: OnceLock<Vec<Key>> = OnceLock::new();
        KEYS.get_or_init(|| {
            let mut keys = Vec::new();
            collect(schema(), "", &mut keys);
            keys
        })
    }

    /// The key of that path.
    pub fn find(path: &str) -> Option<Self> {
        Self::all().iter().find(|key| key.path == path).copied()
    }

    /// The key that was probably meant by `path`.
    pub fn nearest(path: &str) -> Option<&'static str> {
        nearest(path, Self::all().iter().map(|key| key.path))
    }

    /// The name of its variable: `BARTIZAN_PROVIDER__API_KEY`.
    pub fn variable(self) -> String {
        format!("BARTIZAN_{}", self.path.replace('.', "__").to_uppercase())
    }

    /// What the environment's text becomes.
    pub fn kind(self) -> Kind {
        let schema = unwrapped(self.schema);
        if schema.get("items").is_some() {
            return Kind::List;
        }
        if schema.get("additionalProperties").is_some_and(|others| *others != false) {
            return Kind::Object;
        }
        let is = |name: &str| match schema.get("type") {
            Some(Value::String(found)) => found == name,
            Some(Value::Array(found)) => found.iter().any(|found| found == name),
            _ => false,
        };
        if is("integer") && !is("string") { Kind::Integer } else { Kind::Text }
    }

    /// Whether it is a secret.
    pub fn is_secret(self) -> bool {
        is_secret(self.schema)
    }

    /// Whether it is a secret or holds some.
    pub fn is_sensitive(self) -> bool {
        self.schema.to_string().contains("\"writeOnly\":true")
    }

    /// What it means.
    pub fn description(self) -> &'static str {
        self.schema.get("description").and_then(Value::as_str).unwrap_or_default()
    }

    /// The kind of value, in a word or two.
    pub fn type_name(self) -> &'static str {
        let schema = unwrapped(self.schema);
        if self.is_secret() {
            return "secret";
        }
        if !self.choices().is_empty() {
            return "choice";
        }
        if is_path(schema) {
            return "path";
        }
        if let Some(title) = schema.get("title").and_then(Value::as_str) {
            return title;
        }
        match self.kind() {
            Kind::Text => "text",
            Kind::Integer => "integer",
            Kind::List => "list",
            Kind::Object => "map",
        }
    }

    /// What may stand there, where that is a choice.
    pub fn choices(self) -> Vec<&'static str> {
        choices(self.schema)
    }
}

/// The JSON schema of the configuration.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema = SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .with_transform(finish)
            .into_generator()
            .into_root_schema_for::<Settings>();
        schema.remove("default");
        schema.to_value()
    })
}

/// Beside every secret, the key of a file that holds it; no defaults of whole sections, which only
/// repeat the defaults of their keys; descriptions without the line breaks of our source.
fn finish(schema: &mut Schema) {
    transform_subschemas(&mut finish, schema);
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    let mut files = Map::new();
    for (name, property) in properties.iter_mut() {
        if is_secret(property) {
            files.insert(
                file_key(name),
                json!({
                    "description": format!("A file that holds `{name}`; a line break at its end is not part of it."),
                    "type": ["string", "null"],
                    "format": "path",
                }),
            );
        }
        if property.get("properties").is_some()
            && let Some(property) = property.as_object_mut()
        {
            property.remove("default");
        }
    }
    properties.extend(files);
}

/// The key of the file that holds the secret `name`.
pub fn file_key(name: &str) -> String {
    format!("{name}_file")
}

/// Whether this part of the schema is a secret.
pub fn is_secret(schema: &Value) -> bool {
    unwrapped(schema).get("writeOnly").and_then(Value::as_bool).unwrap_or(false)
}

/// Whether this part of the schema is a path.
pub fn is_path(schema: &Value) -> bool {
    unwrapped(schema).get("format").is_some_and(|format| format == "path")
}

/// What may stand there, where that is a choice.
pub fn choices(schema: &Value) -> Vec<&str> {
    let schema = unwrapped(schema);
    if let Some(Value::Array(names)) = schema.get("enum") {
        return names.iter().filter_map(Value::as_str).collect();
    }
    let Some(Value::Array(options)) = schema.get("oneOf") else { return Vec::new() };
    options.iter().filter_map(|option| option.get("const")?.as_str()).collect()
}

/// The schema of what an optional value holds.
pub fn unwrapped(schema: &Value) -> &Value {
    let options = schema.get("anyOf").and_then(Value::as_array);
    let mut options = options.into_iter().flatten();
    options.find(|option| option.get("type").is_none_or(|name| name != "null")).unwrap_or(schema)
}

/// The name that was probably meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ...?`, where something near exists.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

fn collect(schema: &'static Value, prefix: &str, keys: &mut Vec<Key>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        if property.get("format").is_some() && name.ends_with("_file") {
            // The file of a secret is another way to give the secret, not a key of its own.
            let secret = name.trim_end_matches("_file");
            if properties.get(secret).is_some_and(is_secret) {
                continue;
            }
        }
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if property.get("properties").is_some() {
            collect(property, &path, keys);
        } else {
            // Once per process, for a list that lives as long as it.
            keys.push(Key { path: path.leak(), schema: property });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_leaves_with_kinds() {
        let kind = |path| Key::find(path).map(Key::kind);
        assert_eq!(kind("http.address"), Some(Kind::Text));
        assert_eq!(kind("limits.max_rounds"), Some(Kind::Integer));
        assert_eq!(kind("limits.max_output_tokens"), Some(Kind::Integer));
        assert_eq!(kind("limits.turn_time"), Some(Kind::Text));
        assert_eq!(kind("packs"), Some(Kind::List));
        assert_eq!(kind("provider.failover"), Some(Kind::List));
        assert_eq!(kind("prices"), Some(Kind::Object));
        assert_eq!(kind("provider.headers"), Some(Kind::Object));
        assert_eq!(kind("provider.retry.attempts"), Some(Kind::Integer));
        assert_eq!(kind("provider"), None);
        assert_eq!(kind("provider.api_key_file"), None);
        assert_eq!(Key::find("packs").map(Key::variable).as_deref(), Some("BARTIZAN_PACKS"));
    }

    #[test]
    fn secrets_are_known_as_such() {
        let secret: Vec<&str> =
            Key::all().iter().filter(|key| key.is_sensitive()).map(|key| key.path).collect();
        assert_eq!(secret, ["provider.api_key", "provider.headers", "provider.failover"]);
        assert!(Key::find("provider.api_key").unwrap().is_secret());
    }

    #[test]
    fn every_key_says_what_it_means() {
        for key in Key::all() {
            assert!(!key.description().is_empty(), "{}", key.path);
        }
        assert_eq!(
            Key::find("provider.type").unwrap().choices(),
            ["openai", "openai-compatible", "anthropic", "gemini", "ollama", "mock"]
        );
    }
}
