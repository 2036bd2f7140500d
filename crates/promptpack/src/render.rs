//! Rendering: values into a compiled prompt.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::compile::{CompiledPrompt, Segment, Slot, given};
use crate::findings::nearest;
use crate::template::PathStep;
use crate::{Position, TemplateSource, Validation, Variable};

/// Why a prompt was not rendered. No message holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// Values are missing or wrong.
    #[error("prompt `{prompt}`: {}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Values {
        /// The prompt's key.
        prompt: String,
        /// Every fault; at least one.
        faults: Vec<ValueFault>,
    },
    /// The rendered text would be too long.
    #[error("prompt `{prompt}` would be longer than {max} bytes")]
    TooLarge {
        /// The prompt's key.
        prompt: String,
        /// The most allowed, in bytes.
        max: usize,
    },
}

/// What kind of fault a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A required value is not given.
    Missing,
    /// The value has another type.
    WrongType,
    /// The value breaks a rule of the variable.
    BrokenRule,
    /// The template names something that is neither declared nor given.
    Unknown,
    /// The template reads a field or an item that the value does not have.
    NoSuchPart,
}

/// One fault of one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueFault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// The variable, as the template or the declaration writes it.
    pub variable: String,
    /// What would have been right.
    pub expected: String,
    /// Where the template asks for the value, if the fault lies there.
    pub place: Option<(TemplateSource, Position)>,
}

impl std::fmt::Display for ValueFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.kind {
            FaultKind::Missing => "is missing",
            FaultKind::WrongType => "has the wrong type",
            FaultKind::BrokenRule => "breaks a rule",
            FaultKind::Unknown => "is neither declared nor given",
            FaultKind::NoSuchPart => "is not in the value given",
        };
        write!(formatter, "`{}` {what}", self.variable)?;
        if let Some((source, position)) = &self.place {
            write!(formatter, " ({source}, {position})")?;
        }
        write!(formatter, "; expected {}", self.expected)
    }
}

impl CompiledPrompt {
    /// Renders the prompt with `values`.
    ///
    /// - A value of `null` counts as not given; a default then takes its place.
    /// - Values of declared variables must have the declared type (`"5"` is no
    ///   number) and keep the declared rules, used by the template or not.
    /// - An optional variable without value and default renders as nothing.
    /// - A name that the template uses without declaring it takes any value,
    ///   and must have one; only `artifacts.…` may be absent.
    /// - Other values are ignored.
    /// - Texts are inserted as they are, numbers and booleans as in JSON,
    ///   objects and arrays as compact JSON. Nothing inserted is read again.
    ///
    /// # Errors
    ///
    /// [`RenderError::Values`] with every fault, or [`RenderError::TooLarge`].
    pub fn render(&self, values: &Map<String, Value>) -> Result<String, RenderError> {
        let mut faults = Vec::new();
        let mut chosen: Vec<Option<&Value>> = Vec::with_capacity(self.variables.len());
        for variable in &self.variables {
            chosen.push(choose(variable, values, &mut faults));
        }
        let mut text =
            String::with_capacity(self.program.text.len() + 32 * self.program.slots.len());
        for segment in &self.program.segments {
            match segment {
                Segment::Text(range) => {
                    text.push_str(self.program.text.get(range.clone()).unwrap_or_default())
                }
                Segment::Slot(index) => {
                    let Some(slot) = self.program.slots.get(*index) else { continue };
                    let value = match slot.variable {
                        Some(variable) => chosen.get(variable).copied().flatten(),
                        None => given(values.get(&slot.root)),
                    };
                    match self.resolve(slot, value) {
                        Ok(Some(value)) => insert(&mut text, value),
                        Ok(None) => {}
                        Err(fault) => faults.push(fault),
                    }
                }
            }
            if text.len() > self.program.max_bytes {
                return Err(RenderError::TooLarge {
                    prompt: self.key.clone(),
                    max: self.program.max_bytes,
                });
            }
        }
        if faults.is_empty() {
            Ok(text)
        } else {
            Err(RenderError::Values { prompt: self.key.clone(), faults })
        }
    }

    /// The value that a slot shows; nothing when it may be absent and is.
    fn resolve<'v>(
        &self,
        slot: &Slot,
        value: Option<&'v Value>,
    ) -> Result<Option<&'v Value>, ValueFault> {
        let fault = |kind, variable: String, expected: String| ValueFault {
            kind,
            variable,
            expected,
            place: self
                .program
                .sources
                .get(slot.source)
                .map(|source| (source.clone(), slot.position)),
        };
        let Some(mut value) = value else {
            if slot.variable.is_some() || slot.root == "artifacts" {
                return Ok(None);
            }
            let names = self.variables.iter().map(|variable| variable.name.as_str());
            let near = nearest(&slot.root, names)
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            return Err(fault(
                FaultKind::Unknown,
                slot.root.clone(),
                format!("a declared variable or a value{near}"),
            ));
        };
        for (index, step) in slot.steps.iter().enumerate() {
            let next = match step {
                PathStep::Field(name) => value.get(name.as_str()),
                PathStep::Index(item) => value.get(*item),
            };
            value = match next {
                Some(next) => next,
                None if slot.root == "artifacts" => return Ok(None),
                None => {
                    let path = written(&slot.root, slot.steps.get(..=index).unwrap_or_default());
                    let expected = match step {
                        PathStep::Field(name) => format!("an object with `{name}`"),
                        PathStep::Index(item) => format!("an array of more than {item}"),
                    };
                    return Err(fault(FaultKind::NoSuchPart, path, expected));
                }
            };
        }
        Ok(Some(value))
    }
}

fn written(root: &str, steps: &[PathStep]) -> String {
    steps.iter().fold(root.to_owned(), |mut path, step| {
        // Writing to a text cannot fail.
        let _ = match step {
            PathStep::Field(name) => write!(path, ".{name}"),
            PathStep::Index(item) => write!(path, "[{item}]"),
        };
        path
    })
}

fn insert(text: &mut String, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(inserted) => text.push_str(inserted),
        // Writing to a text cannot fail.
        other => drop(write!(text, "{other}")),
    }
}

/// The value of a declared variable, checked.
fn choose<'v>(
    variable: &'v Variable,
    values: &'v Map<String, Value>,
    faults: &mut Vec<ValueFault>,
) -> Option<&'v Value> {
    match given(values.get(&variable.name)) {
        Some(value) => {
            if let Err((kind, expected)) = check(variable, value) {
                faults.push(ValueFault {
                    kind,
                    variable: variable.name.clone(),
                    expected,
                    place: None,
                });
            }
            Some(value)
        }
        None => {
            let default = given(variable.default.as_ref());
            if default.is_none() && variable.required {
                let expected = variable.type_.with_article();
                faults.push(ValueFault {
                    kind: FaultKind::Missing,
                    variable: variable.name.clone(),
                    expected,
                    place: None,
                });
            }
            default
        }
    }
}

/// Whether a value has the type and keeps the rules of its variable.
pub(crate) fn check(variable: &Variable, value: &Value) -> Result<(), (FaultKind, String)> {
    if !variable.type_.accepts(value) {
        return Err((FaultKind::WrongType, variable.type_.with_article()));
    }
    let rules = variable.validation.as_ref();
    rules
        .map_or(Ok(()), |rules| check_rules(rules, value))
        .map_err(|expected| (FaultKind::BrokenRule, expected))
}

fn check_rules(rules: &Validation, value: &Value) -> Result<(), String> {
    if let Value::String(text) = value {
        if rules.min_length.is_some() || rules.max_length.is_some() {
            let length = text.chars().count() as u64;
            if let Some(least) = rules.min_length.filter(|least| length < *least) {
                return Err(format!("at least {least} characters"));
            }
            if let Some(most) = rules.max_length.filter(|most| length > *most) {
                return Err(format!("at most {most} characters"));
            }
        }
        if let Some(pattern) = &rules.pattern {
            match pattern.is_match(text) {
                Ok(true) => {}
                Ok(false) => return Err(format!("a text that matches `{}`", pattern.as_str())),
                Err(error) => return Err(format!("a usable pattern ({error})")),
            }
        }
    }
    if let Some(number) = value.as_f64() {
        if let Some(least) = rules.minimum.filter(|least| number < *least) {
            return Err(format!("at least {least}"));
        }
        if let Some(most) = rules.maximum.filter(|most| number > *most) {
            return Err(format!("at most {most}"));
        }
    }
    if let Some(allowed) = &rules.enum_
        && !allowed.iter().any(|one| same(one, value))
    {
        let listed: Vec<String> = allowed.iter().take(20).map(ToString::to_string).collect();
        return Err(format!("one of {}", listed.join(", ")));
    }
    Ok(())
}

/// Equal as JSON Schema sees it: `1` and `1.0` are the same number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}
