//! Agents: prompts of packs, made ready to serve.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexMap;
use promptpack::{CompiledPrompt, Pack};
use serde_json::Value;

use crate::{
    failure::{Failure, FailureCode},
    ports::{
        model::{Parameters, ToolSpec},
        tool::Tool,
    },
};

/// One prompt of one pack, made ready to serve.
pub struct Agent {
    /// `pack/prompt`.
    pub name: Arc<str>,
    /// The pack's version.
    pub pack_version: String,
    /// SHA-256 of the pack's bytes, in hexadecimal.
    pub pack_digest: String,
    /// The pack.
    pub pack: Arc<Pack>,
    /// The prompt's key in the pack.
    pub prompt_key: String,
    /// The prompt with its model override, fragments and tool policy applied.
    pub prompt: CompiledPrompt,
    /// The pack's parameters for this prompt and model.
    pub parameters: Parameters,
    /// The prompt's tools that are bound to something that runs here.
    pub server_tools: IndexMap<String, BoundTool>,
    /// The prompt's tools that the caller runs.
    pub client_tools: IndexMap<String, CheckedSpec>,
    /// Tools that the prompt names and that nothing runs: never offered to the model.
    pub unbound_tools: Vec<String>,
}

/// A tool that runs here, with its arguments' schema compiled.
pub struct BoundTool {
    /// The tool as the model sees it.
    pub checked: CheckedSpec,
    /// The tool.
    pub tool: Arc<dyn Tool>,
}

/// A tool's description with the schema of its arguments compiled.
pub struct CheckedSpec {
    /// The description.
    pub spec: ToolSpec,
    validator: jsonschema::Validator,
}

/// Every agent that this process serves.
#[derive(Default)]
pub struct Catalogue {
    agents: IndexMap<String, Arc<Agent>>,
    /// The agent meant by a pack's name alone.
    entries: HashMap<String, String>,
}
