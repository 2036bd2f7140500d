//! Variables: the values that a prompt takes.

use serde::Serialize;
use serde_json::Value;

use crate::decode::{Decoder, Node};
use crate::finding::Code;
use crate::pattern::Pattern;
use crate::{SpecVersion, grammar};

/// A value that a prompt's template takes (spec: `Variable`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Variable {
    /// The name, an ASCII identifier.
    pub name: String,
    /// The JSON type that values must have.
    #[serde(rename = "type")]
    pub type_: VariableType,
    /// Whether a value must be given (a default satisfies this too).
    pub required: bool,
    /// The value when none is given.
    pub default: Option<Value>,
    /// What the variable is for.
    pub description: Option<String>,
    /// A value that would do.
    pub example: Option<Value>,
    /// Rules beyond the type.
    pub validation: Option<Validation>,
    /// Where a host may take the value from; described, never acted on.
    pub binding: Option<Binding>,
}

/// The JSON type of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VariableType {
    /// Text.
    #[default]
    String,
    /// A finite number.
    Number,
    /// True or false.
    Boolean,
    /// An object; `{{name.field}}` reads into it.
    Object,
    /// An array; `{{name[0]}}` reads into it.
    Array,
    /// A name from outside the specification: any value is taken.
    Other(String),
}

impl VariableType {
    /// The name as it is written in a pack.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::Array => "array",
            Self::Other(name) => name,
        }
    }

    /// The name in a sentence: `a string`, `an object`.
    pub(crate) fn with_article(&self) -> String {
        let article = if matches!(self, Self::Object | Self::Array) { "an" } else { "a" };
        format!("{article} {}", self.as_str())
    }

    /// Whether `value` is of this type. Types are strict: `"5"` is no number.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Other(_) => true,
        }
    }
}

impl From<&str> for VariableType {
    fn from(name: &str) -> Self {
        match name {
            "string" => Self::String,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "object" => Self::Object,
            "array" => Self::Array,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Serialize for VariableType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Rules that a value must keep (spec: `Variable.validation`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Validation {
    /// A regular expression that must match somewhere in a text (as in JSON
    /// Schema: it is not anchored).
    pub pattern: Option<Pattern>,
    /// Fewest characters of a text.
    pub min_length: Option<u64>,
    /// Most characters of a text.
    pub max_length: Option<u64>,
    /// Smallest number.
    pub minimum: Option<f64>,
    /// Largest number.
    pub maximum: Option<f64>,
    /// The only values allowed.
    #[serde(rename = "enum")]
    pub enum_: Option<Vec<Value>>,
}

/// Where a host may take a variable's value from (spec: `Variable.binding`).
/// The specification defines neither kinds nor the filter's grammar.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Binding {
    /// The kind of source.
    pub kind: Option<String>,
    /// The field of the source.
    pub field: Option<String>,
    /// Whether the host fills the value without being asked.
    pub auto_populate: bool,
    /// Which of several sources is meant.
    pub filter: Option<String>,
}

impl Variable {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let variable = Self {
            name: fields.required(decoder, "name", |d, n| d.form(n, &grammar::IDENTIFIER)),
            type_: fields.required(decoder, "type", |d, n| {
                let type_ = VariableType::from(d.str(n)?);
                if let VariableType::Other(name) = &type_ {
                    d.uses(SpecVersion::V1_1);
                    d.report(Code::UnknownKind, format!("variable type `{name}` is not one of the specification's; any value is taken"))
                        .expected("string, number, boolean, object or array")
                        .suggest(name, ["string", "number", "boolean", "object", "array"]);
                }
                Some(type_)
            }),
            required: fields.required(decoder, "required", Decoder::boolean),
            default: fields.optional(decoder, "default", Decoder::value),
            description: fields.optional(decoder, "description", Decoder::string),
            example: fields.optional(decoder, "example", Decoder::value),
            validation: fields.optional(decoder, "validation", Validation::decode),
            binding: fields.optional(decoder, "binding", Binding::decode),
        };
        fields.closed(decoder);
        Some(variable)
    }
}

impl Validation {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let validation = Self {
            pattern: fields.optional(decoder, "pattern", |d, n| d.string(n).map(Pattern::new)),
            min_length: fields.optional(decoder, "min_length", |d, n| d.integer(n, 0)),
            max_length: fields.optional(decoder, "max_length", |d, n| d.integer(n, 1)),
            minimum: fields.optional(decoder, "minimum", Decoder::number),
            maximum: fields.optional(decoder, "maximum", Decoder::number),
            enum_: fields.optional(decoder, "enum", |d, n| d.list(n, Decoder::value)),
        };
        fields.closed(decoder);
        Some(validation)
    }
}

impl Binding {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_1);
        let mut fields = decoder.fields(node)?;
        let binding = Self {
            kind: fields.optional(decoder, "kind", Decoder::string),
            field: fields.optional(decoder, "field", Decoder::string),
            auto_populate: fields.or_default(decoder, "auto_populate", Decoder::boolean),
            filter: fields.optional(decoder, "filter", Decoder::string),
        };
        fields.closed(decoder);
        Some(binding)
    }
}
