//! What a door asks of the engine.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    identity::SessionId,
    message::Message,
    owner::Owner,
    ports::model::{OutputFormat, Parameters, ToolChoice, ToolSpec},
};

/// One turn, as a door asks for it.
#[derive(Clone, Debug)]
pub struct TurnRequest {
    /// Who asks.
    pub owner: Arc<Owner>,
    /// The agent: `pack/prompt`, `pack` alone, or empty for the only or first one.
    pub agent: String,
    /// Whether and where the conversation is kept.
    pub session: SessionChoice,
    /// What is said, the newest last. With a session these are the new messages alone; without
    /// one they are the whole conversation. Never templates.
    pub messages: Vec<Message>,
    /// Values for the prompt's variables.
    pub variables: Map<String, Value>,
    /// Tools that the caller runs, beside the agent's own.
    pub client_tools: Vec<ToolSpec>,
    /// How the caller gets to run them.
    pub client_tool_mode: ClientToolMode,
    /// Overrides the pack's tool choice, but never its `none`.
    pub tool_choice: Option<ToolChoice>,
    /// Overrides the pack's parameters, field by field.
    pub parameters: Parameters,
    /// The shape of the answer.
    pub output: OutputFormat,
    /// Whether the caller wants the answer piece by piece.
    pub stream: bool,
    /// The caller's metadata: kept with a session that this turn makes, and read by the mock.
    pub metadata: BTreeMap<String, String>,
    /// Whether the caller learns the run's name before the turn ends. Such a run is recorded
    /// when it begins, so that it can be found as interrupted if the process dies.
    pub announced: bool,
}

impl TurnRequest {
    /// A turn with these messages and nothing else asked for.
    pub fn new(owner: Arc<Owner>, agent: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            owner,
            agent: agent.into(),
            session: SessionChoice::None,
            messages,
            variables: Map::new(),
            client_tools: Vec::new(),
            client_tool_mode: ClientToolMode::Return,
            tool_choice: None,
            parameters: Parameters::default(),
            output: OutputFormat::default(),
            stream: true,
            metadata: BTreeMap::new(),
            announced: false,
        }
    }
}

/// Whether and where a conversation is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionChoice {
    /// Not kept. The run's use is recorded, its content is not.
    None,
    /// In a new session with a name made here.
    New,
    /// In this session, which is made if there is none.
    Open(SessionId),
    /// In this session, which must exist.
    Existing(SessionId),
}

/// How a caller gets to run its own tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientToolMode {
    /// The turn ends with [`crate::event::StopReason::ToolCalls`] and the caller comes back
    /// with the results in a new turn, as in OpenAI's chat completions.
    Return,
    /// The turn waits, and the caller hands the results in with [`crate::run::Run::submit`].
    Wait,
}
