//! Tools: what a prompt may call, and how often.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::decode::{Decoder, Node};
use crate::{SpecVersion, grammar};

/// A tool that prompts may offer to the model (spec: `Tool`).
///
/// The format has no field for how a tool runs: that is the runtime's
/// configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Tool {
    /// The name that the model calls.
    pub name: String,
    /// What the tool does, for the model.
    pub description: String,
    /// A JSON Schema of `type: object` for the arguments, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// What the tool does to the world (1.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_scope: Option<ActionScope>,
    /// Additions from outside the specification (1.6).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
}

/// What a tool does to the world (spec: `ActionScope`, RFC 0013).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ActionScope {
    /// Whether the tool reads, writes or reaches outside.
    pub effect: Option<Effect>,
    /// Whether its effect can be undone.
    pub reversibility: Option<Reversibility>,
    /// The classes of data it touches.
    pub data_classes: Vec<String>,
    /// Additions from outside the specification.
    pub extensions: Map<String, Value>,
}

/// What a tool touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Only reads.
    Read,
    /// Changes something inside.
    Write,
    /// Reaches outside the system.
    External,
}

/// Whether a tool's effect can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversibility {
    /// It can be undone.
    Reversible,
    /// It can be made good.
    Compensable,
    /// It is final.
    Irreversible,
}

/// How a prompt may use its tools (spec: `ToolPolicy`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolPolicy {
    /// Whether the model may, must or must not call tools.
    pub tool_choice: ToolChoice,
    /// Most model–tool–model cycles in a turn; at least 1.
    pub max_rounds: u32,
    /// Most tool calls in a turn; at least 1.
    pub max_tool_calls_per_turn: u32,
    /// Tools never to be offered or run; wins over the prompt's list.
    pub blocklist: Vec<String>,
}

impl Default for ToolPolicy {
    /// The specification's defaults: `auto`, 5 rounds, 10 calls, nothing blocked.
    fn default() -> Self {
        Self {
            tool_choice: ToolChoice::Auto,
            max_rounds: 5,
            max_tool_calls_per_turn: 10,
            blocklist: Vec::new(),
        }
    }
}

/// Whether the model may, must or must not call tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// The model must call at least one tool.
    Required,
    /// The model must not call tools.
    None,
}

impl Tool {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let tool = Self {
            name: fields.required(decoder, "name", |d, n| d.form(n, &grammar::IDENTIFIER)),
            description: fields.required(decoder, "description", Decoder::nonempty),
            parameters: fields.optional(decoder, "parameters", parameters_schema),
            action_scope: fields.optional(decoder, "action_scope", ActionScope::decode),
            extensions: fields.or_default(decoder, "extensions", |d, n| {
                d.uses(SpecVersion::V1_6);
                d.open_object(n)
            }),
        };
        fields.closed(decoder);
        Some(tool)
    }
}

/// The specification asks for `type: object` and `properties`; every further
/// keyword of JSON Schema passes through untouched.
fn parameters_schema<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Value> {
    let mut fields = decoder.fields(node)?;
    fields.required(decoder, "type", |d, n| d.choice(n, &[("object", ())]));
    fields.required(decoder, "properties", |d, n| d.each(n, |d, n| d.fields(n).map(drop)));
    fields.optional(decoder, "required", Decoder::strings);
    Some(node.to_value())
}

impl ActionScope {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_6);
        let mut fields = decoder.fields(node)?;
        let scope = Self {
            effect: fields.optional(decoder, "effect", |d, n| {
                d.choice(
                    n,
                    &[
                        ("read", Effect::Read),
                        ("write", Effect::Write),
                        ("external", Effect::External),
                    ],
                )
            }),
            reversibility: fields.optional(decoder, "reversibility", |d, n| {
                d.choice(
                    n,
                    &[
                        ("reversible", Reversibility::Reversible),
                        ("compensable", Reversibility::Compensable),
                        ("irreversible", Reversibility::Irreversible),
                    ],
                )
            }),
            data_classes: fields.or_default(decoder, "data_classes", Decoder::strings),
            extensions: fields.or_default(decoder, "extensions", Decoder::open_object),
        };
        fields.closed(decoder);
        Some(scope)
    }
}

impl ToolPolicy {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let usual = Self::default();
        let policy = Self {
            tool_choice: fields.or_default(decoder, "tool_choice", |d, n| {
                d.choice(
                    n,
                    &[
                        ("auto", ToolChoice::Auto),
                        ("required", ToolChoice::Required),
                        ("none", ToolChoice::None),
                    ],
                )
            }),
            max_rounds: fields
                .optional(decoder, "max_rounds", Decoder::count)
                .unwrap_or(usual.max_rounds),
            max_tool_calls_per_turn: fields
                .optional(decoder, "max_tool_calls_per_turn", Decoder::count)
                .unwrap_or(usual.max_tool_calls_per_turn),
            blocklist: fields.or_default(decoder, "blocklist", Decoder::strings),
        };
        fields.closed(decoder);
        Some(policy)
    }
}
