//! Requirements: the model providers that a pack needs.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::decode::{Decoder, Node};
use crate::{SpecVersion, grammar};

/// What the pack needs from its surroundings (spec: `requires`, 1.5.1).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Requires {
    /// The model providers, by key; `default` is the primary language model.
    pub providers: Vec<ProviderRequirement>,
}

/// A model provider that the pack needs (spec: `ProviderRequirement`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ProviderRequirement {
    /// The key that prompts and steps refer to.
    pub key: String,
    /// What it is for; `llm` in the short form.
    pub role: String,
    /// Whether the pack cannot do without it.
    pub required: bool,
    /// What it is for, in words.
    pub description: Option<String>,
    /// What it must be able to do.
    pub capabilities: Option<ProviderCapabilities>,
}

/// What a provider must be able to do (spec: `ProviderCapabilities`, an open object).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ProviderCapabilities {
    /// Media that it must take.
    pub modalities: Vec<String>,
    /// Smallest context window, in tokens.
    pub min_context_tokens: Option<u32>,
    /// Whether it must call tools.
    pub tool_use: Option<bool>,
    /// Whether it must keep to a JSON schema.
    pub structured_output: Option<bool>,
    /// Length of its embedding vectors.
    pub embedding_dimensions: Option<u32>,
    /// Everything else.
    pub other: Map<String, Value>,
}

impl Requires {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_5_1);
        let mut fields = decoder.fields(node)?;
        let requires = Self {
            providers: fields
                .or_default(decoder, "providers", |d, n| d.list(n, ProviderRequirement::decode)),
        };
        fields.closed(decoder);
        Some(requires)
    }
}

impl ProviderRequirement {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        if let Node::String(key) = node {
            return Some(Self {
                key: key.to_string(),
                role: "llm".to_owned(),
                required: true,
                ..Self::default()
            });
        }
        let mut fields =
            decoder.fields_or(node, "a provider key, or an object with `key` and `role`")?;
        let requirement = Self {
            key: fields.required(decoder, "key", |d, n| d.form(n, &grammar::PROVIDER_KEY)),
            role: fields.required(decoder, "role", Decoder::string),
            required: fields.optional(decoder, "required", Decoder::boolean).unwrap_or(true),
            description: fields.optional(decoder, "description", Decoder::string),
            capabilities: fields.optional(decoder, "capabilities", ProviderCapabilities::decode),
        };
        fields.closed(decoder);
        Some(requirement)
    }
}

impl ProviderCapabilities {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        Some(Self {
            modalities: fields.or_default(decoder, "modalities", |d, n| {
                d.list(n, |d, n| d.form(n, &grammar::MEDIA_TYPE))
            }),
            min_context_tokens: fields.optional(decoder, "min_context_tokens", Decoder::count),
            tool_use: fields.optional(decoder, "tool_use", Decoder::boolean),
            structured_output: fields.optional(decoder, "structured_output", Decoder::boolean),
            embedding_dimensions: fields.optional(decoder, "embedding_dimensions", Decoder::count),
            other: fields.rest(),
        })
    }
}
