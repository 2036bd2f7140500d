//! A turn that is answered as server-sent events (WHATWG HTML section 9.2).

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bartizan_engine::{event::LoggedEvent, run::RunEvents};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};

use super::outcome::CancelOnDrop;

/// How long a stream is silent before a comment shows that it is alive.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// Room for some tens of events before the buffer must grow, in bytes.
const BUFFER: usize = 4096;

/// Comments begin with a colon and clients skip them.
const HEARTBEAT_TEXT: &[u8] = b": waiting\n\n";

/// Writes a turn's events in the words of one protocol.
pub(crate) trait Encode: Send + 'static {
    /// Appends what the protocol says of this event, which may be nothing.
    fn encode(&mut self, logged: &LoggedEvent, out: &mut BytesMut);
}

/// The answer that streams a run.
///
/// `first` are events that were taken from `events` already. All that is there when the
/// connection can take more leaves in one piece, through one buffer whose memory is used again
/// as soon as the connection has let go of it.
pub(crate) fn answer(
    events: RunEvents,
    first: Vec<Arc<LoggedEvent>>,
    encode: impl Encode,
    cancel: CancelOnDrop,
) -> Response {
    let first = (!first.is_empty()).then_some(first);
    let state = Streaming {
        events,
        first,
        encode,
        buffer: BytesMut::with_capacity(BUFFER),
        ended: false,
        cancel,
    };
    let frames = futures::stream::unfold(state, |mut state| async move {
        let frame = state.next().await?;
        Some((Ok::<_, std::convert::Infallible>(frame), state))
    });
    event_stream(Body::from_stream(frames))
}

/// An answer whose body is server-sent events.
pub(crate) fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // nginx collects streams into blocks unless told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Streaming<E> {
    events: RunEvents,
    first: Option<Vec<Arc<LoggedEvent>>>,
    encode: E,
    buffer: BytesMut,
    ended: bool,
    /// Dropped with the body: when it is sent, or when its receiver has gone.
    #[allow(dead_code, reason = "held for its drop")]
    cancel: CancelOnDrop,
}

impl<E: Encode> Streaming<E> {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let batch = match self.first.take() {
                Some(batch) => batch,
                None => match tokio::time::timeout(HEARTBEAT, self.events.next_batch()).await {
                    Ok(Some(batch)) => batch,
                    Ok(None) => return None,
                    Err(_) => return Some(Bytes::from_static(HEARTBEAT_TEXT)),
                },
            };
            for logged in &batch {
                self.encode.encode(logged, &mut self.buffer);
                self.ended |= logged.event.is_last();
            }
            if !self.buffer.is_empty() {
                return Some(self.buffer.split().freeze());
            }
        }
        None
    }
}
