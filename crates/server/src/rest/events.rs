//! `/v1/runs/{run_id}/events`: what happens in a turn, each event exactly once.
//!
//! The id of an event on the wire is its place in the run's log. A client that comes back with
//! the last one it saw, in `Last-Event-ID` as browsers do or in `after`, gets what followed.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bartizan_engine::{
    engine::Follow,
    event::{LoggedEvent, TurnEvent},
    run::{Run, RunEvents},
};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    run_id,
    shapes::{MediaPart, UsageObject, stop_reason},
};
use crate::{
    errors::{ApiError, ErrorBody},
    http::{
        Doors,
        extract::{Path, Query},
        outcome::CancelOnDrop,
        put_json, record_headers, run_headers,
        stream::{self, Encode},
    },
    identity::Caller,
};

/// From where.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct From {
    /// The id of the last event that was seen; `Last-Event-ID` goes before it.
    after: Option<u64>,
}

/// The `data` of an event; its `type` is the event's name, too.
#[derive(Serialize, ToSchema)]
#[schema(as = RunEvent)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum EventObject<'a> {
    /// The run began.
    Started {
        /// The run.
        run_id: String,
        /// The session it belongs to; null where nothing is kept.
        session_id: Option<&'a str>,
        /// The agent, as `pack/prompt`.
        agent: &'a str,
        /// The model asked.
        model: &'a str,
        /// Whether that is the mock.
        mock: bool,
    },
    /// The model wrote some text.
    Text {
        /// To be appended to what it wrote before.
        delta: &'a str,
    },
    /// The model thought aloud.
    Reasoning {
        /// To be appended to the reasoning before.
        delta: &'a str,
    },
    /// The model asked for a tool.
    ToolCall {
        /// Names the call.
        id: &'a str,
        /// The tool.
        name: &'a str,
        /// The arguments.
        #[schema(value_type = Value)]
        arguments: &'a Value,
        /// `server`, or `client`: then the run waits for `/v1/runs/{run_id}/tool_results`.
        #[schema(value_type = String, example = "server")]
        execution: bartizan_engine::event::Execution,
    },
    /// A tool answered.
    ToolResult {
        /// The call answered.
        call_id: &'a str,
        /// The tool.
        name: &'a str,
        /// The answer.
        #[schema(value_type = Value)]
        content: &'a Value,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// The model made something.
    Media {
        /// What it made.
        media: MediaPart,
    },
    /// What one call of the model used.
    Usage {
        /// The use of that call alone.
        usage: UsageObject,
    },
    /// The run ended well, and is stored. The last event.
    Done {
        /// Why it ended.
        stop_reason: &'a str,
        /// All its text.
        text: &'a str,
        /// The use of the whole run.
        usage: UsageObject,
    },
    /// The run ended badly. The last event.
    Failed {
        /// The kind of failure; see docs/errors.md.
        code: &'static str,
        /// What was wrong, and what to do.
        message: &'a str,
        /// How long to wait before trying again, in seconds, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u64>,
    },
}

impl<'a> EventObject<'a> {
    fn new(event: &'a TurnEvent) -> Self {
        match event {
            TurnEvent::Started { run_id, session_id, agent, model, mock } => Self::Started {
                run_id: run_id.to_string(),
                session_id: session_id.as_ref().map(|id| id.as_str()),
                agent,
                model,
                mock: *mock,
            },
            TurnEvent::Text { delta } => Self::Text { delta },
            TurnEvent::Reasoning { delta } => Self::Reasoning { delta },
            TurnEvent::ToolCall { call, execution } => Self::ToolCall {
                id: &call.id,
                name: &call.name,
                arguments: &call.arguments,
                execution: *execution,
            },
            TurnEvent::ToolResult { result } => Self::ToolResult {
                call_id: &result.call_id,
                name: &result.name,
                content: &result.content,
                is_error: result.is_error,
            },
            TurnEvent::Media { media } => Self::Media { media: media.clone().into() },
            TurnEvent::Usage { usage } => Self::Usage { usage: (*usage).into() },
            TurnEvent::Done { stop_reason: reason, text, usage } => {
                Self::Done { stop_reason: stop_reason(reason), text, usage: (*usage).into() }
            }
            TurnEvent::Failed { code, message, retry_after_seconds } => Self::Failed {
                code: code.as_str(),
                message,
                retry_after_seconds: *retry_after_seconds,
            },
        }
    }
}

/// Writes events as they are.
struct Plain;

impl Encode for Plain {
    fn encode(&mut self, logged: &LoggedEvent, out: &mut BytesMut) {
        out.put_slice(b"id: ");
        out.put_slice(logged.id.to_string().as_bytes());
        out.put_slice(b"\nevent: ");
        out.put_slice(logged.event.name().as_bytes());
        out.put_slice(b"\ndata: ");
        put_json(&EventObject::new(&logged.event), out);
        out.put_slice(b"\n\n");
    }
}

/// The events of a run that is at work.
pub(crate) fn live(run: &Arc<Run>, after: u64, cancel: CancelOnDrop) -> Response {
    following(run.follow(after), cancel)
}

fn following(events: RunEvents, cancel: CancelOnDrop) -> Response {
    stream::answer(events, Vec::new(), Plain, cancel)
}

/// What happens in a run, as server-sent events
///
/// Every event has an `id`, an `event` name and JSON `data`. The stream ends after `done` or
/// `failed`. A comment every 15 seconds shows that a silent run is alive. 204 where nothing
/// follows the last event seen, which tells browsers not to come back.
#[utoipa::path(
    get, path = "/v1/runs/{run_id}/events", tag = "Runs", operation_id = "follow_run",
    params(
        ("run_id" = String, Path),
        From,
        ("Last-Event-ID" = Option<u64>, Header, description = "The id of the last event that was seen"),
    ),
    responses(
        (status = 200, body = EventObject<'static>, content_type = "text/event-stream", description = "The events"),
        (status = 204, description = "The run has ended and nothing follows"),
        (status = 400, body = ErrorBody, description = "The last event seen is no number"),
        (status = 404, body = ErrorBody, description = "No such run"),
    ),
)]
pub(crate) async fn follow(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = last_seen(&headers)?.or(from.after).unwrap_or(0);
    let id = run_id(&id)?;
    Ok(match doors.engine.follow(&caller.owner, id, after).await? {
        Follow::Live(events) => {
            let run = Arc::clone(events.run());
            // Who watches does not decide how long the run lasts.
            let mut response = following(events, CancelOnDrop(None));
            run_headers(response.headers_mut(), &run, doors.engine.model_info().mock);
            response
        }
        Follow::Stored(events) if events.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Follow::Stored(events) => {
            let mut out = BytesMut::new();
            events.iter().for_each(|logged| Plain.encode(logged, &mut out));
            let mut response = stream::event_stream(Body::from(out.freeze()));
            let record = doors.engine.run(&caller.owner, id).await?;
            record_headers(response.headers_mut(), &record);
            response
        }
    })
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| {
        ApiError::invalid("Last-Event-ID: the number of an event").param("Last-Event-ID")
    })
}
