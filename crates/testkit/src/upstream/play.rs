//! Performing a reply: the head, the pace of its pieces, and its faults.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::unfold;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value;

use super::script::{Fault, FaultKind, Reply};
use super::wire::{self, Exchange, Frame};
use crate::listen::{Body, whole};

/// Long enough for what was sent before a cut to leave this process.
const BEFORE_CUT: Duration = Duration::from_millis(5);

/// Answers `exchange` with `reply`.
pub(super) async fn perform(exchange: &Exchange, reply: Reply) -> Response<Body> {
    if reply.hang {
        pending::<()>().await;
    }
    pause(reply.head_delay).await;
    let mut response = if let Some(status) = reply.status {
        plain(exchange, &reply, status)
    } else if exchange.streamed {
        let body = stream(exchange, &reply);
        respond(exchange.content_type(), body)
    } else {
        document(exchange, &reply)
    };
    for (name, value) in &reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name in the script");
        let value = HeaderValue::from_str(value).expect("a header value in the script");
        response.headers_mut().insert(name, value);
    }
    response
}

/// A status with a body of the script's choice.
fn plain(exchange: &Exchange, reply: &Reply, status: u16) -> Response<Body> {
    let (content_type, text) = match &reply.body {
        Some(Value::String(text)) => ("text/plain", text.clone()),
        Some(value) => ("application/json", value.to_string()),
        None => {
            let message = format!("scripted status {status}");
            let value = wire::error(exchange.protocol, status, &message);
            ("application/json", value.to_string())
        }
    };
    let mut response = respond(content_type, whole(text));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status in the script");
    response
}

/// The reply as one JSON document, sent whole unless something is to go wrong in it.
fn document(exchange: &Exchange, reply: &Reply) -> Response<Body> {
    let text = exchange.whole(reply).to_string();
    let length = text.len();
    let faultless = reply.fault.is_none() && reply.first_delay.is_zero();
    if faultless {
        return respond(exchange.content_type(), whole(text));
    }
    let (head, tail) = text.split_at(text.floor_char_boundary(length / 2));
    let (head, tail) = (Bytes::from(head.to_owned()), Bytes::from(tail.to_owned()));
    let mut acts = vec![Act::Wait(reply.first_delay)];
    match reply.fault {
        None => acts.extend([Act::Send(head), Act::Send(tail)]),
        Some(Fault { after, kind }) => {
            if after > 0 {
                acts.push(Act::Send(head));
            }
            match kind {
                FaultKind::Cut => acts.push(Act::Cut),
                FaultKind::Stall => acts.push(Act::Stall),
                // Without a length, a body that ends early looks complete and is not JSON.
                FaultKind::End => {}
                FaultKind::Error | FaultKind::Garbage => {
                    acts.extend([Act::Send(exchange.garbage_frame()), Act::Send(tail)]);
                }
            }
        }
    }
    let mut response = respond(exchange.content_type(), acting(acts));
    if matches!(reply.fault, Some(Fault { kind: FaultKind::Cut | FaultKind::Stall, .. })) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// The reply as a stream of events with its pace and its fault.
fn stream(exchange: &Exchange, reply: &Reply) -> Body {
    acting(acts(exchange, reply, exchange.stream(reply)))
}

fn acts(exchange: &Exchange, reply: &Reply, frames: Vec<Frame>) -> Vec<Act> {
    let mut acts = Vec::with_capacity(frames.len());
    let mut pieces = 0;
    let mut fault = reply.fault;
    for frame in frames {
        // Before the piece that comes after the last good one, or before the closing events.
        if let Some(Fault { after, kind }) = fault
            && pieces >= after
            && (frame.piece || pieces > 0)
        {
            match kind {
                FaultKind::Cut => acts.push(Act::Cut),
                FaultKind::Stall => acts.push(Act::Stall),
                FaultKind::End => {}
                FaultKind::Error => acts.push(Act::Send(exchange.error_frame())),
                FaultKind::Garbage => acts.push(Act::Send(exchange.garbage_frame())),
            }
            if kind != FaultKind::Garbage {
                return acts;
            }
            fault = None;
        }
        if frame.piece {
            let delay = if pieces == 0 { reply.first_delay } else { reply.chunk_delay };
            if !delay.is_zero() {
                acts.push(Act::Wait(delay));
            }
            pieces += 1;
        }
        acts.push(Act::Send(frame.bytes));
    }
    acts
}

/// One step of a body.
enum Act {
    Send(Bytes),
    Wait(Duration),
    Cut,
    Stall,
}

fn acting(acts: Vec<Act>) -> Body {
    let stream = unfold(VecDeque::from(acts), |mut acts| async move {
        loop {
            match acts.pop_front()? {
                Act::Send(bytes) => return Some((Ok(hyper::body::Frame::data(bytes)), acts)),
                Act::Wait(delay) => pause(delay).await,
                Act::Stall => pending::<()>().await,
                Act::Cut => {
                    pause(BEFORE_CUT).await;
                    let cut = io::Error::new(io::ErrorKind::ConnectionReset, "cut by the script");
                    return Some((Err(cut), VecDeque::new()));
                }
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

fn respond(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
