//! What a source says, held against the schema: unknown keys, choices, paths, files of secrets.

use std::{fs, path::Path};

use serde_json::{Map, Value};

use super::{
    keys::{self, Key},
    layers::{Candidate, Origin, not_a_choice},
    node::{Node, Shape},
};
use crate::refusal::Refusal;

/// One source while it is read.
pub struct Source<'a> {
    /// Where its relative paths start; none where that is the working directory.
    pub base: Option<&'a Path>,
    /// What a line of it is called.
    pub origin: &'a dyn Fn(u64) -> Origin,
}

impl Source<'_> {
    /// What a whole tree says, key by key.
    ///
    /// # Errors
    /// At the first fault, with its line.
    pub fn candidates(&self, node: Node) -> Result<Vec<Candidate>, Refusal> {
        let mut found = Vec::new();
        self.section(node, keys::schema(), "", &mut found)?;
        Ok(found)
    }

    fn section(
        &self,
        node: Node,
        schema: &'static Value,
        path: &str,
        found: &mut Vec<Candidate>,
    ) -> Result<(), Refusal> {
        let line = node.line;
        let entries = match node.shape {
            Shape::Map(entries) => self.without_files(entries, schema, path)?,
            Shape::Scalar(Value::Null) => return Ok(()),
            _ => return Err(self.refusal(line, path, "holds keys of its own, not a value")),
        };
        for (name, node) in entries {
            let path = join(path, &name);
            let property = self.property(schema, &name, &path, node.line)?;
            if property.get("properties").is_some() {
                self.section(node, property, &path, found)?;
            } else if !matches!(node.shape, Shape::Scalar(Value::Null)) {
                let line = node.line;
                let value = self.value(node, property, &path)?;
                if let Some(key) = Key::find(&path) {
                    found.push(Candidate { key, value, origin: (self.origin)(line) });
                }
            }
        }
        Ok(())
    }

    /// A value and everything in it.
    ///
    /// # Errors
    /// At the first fault.
    pub fn value(&self, node: Node, schema: &Value, path: &str) -> Result<Value, Refusal> {
        let schema = keys::unwrapped(schema);
        let line = node.line;
        match node.shape {
            Shape::Map(entries) => {
                let entries = self.without_files(entries, schema, path)?;
                let mut map = Map::new();
                for (name, node) in entries {
                    let path = join(path, &name);
                    let inner = match schema.get("additionalProperties") {
                        // Of a value that may be anything, so may its parts.
                        _ if *schema == true => schema,
                        Some(inner) if *inner != false => inner,
                        _ => self.property(schema, &name, &path, node.line)?,
                    };
                    map.insert(name, self.value(node, inner, &path)?);
                }
                Ok(Value::Object(map))
            }
            Shape::List(items) => {
                let inner = schema.get("items").unwrap_or(&Value::Null);
                let items = items.into_iter().enumerate();
                items
                    .map(|(index, node)| self.value(node, inner, &format!("{path}[{index}]")))
                    .collect()
            }
            Shape::Scalar(Value::String(text)) => {
                let choices = keys::choices(schema);
                if !choices.is_empty() && !choices.contains(&text.as_str()) {
                    return Err(self.refusal(line, path, &not_a_choice(&text, &choices)));
                }
                match self.base {
                    Some(base) if keys::is_path(schema) => {
                        Ok(base.join(text).to_string_lossy().into_owned().into())
                    }
                    _ => Ok(text.into()),
                }
            }
            Shape::Scalar(value) => Ok(value),
        }
    }

    fn property<'s>(
        &self,
        schema: &'s Value,
        name: &str,
        path: &str,
        line: u64,
    ) -> Result<&'s Value, Refusal> {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.and_then(|properties| properties.get(name)).ok_or_else(|| {
            let known = properties.into_iter().flat_map(Map::keys).map(String::as_str);
            let near = keys::did_you_mean(name, known);
            self.refusal(line, path, &format!("there is no such key{near}"))
        })
    }

    /// The entries with every `..._file` of a secret replaced by the secret.
    fn without_files(
        &self,
        entries: Vec<(String, Node)>,
        schema: &Value,
        path: &str,
    ) -> Result<Vec<(String, Node)>, Refusal> {
        let secrets: Vec<String> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(_, property)| keys::is_secret(property))
            .map(|(name, _)| name.clone())
            .collect();
        let mut entries = entries;
        for secret in secrets {
            let file = keys::file_key(&secret);
            let Some(index) = entries.iter().position(|(name, _)| *name == file) else { continue };
            let (_, node) = entries.remove(index);
            let line = node.line;
            let text = match node.shape {
                Shape::Scalar(Value::Null) => continue,
                Shape::Scalar(Value::String(text)) => text,
                _ => return Err(self.refusal(line, &join(path, &file), "is the path of a file")),
            };
            if entries.iter().any(|(name, _)| *name == secret) {
                let reason = format!("both `{secret}` and `{file}` are set; keep one");
                return Err(self.refusal(line, &join(path, &secret), &reason));
            }
            let place = self.base.map_or_else(|| text.clone().into(), |base| base.join(&text));
            let contents = secret_in(&place).map_err(|error| {
                Refusal::input(format!("{}: `{}`: {error}", (self.origin)(line), join(path, &file)))
            })?;
            entries.push((secret, Node { line, shape: Shape::Scalar(contents.into()) }));
        }
        Ok(entries)
    }

    fn refusal(&self, line: u64, path: &str, reason: &str) -> Refusal {
        let path = if path.is_empty() { "the file".into() } else { format!("`{path}`") };
        Refusal::configuration(format!("{}: {path}: {reason}", (self.origin)(line)))
    }
}

/// The secret in a file, without the line break at its end.
///
/// # Errors
/// Where the file cannot be read or says nothing.
pub fn secret_in(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read the secret in {}: {error}", path.display()))?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        return Err(format!("the file {} is empty; it should hold a secret", path.display()));
    }
    Ok(secret.to_owned())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
