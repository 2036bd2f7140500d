//! Agents: the prompts that answer to other agents.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Governance;
use crate::SpecVersion;
use crate::decode::{Decoder, Node};

/// The prompts that act as agents (spec: `AgentsConfig`, 1.3).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Agents {
    /// The prompt key of the agent that takes requests from outside.
    pub entry: String,
    /// The agents, by prompt key; at least one.
    pub members: IndexMap<String, Agent>,
}

/// One agent (spec: `AgentDef`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Agent {
    /// What the agent does, in place of the prompt's description.
    pub description: Option<String>,
    /// Words to find the agent by.
    pub tags: Vec<String>,
    /// Media types that it takes; `text/plain` unless set.
    pub input_modes: Vec<String>,
    /// Media types that it answers with; `text/plain` unless set.
    pub output_modes: Vec<String>,
    /// The workflow state that the agent starts in (1.4.1).
    pub state: Option<String>,
    /// Rules that replace the pack's, field by field (1.6).
    pub governance: Option<Governance>,
    /// Additions from outside the specification (1.8).
    pub extensions: Map<String, Value>,
}

impl Agents {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_3);
        let mut fields = decoder.fields(node)?;
        let agents = Self {
            entry: fields.required(decoder, "entry", Decoder::string),
            members: fields.required(decoder, "members", |d, n| {
                let members = d.map(n, Agent::decode)?;
                d.at_least(n, 1, "one member");
                Some(members)
            }),
        };
        fields.closed(decoder);
        Some(agents)
    }
}

impl Agent {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let text = || vec!["text/plain".to_owned()];
        let mut fields = decoder.fields(node)?;
        let agent = Self {
            description: fields.optional(decoder, "description", Decoder::string),
            tags: fields.or_default(decoder, "tags", Decoder::strings),
            input_modes: fields
                .optional(decoder, "input_modes", Decoder::strings)
                .unwrap_or_else(text),
            output_modes: fields
                .optional(decoder, "output_modes", Decoder::strings)
                .unwrap_or_else(text),
            state: fields.optional(decoder, "state", |d, n| {
                d.uses(SpecVersion::V1_4_1);
                d.string(n)
            }),
            governance: fields.optional(decoder, "governance", Governance::decode),
            extensions: fields.or_default(decoder, "extensions", Decoder::extensions),
        };
        fields.closed(decoder);
        Some(agent)
    }
}
