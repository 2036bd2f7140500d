//! `/v1/chat/completions`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bartizan_engine::{
    event::{LoggedEvent, TurnEvent},
    failure::Failure,
    run::{Run, RunEvents},
};

use super::{answer::Completion, chunks::Chunks, request::ChatRequest};
use crate::{
    errors::{ApiError, ErrorBody},
    http::{
        Doors,
        edge::RequestId,
        extract::JsonBody,
        outcome::{CancelOnDrop, Outcome},
        run_headers, stream,
    },
    identity::Caller,
};

/// How long a stream's head waits for the turn's first words. A turn that fails before them is
/// answered with the status that fits, which clients retry by, and not with a broken stream.
const HEAD_WAITS: Duration = stream::HEARTBEAT;

/// A turn of an agent
///
/// With `stream` the answer is a stream of server-sent events, each a `chat.completion.chunk`,
/// ended by `data: [DONE]`. An error in the middle is an event `{"error": …}`, after which the
/// stream ends without `[DONE]`.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "OpenAI",
    request_body = ChatRequest,
    responses(
        (status = 200, body = Completion, description = "The answer; with `stream` as `text/event-stream`"),
        (status = 400, body = ErrorBody, description = "A field makes no sense; `param` names it"),
        (status = 404, body = ErrorBody, description = "No such agent"),
        (status = 413, body = ErrorBody, description = "Too large"),
        (status = 422, body = ErrorBody, description = "Content that the agent does not take, a variable at fault, or a budget used up"),
        (status = 429, body = ErrorBody, description = "The provider's rate limit"),
        (status = 502, body = ErrorBody, description = "The provider's answer broke off or made no sense"),
        (status = 503, body = ErrorBody, description = "The provider or the store cannot be reached, or the server is stopping"),
        (status = 504, body = ErrorBody, description = "The provider or the turn took too long"),
    ),
)]
pub(crate) async fn create(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    request_id: RequestId,
    JsonBody(request): JsonBody<ChatRequest>,
) -> Result<Response, ApiError> {
    let (streams, include_usage) = (request.stream, request.include_usage());
    let (turn, places) = request.translate(caller, &doors.limits)?;
    let created = doors.engine.clock().now().as_second();
    let run = doors.engine.start(turn).await.map_err(|failure| places.in_request(failure))?;
    // Nobody can come back for a conversation that is not kept.
    let cancel = CancelOnDrop(run.session_id().is_none().then(|| Arc::clone(&run)));
    let (mut response, mock) = if streams {
        let mut events = run.follow(0);
        let (first, mock) = first_words(&mut events).await;
        let response = match failure_in(&first) {
            Some(failure) => ApiError::from(failure).into_response(),
            None => {
                let chunks = Chunks::new(&run, created, include_usage, request_id);
                stream::answer(events, first, chunks, cancel)
            }
        };
        (response, mock)
    } else {
        whole(&run, created).await
    };
    run_headers(response.headers_mut(), &run, mock);
    Ok(response)
}

async fn whole(run: &Arc<Run>, created: i64) -> (Response, bool) {
    let outcome = Outcome::of(run).await;
    let mock = outcome.mock;
    let response = match outcome.failure {
        Some(failure) => ApiError::from(failure).into_response(),
        None => Json(Completion::new(run, created, outcome)).into_response(),
    };
    (response, mock)
}

/// The first events, up to one that the caller sees or until [`HEAD_WAITS`] is over, and whether
/// they are the mock's.
async fn first_words(events: &mut RunEvents) -> (Vec<Arc<LoggedEvent>>, bool) {
    let mut first: Vec<Arc<LoggedEvent>> = Vec::new();
    let waits = async {
        while let Some(batch) = events.next_batch().await {
            first.extend(batch);
            let silent = |logged: &Arc<LoggedEvent>| {
                matches!(logged.event, TurnEvent::Started { .. } | TurnEvent::Usage { .. })
            };
            if !first.iter().all(silent) {
                break;
            }
        }
    };
    // `next_batch` loses nothing when it is dropped.
    let _ = tokio::time::timeout(HEAD_WAITS, waits).await;
    let mock =
        first.iter().any(|logged| matches!(logged.event, TurnEvent::Started { mock: true, .. }));
    (first, mock)
}

/// The failure of a turn that failed before it said anything.
fn failure_in(first: &[Arc<LoggedEvent>]) -> Option<Failure> {
    let (last, before) = first.split_last()?;
    let failure = last.event.failure()?;
    let silent = before
        .iter()
        .all(|logged| matches!(logged.event, TurnEvent::Started { .. } | TurnEvent::Usage { .. }));
    silent.then_some(failure)
}
