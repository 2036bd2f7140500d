//! `/v1/agents`: what there is to talk to, and what it takes.

use std::sync::Arc;

use axum::{Json, extract::State};
use bartizan_engine::{agent::Agent, engine::Engine};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    errors::{ApiError, ErrorBody},
    http::{Doors, extract::Path},
};

/// Every agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgentList {
    /// In the order of packs and prompts.
    data: Vec<AgentObject>,
}

/// An agent, and what it takes.
#[derive(Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct AgentObject {
    /// `pack/prompt`: what runs and sessions call `agent`, and OpenAI's clients `model`.
    #[schema(example = "support/triage")]
    id: String,
    /// The prompt's name.
    name: String,
    /// What it does.
    description: Option<String>,
    /// The pack.
    pack: PackObject,
    /// Whether it is what the pack's name alone means.
    entry: bool,
    /// Values that the prompt takes.
    variables: Vec<VariableObject>,
    /// Tools that the agent may use.
    tools: Vec<ToolObject>,
    /// Tools that the prompt names and that nothing runs: never offered to the model.
    unbound_tools: Vec<String>,
    /// The media that messages may carry, in the pack's words; null where the pack says nothing.
    #[schema(value_type = Option<Value>)]
    media: Option<Value>,
    /// Who answers.
    model: ModelObject,
}

/// A pack.
#[derive(Serialize, ToSchema)]
struct PackObject {
    /// Its id.
    id: String,
    /// Its version.
    version: String,
    /// SHA-256 of its bytes, in hexadecimal.
    digest: String,
}

/// A value that a prompt takes.
#[derive(Serialize, ToSchema)]
struct VariableObject {
    /// Its name.
    name: String,
    /// `string`, `number`, `boolean`, `object` or `array`.
    #[serde(rename = "type")]
    #[schema(example = "string")]
    kind: String,
    /// Whether it must be given.
    required: bool,
    /// Its value when it is not.
    default: Option<Value>,
    /// What it is for.
    description: Option<String>,
    /// A value that would do.
    example: Option<Value>,
}

/// A tool that an agent may use.
#[derive(Serialize, ToSchema)]
struct ToolObject {
    /// Its name.
    name: String,
    /// What it does.
    description: String,
    /// JSON Schema of its arguments.
    #[schema(value_type = Value)]
    parameters: Value,
    /// `server`, or `client` for a tool that the caller runs.
    #[schema(example = "server")]
    execution: &'static str,
}

/// Who answers.
#[derive(Serialize, ToSchema)]
struct ModelObject {
    /// For example `openai` or `mock`.
    provider: String,
    /// The model's name at that provider.
    model: String,
    /// Whether it is the mock, which answers without a model.
    mock: bool,
}

impl AgentObject {
    fn new(engine: &Engine, agent: &Agent) -> Self {
        let info = engine.model_info();
        let tools = agent.offered.iter().map(|spec| ToolObject {
            name: spec.name.clone(),
            description: spec.description.clone(),
            parameters: spec.parameters.clone(),
            execution: if agent.client_tools.contains_key(&spec.name) {
                "client"
            } else {
                "server"
            },
        });
        let variables = agent.prompt.variables.iter().map(|variable| VariableObject {
            name: variable.name.clone(),
            kind: variable.type_.as_str().to_owned(),
            required: variable.required,
            default: variable.default.clone(),
            description: variable.description.clone(),
            example: variable.example.clone(),
        });
        let media = agent.prompt.media.as_ref();
        Self {
            id: agent.name.to_string(),
            name: agent.prompt.name.clone(),
            description: agent.prompt.description.clone(),
            pack: PackObject {
                id: agent.pack.id.clone(),
                version: agent.pack_version.clone(),
                digest: agent.pack_digest.clone(),
            },
            entry: engine.catalogue().entries().any(|(_, entry)| *entry == *agent.name),
            variables: variables.collect(),
            tools: tools.collect(),
            unbound_tools: agent.unbound_tools.clone(),
            media: media.and_then(|media| serde_json::to_value(media).ok()),
            model: ModelObject { provider: info.provider, model: info.model, mock: info.mock },
        }
    }
}

/// The error of a name that names no agent, in this door's words.
pub(crate) fn unknown(error: bartizan_engine::failure::Failure) -> ApiError {
    ApiError::from(error.param("agent"))
}

/// Every agent
#[utoipa::path(
    get, path = "/v1/agents", tag = "Agents", operation_id = "list_agents",
    responses(
        (status = 200, body = AgentList, description = "Every agent"),
    ),
)]
pub(crate) async fn list(State(doors): State<Arc<Doors>>) -> Json<AgentList> {
    let engine = &doors.engine;
    let agents = engine.catalogue().agents();
    Json(AgentList { data: agents.map(|agent| AgentObject::new(engine, agent)).collect() })
}

/// One agent, by its pack's name or its own (with the slash written as %2F)
#[utoipa::path(
    get, path = "/v1/agents/{agent}", tag = "Agents", operation_id = "get_agent",
    params(("agent" = String, Path, description = "`pack`, or `pack%2Fprompt`")),
    responses(
        (status = 200, body = AgentObject, description = "The agent"),
        (status = 400, body = ErrorBody, description = "The name is not UTF-8"),
        (status = 404, body = ErrorBody, description = "No such agent"),
    ),
)]
pub(crate) async fn get(
    State(doors): State<Arc<Doors>>,
    Path(agent): Path<String>,
) -> Result<Json<AgentObject>, ApiError> {
    let agent = doors.engine.catalogue().find(&agent).map_err(unknown)?;
    Ok(Json(AgentObject::new(&doors.engine, &agent)))
}

/// One agent, by its pack and prompt
#[utoipa::path(
    get, path = "/v1/agents/{pack}/{prompt}", tag = "Agents", operation_id = "get_agent_of_prompt",
    params(("pack" = String, Path), ("prompt" = String, Path)),
    responses(
        (status = 200, body = AgentObject, description = "The agent"),
        (status = 400, body = ErrorBody, description = "The name is not UTF-8"),
        (status = 404, body = ErrorBody, description = "No such agent"),
    ),
)]
pub(crate) async fn get_prompt(
    State(doors): State<Arc<Doors>>,
    Path((pack, prompt)): Path<(String, String)>,
) -> Result<Json<AgentObject>, ApiError> {
    let agent = doors.engine.catalogue().find(&format!("{pack}/{prompt}")).map_err(unknown)?;
    Ok(Json(AgentObject::new(&doors.engine, &agent)))
}
