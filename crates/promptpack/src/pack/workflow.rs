//! Workflows: the states that a conversation moves through.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::SpecVersion;
use crate::decode::{Decoder, Node};
use crate::finding::Code;

/// The states that a conversation moves through (spec: `WorkflowConfig`, 1.3).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Workflow {
    /// 1 in the schema, 1 or 2 in use; both mean the same.
    pub version: u32,
    /// The state that a conversation starts in.
    pub entry: String,
    /// The states; at least one.
    pub states: IndexMap<String, WorkflowState>,
    /// Limits on the whole workflow (1.4).
    pub budget: Option<WorkflowBudget>,
    /// The other settings of `engine`, an open object.
    pub engine: Map<String, Value>,
}

/// Limits on a whole workflow; what is absent has no limit (spec: `WorkflowBudget`, 1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct WorkflowBudget {
    /// Most state visits.
    pub max_total_visits: Option<u32>,
    /// Most tool calls.
    pub max_tool_calls: Option<u32>,
    /// Longest wall time, in seconds.
    pub max_wall_time_sec: Option<u32>,
}

/// One state (spec: `WorkflowState`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct WorkflowState {
    /// The key of the prompt that speaks in this state.
    pub prompt_task: Option<String>,
    /// What the state is for.
    pub description: Option<String>,
    /// The states that events lead to.
    pub on_event: IndexMap<String, String>,
    /// How the state's context is kept; documented values are `persistent` and `transient`.
    pub persistence: Option<String>,
    /// Who moves the state on.
    pub orchestration: Orchestration,
    /// Which skills are offered: a path, or `none` (1.3.1).
    pub skills: Option<String>,
    /// Whether the workflow ends here (1.4).
    pub terminal: bool,
    /// Most visits of this state (1.4).
    pub max_visits: Option<u32>,
    /// The state to go to instead when the visits are used up (1.4).
    pub on_max_visits: Option<String>,
    /// What the state leaves behind for others (1.4).
    pub artifacts: IndexMap<String, Artifact>,
    /// The composition that runs in this state (1.5).
    pub composition: Option<String>,
    /// Who has the next word (1.7).
    pub control: Control,
    /// Additions from outside the specification (1.8).
    pub extensions: Map<String, Value>,
}

/// Who moves a state on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Orchestration {
    /// The model.
    #[default]
    Internal,
    /// The host.
    External,
    /// Either.
    Hybrid,
    /// A composition runs in place of a prompt (1.5).
    Composition,
}

/// Who has the next word in a state (1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The person.
    #[default]
    User,
    /// The agent takes another round without yielding.
    Agent,
}

/// Something that a state leaves behind (spec: `ArtifactDef`, 1.4).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Artifact {
    /// Its media type (RFC 6838).
    #[serde(rename = "type")]
    pub type_: String,
    /// What it is.
    pub description: Option<String>,
    /// What a second value does to the first.
    pub mode: ArtifactMode,
}

/// What a second value of an artifact does to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactMode {
    /// Takes its place.
    #[default]
    Replace,
    /// Is added to it.
    Append,
}

impl Workflow {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_3);
        let mut fields = decoder.fields(node)?;
        let version = fields.required(decoder, "version", Decoder::count);
        let entry = fields.required(decoder, "entry", Decoder::string);
        let states = fields.required(decoder, "states", |d, n| {
            let states = d.map(n, WorkflowState::decode)?;
            d.at_least(n, 1, "one state");
            Some(states)
        });
        let (budget, engine) = fields.or_default(decoder, "engine", |d, n| {
            let mut fields = d.fields(n)?;
            let budget = fields.optional(d, "budget", WorkflowBudget::decode);
            Some((budget, fields.rest()))
        });
        fields.closed(decoder);
        Some(Self { version, entry, states, budget, engine })
    }
}

impl WorkflowBudget {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_4);
        let mut fields = decoder.fields(node)?;
        let budget = Self {
            max_total_visits: fields.optional(decoder, "max_total_visits", Decoder::count),
            max_tool_calls: fields.optional(decoder, "max_tool_calls", Decoder::count),
            max_wall_time_sec: fields.optional(decoder, "max_wall_time_sec", Decoder::count),
        };
        fields.closed(decoder);
        Some(budget)
    }
}

impl WorkflowState {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let state = Self {
            prompt_task: fields.optional(decoder, "prompt_task", Decoder::string),
            description: fields.optional(decoder, "description", Decoder::string),
            on_event: fields.or_default(decoder, "on_event", |d, n| d.map(n, Decoder::string)),
            persistence: fields.optional(decoder, "persistence", Decoder::string),
            orchestration: fields.or_default(decoder, "orchestration", |d, n| {
                let orchestration = d.choice(
                    n,
                    &[
                        ("internal", Orchestration::Internal),
                        ("external", Orchestration::External),
                        ("hybrid", Orchestration::Hybrid),
                        ("composition", Orchestration::Composition),
                    ],
                )?;
                if orchestration == Orchestration::Composition {
                    d.uses(SpecVersion::V1_5);
                }
                Some(orchestration)
            }),
            skills: fields.optional(decoder, "skills", |d, n| {
                d.uses(SpecVersion::V1_3_1);
                d.string(n)
            }),
            terminal: fields.or_default(decoder, "terminal", |d, n| {
                d.uses(SpecVersion::V1_4);
                d.boolean(n)
            }),
            max_visits: fields.optional(decoder, "max_visits", |d, n| {
                d.uses(SpecVersion::V1_4);
                d.count(n)
            }),
            on_max_visits: fields.optional(decoder, "on_max_visits", |d, n| {
                d.uses(SpecVersion::V1_4);
                d.string(n)
            }),
            artifacts: fields.or_default(decoder, "artifacts", |d, n| {
                d.uses(SpecVersion::V1_4);
                d.map(n, Artifact::decode)
            }),
            composition: fields.optional(decoder, "composition", |d, n| {
                d.uses(SpecVersion::V1_5);
                d.string(n)
            }),
            control: fields.or_default(decoder, "control", |d, n| {
                d.uses(SpecVersion::V1_7);
                d.choice(n, &[("user", Control::User), ("agent", Control::Agent)])
            }),
            extensions: fields.or_default(decoder, "extensions", Decoder::extensions),
        };
        let needed = if state.orchestration == Orchestration::Composition {
            "composition"
        } else {
            "prompt_task"
        };
        if !fields.has(needed) {
            decoder.missing(needed);
        }
        if state.prompt_task.is_some() && state.composition.is_some() {
            decoder
                .report(Code::Contradiction, "a state has both `prompt_task` and `composition`")
                .expected(
                    "`composition` with orchestration `composition`, otherwise `prompt_task`",
                );
        }
        fields.closed(decoder);
        Some(state)
    }
}

impl Artifact {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let artifact = Self {
            type_: fields.required(decoder, "type", Decoder::string),
            description: fields.optional(decoder, "description", Decoder::string),
            mode: fields.or_default(decoder, "mode", |d, n| {
                d.choice(n, &[("replace", ArtifactMode::Replace), ("append", ArtifactMode::Append)])
            }),
        };
        fields.closed(decoder);
        Some(artifact)
    }
}
