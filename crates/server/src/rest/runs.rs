//! `/v1/runs`: turns, started, waited for, cancelled, helped along.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bartizan_engine::{
    engine::Engine,
    failure::{Failure, FailureCode},
    identity::RunId,
    message::ToolResult,
    owner::Owner,
    ports::{
        model::{Parameters, ToolSpec},
        store::{RunRecord, RunStatus},
    },
    request::{ClientToolMode, SessionChoice, TurnRequest},
    run::Run,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    agents, events, input, run_id, session_id,
    shapes::{Part, UsageObject, stop_reason},
};
use crate::{
    errors::{ApiError, ErrorBody},
    http::{
        Doors,
        extract::{JsonBody, Path},
        limits::{HttpLimits, check_metadata, is_tool_name},
        outcome::{CancelOnDrop, Outcome},
        record_headers, run_headers,
    },
    identity::Caller,
};

/// How long a cancelled run gets to end before it is told of as it stands.
const CANCEL_WAITS: Duration = Duration::from_secs(5);

/// A run to be started.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRun {
    /// The agent: `pack/prompt`, or `pack` alone. The session's, or else the first pack's entry,
    /// where it is left out.
    #[serde(default)]
    #[schema(example = "support/triage")]
    agent: String,
    /// The session to go on with, which must exist. A new one where it is left out.
    session_id: Option<String>,
    /// What is said to the agent.
    #[schema(value_type = input::InputSchema)]
    input: Value,
    /// Values for the variables of the agent's prompt.
    #[serde(default)]
    variables: Map<String, Value>,
    /// Tools that the caller runs.
    #[serde(default)]
    tools: Vec<ClientTool>,
    /// The caller's own words, kept with a session that this run makes.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Answer with the run's events, as `/v1/runs/{run_id}/events` would.
    #[serde(default)]
    stream: bool,
    /// Answer when the run has ended. A run that asks for the caller's tools ends there, with
    /// `stop_reason` `tool_calls`.
    #[serde(default)]
    wait: bool,
    /// False keeps nothing of the conversation: no session, no events. Needs `stream` or `wait`,
    /// and the run is cancelled when its caller goes away.
    #[serde(default = "yes")]
    keep: bool,
}

/// A tool that the caller runs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientTool {
    /// Its name: 1 to 64 letters, digits, `_` and `-`.
    name: String,
    /// What it does, for the model.
    #[serde(default)]
    description: String,
    /// JSON Schema of its arguments.
    #[schema(value_type = Option<Value>)]
    parameters: Option<Map<String, Value>>,
}

/// What the caller's tools answered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolResults {
    /// One for each call answered.
    results: Vec<ClientToolResult>,
}

/// What a tool of the caller's answered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientToolResult {
    /// The call, as the event `tool_call` named it.
    call_id: String,
    /// The answer: any JSON value.
    content: Value,
    /// Whether the tool failed, or the caller declined to run it.
    #[serde(default)]
    is_error: bool,
}

/// A turn.
#[derive(Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunObject {
    /// Its name: a UUID that sorts by time.
    #[schema(value_type = String)]
    id: RunId,
    /// The agent, as `pack/prompt`.
    agent: String,
    /// The session it belongs to; null where nothing is kept.
    session_id: Option<String>,
    /// `running`, `completed`, `failed`, `cancelled` or `interrupted`.
    #[schema(value_type = String, example = "completed")]
    status: RunStatus,
    /// Why it ended well: `end_turn`, `max_tokens`, `stop_sequence`, `tool_calls`, `tool_limit`,
    /// `content_filter`, or the provider's word.
    stop_reason: Option<String>,
    /// Why it ended badly.
    error: Option<RunError>,
    /// All its text; null while it runs.
    output: Option<String>,
    /// The calls that the caller must run and come back with, where `stop_reason` is
    /// `tool_calls`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Part>,
    /// What the model made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media: Vec<Part>,
    /// What it used.
    usage: UsageObject,
    /// Who answered, as `provider/model`.
    model: String,
    /// The version of the pack that ran.
    pack_version: String,
    /// SHA-256 of the pack's bytes, in hexadecimal.
    pack_digest: String,
    /// When it began (RFC 3339).
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

/// Why a run ended badly.
#[derive(Serialize, ToSchema)]
struct RunError {
    /// The kind of failure; see docs/errors.md.
    code: &'static str,
    /// What was wrong, and what to do.
    message: String,
}

fn yes() -> bool {
    true
}

impl RunObject {
    fn new(record: RunRecord, outcome: Option<Outcome>) -> Self {
        let ended = record.status != RunStatus::Running;
        let outcome = outcome.unwrap_or_default();
        Self {
            id: record.id,
            agent: record.agent,
            session_id: record.session_id.map(|id| id.to_string()),
            status: record.status,
            stop_reason: record.stop_reason.as_ref().map(|reason| stop_reason(reason).to_owned()),
            error: record.failure.map(|(code, message)| RunError { code: code.as_str(), message }),
            output: ended.then_some(outcome.text),
            tool_calls: outcome.tool_calls.into_iter().map(Part::from).collect(),
            media: outcome.media.into_iter().map(|media| Part::Media(media.into())).collect(),
            usage: record.usage.into(),
            model: record.model,
            pack_version: record.pack_version,
            pack_digest: record.pack_digest,
            started_at: record.started_at,
            finished_at: record.finished_at,
        }
    }
}

impl CreateRun {
    /// The turn that is asked for.
    async fn translate(self, doors: &Doors, caller: &Caller) -> Result<TurnRequest, ApiError> {
        if self.stream && self.wait {
            return Err(ApiError::invalid("wait: either stream or wait").param("wait"));
        }
        if !self.keep && (self.session_id.is_some() || !(self.stream || self.wait)) {
            let reason = "keep: false needs stream or wait, and no session_id";
            return Err(ApiError::invalid(reason).param("keep"));
        }
        let mut agent = self.agent;
        let session = match self.session_id {
            Some(id) => {
                let id = session_id(&id, "session_id")?;
                if agent.is_empty() {
                    let session = doors.engine.session(&caller.owner, &id).await;
                    agent = session.map_err(|failure| failure.param("session_id"))?.agent;
                }
                SessionChoice::Existing(id)
            }
            None if self.keep => SessionChoice::New,
            None => SessionChoice::None,
        };
        check_metadata(&self.metadata)?;
        HttpLimits::check_count("tools", self.tools.len(), doors.limits.tools)?;
        if let Some(index) = self.tools.iter().position(|tool| !is_tool_name(&tool.name)) {
            let param = format!("tools[{index}].name");
            let reason = format!("{param}: 1 to 64 letters, digits, _ and -");
            return Err(ApiError::invalid(reason).param(param));
        }
        let tools = self.tools.into_iter().map(|tool| ToolSpec {
            name: tool.name,
            description: tool.description,
            parameters: tool
                .parameters
                .map_or_else(|| json!({"type": "object", "properties": {}}), Value::Object),
        });
        let messages = input::translate(self.input, &doors.limits)?;
        Ok(TurnRequest {
            session,
            variables: self.variables,
            client_tools: tools.collect(),
            // Who waits for the end of the run cannot help it along.
            client_tool_mode: if self.wait { ClientToolMode::Return } else { ClientToolMode::Wait },
            parameters: Parameters::default(),
            stream: !self.wait,
            metadata: self.metadata,
            announced: self.keep && !self.wait,
            ..TurnRequest::new(Arc::clone(&caller.owner), agent, messages)
        })
    }
}

/// Start a run
///
/// Answers at once with 202 and the run, which goes on by itself; follow it with
/// `/v1/runs/{run_id}/events`. With `wait` the answer comes when the run has ended, with
/// `stream` it is the run's events.
#[utoipa::path(
    post, path = "/v1/runs", tag = "Runs", operation_id = "create_run",
    request_body = CreateRun,
    responses(
        (status = 202, body = RunObject, description = "The run has begun"),
        (status = 200, body = RunObject, description = "With `wait`: the run has ended. With `stream`: its events as `text/event-stream`"),
        (status = 400, body = ErrorBody, description = "A field makes no sense; `param` names it"),
        (status = 404, body = ErrorBody, description = "No such agent or session"),
        (status = 409, body = ErrorBody, description = "Another turn of the session is running"),
        (status = 413, body = ErrorBody, description = "Too large"),
        (status = 422, body = ErrorBody, description = "Content that the agent does not take, or a variable at fault"),
        (status = 503, body = ErrorBody, description = "The store cannot be reached, or the server is stopping or doing as much as it may"),
    ),
)]
pub(crate) async fn create(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    JsonBody(wanted): JsonBody<CreateRun>,
) -> Result<Response, ApiError> {
    let engine = &doors.engine;
    let (stream, wait) = (wanted.stream, wanted.wait);
    let turn = wanted.translate(&doors, &caller).await?;
    let run = engine.start(turn).await.map_err(|failure| match failure.code {
        FailureCode::UnknownAgent => agents::unknown(failure),
        FailureCode::UnknownSession => failure.param("session_id").into(),
        _ => input_at_fault(failure),
    })?;
    let cancel = CancelOnDrop(run.session_id().is_none().then(|| Arc::clone(&run)));
    if wait {
        return waited(engine, &run).await;
    }
    let mut response = if stream {
        events::live(&run, 0, cancel)
    } else {
        let mut response = stored(engine, &caller.owner, run.id()).await?;
        *response.status_mut() = StatusCode::ACCEPTED;
        if let Ok(location) = HeaderValue::from_str(&format!("/v1/runs/{}", run.id())) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    };
    run_headers(response.headers_mut(), &run, engine.model_info().mock);
    Ok(response)
}

/// The engine speaks of `messages`; here they are the input.
fn input_at_fault(mut failure: Failure) -> ApiError {
    failure.param = failure.param.map(|param| match param.strip_prefix("messages") {
        Some(rest) => format!("input{rest}"),
        None => param,
    });
    failure.into()
}

/// The run once it has ended, well or badly.
async fn waited(engine: &Engine, run: &Arc<Run>) -> Result<Response, ApiError> {
    let outcome = Outcome::of(run).await;
    let record = match (engine.run(run.owner(), run.id()).await, &outcome.failure) {
        (Ok(record), _) => record,
        // A turn that could not be stored has no record: its failure is all there is to tell.
        (Err(_), Some(failure)) => return Err(failure.clone().into()),
        (Err(failure), None) => return Err(failure.into()),
    };
    Ok(told(record, Some(outcome)))
}

/// The run as the store has it.
async fn stored(engine: &Engine, owner: &Owner, id: RunId) -> Result<Response, ApiError> {
    let record = engine.run(owner, id).await?;
    if record.status == RunStatus::Running {
        return Ok(told(record, None));
    }
    let events = engine.store().run_events(owner, id, 0).await.map_err(Failure::from)?;
    Ok(told(record, Some(Outcome::of_events(&events))))
}

fn told(record: RunRecord, outcome: Option<Outcome>) -> Response {
    let mut headers = HeaderMap::new();
    record_headers(&mut headers, &record);
    (headers, Json(RunObject::new(record, outcome))).into_response()
}

/// A run
#[utoipa::path(
    get, path = "/v1/runs/{run_id}", tag = "Runs", operation_id = "get_run",
    params(("run_id" = String, Path)),
    responses(
        (status = 200, body = RunObject, description = "The run"),
        (status = 404, body = ErrorBody, description = "No such run"),
    ),
)]
pub(crate) async fn get(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    stored(&doors.engine, &caller.owner, run_id(&id)?).await
}

/// Cancel a run
///
/// Answers with the run as it ended. A run that has ended already stays as it is.
#[utoipa::path(
    post, path = "/v1/runs/{run_id}/cancel", tag = "Runs", operation_id = "cancel_run",
    params(("run_id" = String, Path)),
    responses(
        (status = 200, body = RunObject, description = "The run"),
        (status = 404, body = ErrorBody, description = "No such run"),
    ),
)]
pub(crate) async fn cancel(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = run_id(&id)?;
    if let Some(run) = doors.engine.running(&caller.owner, id) {
        run.cancel();
        let _ = tokio::time::timeout(CANCEL_WAITS, run.finished()).await;
    }
    stored(&doors.engine, &caller.owner, id).await
}

/// Hand in what the caller's tools answered
///
/// The run must be at work and have asked, with an event `tool_call` whose `execution` is
/// `client`. It asks for one call at a time.
#[utoipa::path(
    post, path = "/v1/runs/{run_id}/tool_results", tag = "Runs", operation_id = "submit_tool_results",
    params(("run_id" = String, Path)),
    request_body = ToolResults,
    responses(
        (status = 204, description = "The run goes on"),
        (status = 400, body = ErrorBody, description = "A field makes no sense; `param` names it"),
        (status = 404, body = ErrorBody, description = "No such run at work, or no such call of it waits"),
    ),
)]
pub(crate) async fn submit(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(answered): JsonBody<ToolResults>,
) -> Result<StatusCode, ApiError> {
    let id = run_id(&id)?;
    let Some(run) = doors.engine.running(&caller.owner, id) else {
        doors.engine.run(&caller.owner, id).await?;
        let ended = Failure::new(FailureCode::UnknownToolCall, "the run has ended");
        return Err(ended.param("run_id").into());
    };
    HttpLimits::check_count("results", answered.results.len(), doors.limits.parts)?;
    for (index, result) in answered.results.into_iter().enumerate() {
        let result = ToolResult {
            call_id: result.call_id,
            // The engine knows which tool it asked for.
            name: String::new(),
            content: result.content,
            is_error: result.is_error,
        };
        run.submit(result).map_err(|failure| failure.param(format!("results[{index}].call_id")))?;
    }
    Ok(StatusCode::NO_CONTENT)
}
