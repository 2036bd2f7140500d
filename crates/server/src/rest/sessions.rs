//! `/v1/sessions`: conversations that are kept.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use bartizan_engine::{
    failure::Failure,
    identity::SessionId,
    ports::store::{Session, expiry},
};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{agents, session_id, shapes::SessionMessage};
use crate::{
    errors::{ApiError, ErrorBody},
    http::{
        Doors,
        extract::{JsonBody, Path, Query},
        limits::check_metadata,
    },
    identity::Caller,
};

/// How many sessions a page holds unless the query says otherwise.
const USUAL_PAGE: usize = 20;

/// A session to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSession {
    /// Its name: 1 to 128 printable ASCII characters without spaces or slashes. Made here where
    /// it is left out.
    id: Option<String>,
    /// The agent it begins with; the first pack's entry where it is left out.
    #[schema(example = "support/triage")]
    agent: Option<String>,
    /// The caller's own words about it.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// A conversation that is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionObject {
    /// Its name.
    #[schema(value_type = String)]
    id: SessionId,
    /// The agent it began with.
    agent: String,
    /// When it was made (RFC 3339).
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When a turn last ended in it.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When it ceases to exist unless used before; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The caller's own words about it.
    metadata: BTreeMap<String, String>,
    /// How many messages it holds.
    message_count: u64,
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// The last used first.
    data: Vec<SessionObject>,
    /// Whether there are more; ask for those with `after`.
    has_more: bool,
}

/// A session with its messages.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionWithMessages {
    /// The session.
    #[serde(flatten)]
    session: SessionObject,
    /// Its last messages, the oldest first.
    messages: Vec<SessionMessage>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The most sessions: 1 to 100, 20 where it is left out.
    limit: Option<usize>,
    /// The id of the session that was the last of the page before.
    after: Option<String>,
}

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Last {
    /// The most messages, the newest; as many as a turn reads back where it is left out.
    limit: Option<usize>,
}

impl From<Session> for SessionObject {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            agent: session.agent,
            created_at: session.created_at,
            updated_at: session.updated_at,
            expires_at: session.expires_at,
            metadata: session.metadata,
            message_count: session.message_count,
        }
    }
}

/// Make a session
#[utoipa::path(
    post, path = "/v1/sessions", tag = "Sessions", operation_id = "create_session",
    request_body = CreateSession,
    responses(
        (status = 201, body = SessionObject, description = "The session"),
        (status = 400, body = ErrorBody, description = "A field makes no sense; `param` names it"),
        (status = 404, body = ErrorBody, description = "No such agent"),
        (status = 409, body = ErrorBody, description = "There is a session of that name"),
        (status = 413, body = ErrorBody, description = "Too large"),
    ),
)]
pub(crate) async fn create(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    JsonBody(wanted): JsonBody<CreateSession>,
) -> Result<(StatusCode, Json<SessionObject>), ApiError> {
    check_metadata(&wanted.metadata)?;
    let engine = &doors.engine;
    let agent = engine.catalogue().find(wanted.agent.as_deref().unwrap_or_default());
    let agent = agent.map_err(agents::unknown)?;
    let id = match wanted.id {
        Some(id) => session_id(&id, "id")?,
        None => SessionId::random(),
    };
    let now = engine.clock().now();
    let session = Session {
        id,
        owner: (*caller.owner).clone(),
        agent: agent.name.to_string(),
        created_at: now,
        updated_at: now,
        expires_at: expiry(now, engine.limits().session_time_to_live),
        metadata: wanted.metadata,
        message_count: 0,
    };
    engine.store().create_session(session.clone()).await.map_err(Failure::from)?;
    Ok((StatusCode::CREATED, Json(session.into())))
}

/// The sessions, the last used first
#[utoipa::path(
    get, path = "/v1/sessions", tag = "Sessions", operation_id = "list_sessions",
    params(Page),
    responses(
        (status = 200, body = SessionList, description = "A page of sessions"),
        (status = 400, body = ErrorBody, description = "A field makes no sense; `param` names it"),
    ),
)]
pub(crate) async fn list(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<SessionList>, ApiError> {
    let most = doors.limits.page;
    let limit = page.limit.unwrap_or(USUAL_PAGE);
    if !(1..=most).contains(&limit) {
        return Err(ApiError::invalid(format!("limit: 1 to {most}")).param("limit"));
    }
    let after = page.after.map(|id| session_id(&id, "after")).transpose()?;
    let store = doors.engine.store();
    // One more than asked for tells whether there are more.
    let found = store.sessions(&caller.owner, limit + 1, after.as_ref()).await;
    let mut found = found.map_err(Failure::from)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok(Json(SessionList { data: found.into_iter().map(Into::into).collect(), has_more }))
}

/// A session with its messages
#[utoipa::path(
    get, path = "/v1/sessions/{session_id}", tag = "Sessions", operation_id = "get_session",
    params(("session_id" = String, Path), Last),
    responses(
        (status = 200, body = SessionWithMessages, description = "The session"),
        (status = 400, body = ErrorBody, description = "A field makes no sense; `param` names it"),
        (status = 404, body = ErrorBody, description = "No such session"),
    ),
)]
pub(crate) async fn get(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(last): Query<Last>,
) -> Result<Json<SessionWithMessages>, ApiError> {
    let engine = &doors.engine;
    let id = session_id(&id, "session_id")?;
    let session = engine.session(&caller.owner, &id).await?;
    let most = engine.limits().max_history;
    let limit = last.limit.unwrap_or(most).min(most);
    let messages = engine.store().messages(&caller.owner, &id, limit).await;
    let messages = messages.map_err(Failure::from)?;
    Ok(Json(SessionWithMessages {
        session: session.into(),
        messages: messages.into_iter().map(Into::into).collect(),
    }))
}

/// Delete a session with its messages, runs and events
#[utoipa::path(
    delete, path = "/v1/sessions/{session_id}", tag = "Sessions", operation_id = "delete_session",
    params(("session_id" = String, Path)),
    responses(
        (status = 204, description = "The session is gone"),
        (status = 400, body = ErrorBody, description = "A field makes no sense; `param` names it"),
        (status = 404, body = ErrorBody, description = "No such session"),
    ),
)]
pub(crate) async fn delete(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let engine = &doors.engine;
    let id = session_id(&id, "session_id")?;
    if engine.store().delete_session(&caller.owner, &id).await.map_err(Failure::from)? {
        return Ok(StatusCode::NO_CONTENT);
    }
    // The engine's words for a session that is not there.
    engine.session(&caller.owner, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
