//! Agents: prompts of packs, made ready to serve.

use std::{fmt, sync::Arc};

use indexmap::{IndexMap, IndexSet};
use promptpack::{CompiledPrompt, Pack};
use serde_json::{Map, Value, json};

use crate::{
    failure::{Failure, FailureCode},
    ports::{
        model::{Parameters, ToolSpec},
        tool::Tool,
    },
};

/// The tools that run somewhere, by name: what a pack's tools are bound to.
#[derive(Clone, Default)]
pub struct Toolbox {
    /// Tools that run here.
    pub server: IndexMap<String, Arc<dyn Tool>>,
    /// Tools that the caller runs.
    pub client: IndexMap<String, ClientTool>,
    /// Whether tools that a pack does not speak of at all are offered to every prompt of it that
    /// does not block them, as the Omnia contract has it. Otherwise they are offered to none.
    pub offer_unlisted: bool,
}

/// A tool that the caller runs, as the operator describes it.
#[derive(Clone, Debug)]
pub struct ClientTool {
    /// The tool as the model sees it.
    pub spec: ToolSpec,
    /// What the caller's user should be asked before it runs.
    pub consent: Consent,
}

impl From<ToolSpec> for ClientTool {
    /// A tool that needs no asking.
    fn from(spec: ToolSpec) -> Self {
        Self { spec, consent: Consent::default() }
    }
}

/// What a user should be asked before a tool runs on their side. Asking is the caller's affair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// The question; none where the operator has set none.
    pub message: Option<String>,
    /// What the tool touches, for example `location`.
    pub categories: Vec<String>,
}

/// A pack, read and checked.
#[derive(Clone)]
pub struct LoadedPack {
    /// The pack.
    pub pack: Arc<Pack>,
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
}

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
    /// Every tool that the model is offered.
    pub offered: Arc<[ToolSpec]>,
    /// Of these, the tools that run here.
    pub server_tools: IndexMap<String, BoundTool>,
    /// Of these, the tools that the caller runs.
    pub client_tools: IndexMap<String, CallersTool>,
    /// Tools that the prompt names and that nothing runs: never offered to the model.
    pub unbound_tools: Vec<String>,
    /// Tools whose parameters are no JSON Schema, each with what is wrong: never offered either,
    /// because their arguments cannot be checked.
    pub unusable_tools: Vec<(String, String)>,
}

/// A tool that runs here.
pub struct BoundTool {
    /// The tool as the model sees it.
    pub checked: CheckedSpec,
    /// The tool.
    pub tool: Arc<dyn Tool>,
}

/// A tool that the caller runs.
pub struct CallersTool {
    /// The tool as the model sees it.
    pub checked: CheckedSpec,
    /// What the caller's user should be asked before it runs.
    pub consent: Consent,
}

/// A tool's description with the schema of its arguments compiled.
pub struct CheckedSpec {
    /// The description.
    pub spec: ToolSpec,
    validator: jsonschema::Validator,
}

/// Why a pack cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Two packs of one name.
    #[error("two packs have the id '{0}'; give one of them another")]
    DuplicatePack(String),
    /// A prompt that cannot be made ready.
    #[error("the prompt '{pack}/{prompt}' cannot be served: {reason}")]
    Prompt {
        /// The pack's id.
        pack: String,
        /// The prompt's key.
        prompt: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry that is not there.
    #[error("the pack '{pack}' has no prompt '{prompt}'; it has: {known}")]
    NoEntry {
        /// The pack's id.
        pack: String,
        /// The prompt asked for.
        prompt: String,
        /// The prompts there are.
        known: String,
    },
}

/// Every agent that this process serves.
#[derive(Default)]
pub struct Catalogue {
    agents: IndexMap<String, Arc<Agent>>,
    /// The agent meant by a pack's name alone.
    entries: IndexMap<String, String>,
}

impl Catalogue {
    /// Adds every prompt of a pack, compiled for `model`.
    ///
    /// `entry` is the prompt meant by the pack's name alone. Without it that is the entry of the
    /// pack's workflow or agents, a prompt named `default`, or the first.
    ///
    /// # Errors
    /// [`AgentError`]; nothing is added then.
    pub fn add(
        &mut self,
        loaded: &LoadedPack,
        entry: Option<&str>,
        model: &str,
        toolbox: &Toolbox,
    ) -> Result<(), AgentError> {
        let pack = &loaded.pack;
        if self.entries.contains_key(&pack.id) {
            return Err(AgentError::DuplicatePack(pack.id.clone()));
        }
        let entry = entry_of(pack, entry)?;
        let agents = pack
            .prompts
            .keys()
            .map(|key| Agent::new(loaded, key, model, toolbox))
            .collect::<Result<Vec<_>, _>>()?;
        self.agents
            .extend(agents.into_iter().map(|agent| (agent.name.to_string(), Arc::new(agent))));
        self.entries.insert(pack.id.clone(), format!("{}/{entry}", pack.id));
        Ok(())
    }

    /// All agents, in the order of packs and prompts.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values()
    }

    /// The packs' names, each with the agent that it means.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(pack, agent)| (pack.as_str(), agent.as_str()))
    }

    /// The agent of that name: `pack/prompt`, a pack's name alone, a prompt's name where only
    /// one pack has it, or empty for the entry of the first pack.
    ///
    /// # Errors
    /// [`FailureCode::UnknownAgent`], naming those there are.
    pub fn find(&self, name: &str) -> Result<Arc<Agent>, Failure> {
        let entry =
            if name.is_empty() { self.entries.values().next() } else { self.entries.get(name) };
        let full = entry.map_or(name, String::as_str);
        if let Some(agent) = self.agents.get(full) {
            return Ok(Arc::clone(agent));
        }
        let mut same_key = self.agents.values().filter(|agent| agent.prompt_key == name);
        if let (Some(agent), None) = (same_key.next(), same_key.next()) {
            return Ok(Arc::clone(agent));
        }
        Err(self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Failure {
        const MOST_NAMED: usize = 20;
        let mut known: Vec<&str> = self.agents.keys().map(String::as_str).collect();
        let more = known.len().saturating_sub(MOST_NAMED);
        known.truncate(MOST_NAMED);
        let mut message = format!("there is no agent '{name}'; there are: {}", known.join(", "));
        if more > 0 {
            message.push_str(&format!(" and {more} more"));
        }
        Failure::new(FailureCode::UnknownAgent, message).param("model")
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Agent").field(&self.name).finish()
    }
}

impl Agent {
    fn new(
        loaded: &LoadedPack,
        key: &str,
        model: &str,
        toolbox: &Toolbox,
    ) -> Result<Self, AgentError> {
        let pack = &loaded.pack;
        let prompt = pack.compile(key, Some(model)).map_err(|error| AgentError::Prompt {
            pack: pack.id.clone(),
            prompt: key.to_owned(),
            reason: error.to_string(),
        })?;
        let parameters = Parameters {
            temperature: prompt.parameters.temperature,
            max_tokens: prompt.parameters.max_tokens,
            top_p: prompt.parameters.top_p,
            top_k: prompt.parameters.top_k,
            frequency_penalty: prompt.parameters.frequency_penalty,
            presence_penalty: prompt.parameters.presence_penalty,
            ..Parameters::default()
        };
        let mut agent = Self {
            name: format!("{}/{key}", pack.id).into(),
            pack_version: pack.version.clone(),
            pack_digest: loaded.digest.clone(),
            pack: Arc::clone(pack),
            prompt_key: key.to_owned(),
            prompt,
            parameters,
            offered: Arc::from([]),
            server_tools: IndexMap::new(),
            client_tools: IndexMap::new(),
            unbound_tools: Vec::new(),
            unusable_tools: Vec::new(),
        };
        agent.bind(toolbox);
        Ok(agent)
    }

    /// Binds the prompt's tools to what runs them.
    ///
    /// The tools are those that the prompt lists and the pack does not block. Where the operator
    /// says so, also those of the toolbox that the pack does not speak of at all.
    fn bind(&mut self, toolbox: &Toolbox) {
        let listed: IndexMap<String, promptpack::Tool> =
            self.prompt.tools.iter().map(|tool| (tool.name.clone(), tool.clone())).collect();
        let spoken_of = |name: &String| {
            self.pack.tools.contains_key(name)
                || self.pack.tools.values().any(|tool| tool.name == *name)
        };
        let mut names: IndexSet<String> = listed.keys().cloned().collect();
        let bound = toolbox.server.keys().chain(toolbox.client.keys());
        if toolbox.offer_unlisted {
            names.extend(bound.filter(|name| !spoken_of(name) && !self.is_blocked(name)).cloned());
        }
        for name in &names {
            let defined = listed.get(name);
            let server = toolbox.server.get(name);
            let client = toolbox.client.get(name);
            let spec = match (server, client) {
                (Some(tool), _) => tool.spec(),
                (None, Some(tool)) => &tool.spec,
                (None, None) => {
                    self.unbound_tools.push(name.clone());
                    continue;
                }
            };
            match (CheckedSpec::new(described(name, defined, spec)), server, client) {
                (Err(reason), ..) => self.unusable_tools.push((name.clone(), reason)),
                (Ok(checked), Some(tool), _) => {
                    let bound = BoundTool { checked, tool: Arc::clone(tool) };
                    self.server_tools.insert(name.clone(), bound);
                }
                (Ok(checked), None, tool) => {
                    let consent = tool.map(|tool| tool.consent.clone()).unwrap_or_default();
                    self.client_tools.insert(name.clone(), CallersTool { checked, consent });
                }
            }
        }
        self.unbound_tools.extend(self.prompt.missing_tools.iter().cloned());
        self.offered = names
            .iter()
            .filter_map(|name| self.checked(name))
            .map(|tool| tool.spec.clone())
            .collect();
    }

    /// Whether the pack's policy blocks the tool.
    pub fn is_blocked(&self, tool: &str) -> bool {
        self.prompt.tool_policy.blocklist.iter().any(|blocked| blocked == tool)
    }

    /// The description of one of the agent's own tools.
    pub fn checked(&self, tool: &str) -> Option<&CheckedSpec> {
        self.server_tools
            .get(tool)
            .map(|bound| &bound.checked)
            .or_else(|| self.client_tools.get(tool).map(|bound| &bound.checked))
    }

    /// The system prompt with these values.
    ///
    /// # Errors
    /// [`FailureCode::InvalidVariable`], naming every variable at fault.
    pub fn render(&self, values: &Map<String, Value>) -> Result<Arc<str>, Failure> {
        self.prompt.render(values).map(Arc::from).map_err(|error| {
            Failure::new(FailureCode::InvalidVariable, error.to_string()).param("variables")
        })
    }
}

impl CheckedSpec {
    /// # Errors
    /// What is wrong with the schema.
    fn new(spec: ToolSpec) -> Result<Self, String> {
        let validator =
            jsonschema::validator_for(&spec.parameters).map_err(|error| error.to_string())?;
        Ok(Self { spec, validator })
    }

    /// Checks arguments against the schema.
    ///
    /// # Errors
    /// What is wrong with them, in words for the model.
    pub fn check(&self, arguments: &Value) -> Result<(), String> {
        const MOST_FAULTS: usize = 5;
        if !arguments.is_object() {
            return Err("the arguments are not a JSON object".into());
        }
        if self.validator.is_valid(arguments) {
            return Ok(());
        }
        let faults: Vec<String> = self
            .validator
            .iter_errors(arguments)
            .take(MOST_FAULTS)
            .map(|fault| match fault.instance_path().as_str() {
                "" => fault.to_string(),
                path => format!("{path}: {fault}"),
            })
            .collect();
        Err(format!("the arguments do not fit the tool's schema: {}", faults.join("; ")))
    }
}

/// The pack's description of a tool, with what the pack leaves out taken from its binding.
fn described(name: &str, defined: Option<&promptpack::Tool>, bound: &ToolSpec) -> ToolSpec {
    let parameters = defined.and_then(|tool| tool.parameters.clone());
    ToolSpec {
        name: name.to_owned(),
        description: defined
            .map_or_else(|| bound.description.clone(), |tool| tool.description.clone()),
        parameters: parameters.unwrap_or_else(|| match &bound.parameters {
            Value::Object(schema) if !schema.is_empty() => bound.parameters.clone(),
            _ => json!({ "type": "object", "properties": {} }),
        }),
    }
}

/// The prompt meant by a pack's name alone.
fn entry_of<'a>(pack: &'a Pack, asked: Option<&'a str>) -> Result<&'a str, AgentError> {
    if let Some(asked) = asked {
        return known(pack, asked).ok_or_else(|| {
            let known: Vec<&str> = pack.prompts.keys().map(String::as_str).collect();
            AgentError::NoEntry {
                pack: pack.id.clone(),
                prompt: asked.to_owned(),
                known: known.join(", "),
            }
        });
    }
    Ok(entry(pack).unwrap_or_default())
}

/// The prompt meant by a pack's name alone, as the pack has it: the entry of its workflow or
/// agents, a prompt named `default`, or the first. None where the pack has no prompt.
pub fn entry(pack: &Pack) -> Option<&str> {
    declared_entry(pack)
        .or_else(|| known(pack, "default"))
        .or_else(|| pack.prompts.keys().next().map(String::as_str))
}

/// The prompt that the pack's workflow or agents begin with; none where the pack says nothing or
/// names a prompt that it lacks.
pub fn declared_entry(pack: &Pack) -> Option<&str> {
    let workflow = pack.workflow.as_ref().and_then(|workflow| {
        let state = workflow.states.get(&workflow.entry)?;
        state.prompt_task.as_deref()
    });
    workflow
        .or_else(|| pack.agents.as_ref().map(|agents| agents.entry.as_str()))
        .and_then(|key| known(pack, key))
}

fn known<'a>(pack: &'a Pack, key: &str) -> Option<&'a str> {
    pack.prompts.get_key_value(key).map(|(key, _)| key.as_str())
}
