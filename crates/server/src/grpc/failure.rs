//! How a failure looks on this wire.
//!
//! In a conversation it is an `Error` frame, after which the stream ends well: a facade that
//! sees an error status instead cannot tell its user anything. Elsewhere it is a status. Both
//! show the code and the public message; the detail stays in the log.

use bartizan_engine::failure::{Failure, FailureCode};
use http::HeaderValue;
use tonic::{Code, Status};

use super::{codec::CODE_HEADER, wire};
use crate::errors;

/// Why a message of a conversation is not acted on.
#[derive(Debug)]
pub(super) struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    /// A message that makes no sense here; `field` is at fault.
    pub(super) fn invalid(field: &str, message: &str) -> Self {
        invalid(field, message).into()
    }

    /// A message that belongs to a spoken conversation.
    pub(super) fn duplex(field: &str) -> Self {
        Self {
            code: "DUPLEX_UNSUPPORTED".into(),
            message: format!(
                "{field}: this runtime holds no spoken conversations and does not advertise \
                 duplex_audio"
            ),
        }
    }

    /// The frame that says so.
    pub(super) fn into_frame(self) -> wire::ServerMessage {
        error_frame(self.code, self.message)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { code: wire_code(failure.code), message: with_field(&failure) }
    }
}

/// A request that makes no sense; `field` is at fault.
pub(super) fn invalid(field: &str, message: &str) -> Failure {
    Failure::new(FailureCode::InvalidRequest, message).param(field)
}

/// The failure with the field at fault named as on this wire: the engine speaks of `messages` and
/// `variables`.
pub(super) fn in_words_of_wire(mut failure: Failure, messages: &str, variables: &str) -> Failure {
    failure.param = failure.param.map(|param| {
        if param.starts_with("messages") {
            messages.to_owned()
        } else if param == "variables" {
            variables.to_owned()
        } else {
            param
        }
    });
    failure
}

/// The frame for a turn that began and then failed.
pub(super) fn failed_frame(code: FailureCode, message: &str) -> wire::ServerMessage {
    error_frame(wire_code(code), message.to_owned())
}

/// The status for a failure outside a conversation.
pub(super) fn status(failure: &Failure) -> Status {
    status_as(Code::from(errors::answer(failure.code).grpc as i32), failure)
}

/// The same with a status code that the contract asks for.
pub(super) fn status_as(code: Code, failure: &Failure) -> Status {
    let mut status = Status::new(code, with_field(failure));
    let kind = HeaderValue::from_static(failure.code.as_str());
    status.metadata_mut().as_mut().insert(CODE_HEADER, kind);
    status
}

fn error_frame(code: String, message: String) -> wire::ServerMessage {
    use wire::server_message::Message;
    wire::ServerMessage { message: Some(Message::Error(wire::Error { code, message })) }
}

/// The code as it stands in `Error` frames. Facades hand it to the browser as it is, so two take
/// the name that clients of the contract know already.
fn wire_code(code: FailureCode) -> String {
    match code {
        FailureCode::InvalidRequest => "INVALID_MESSAGE".into(),
        FailureCode::Internal => "INTERNAL_ERROR".into(),
        other => other.as_str().to_ascii_uppercase(),
    }
}

/// The public message, led by the field at fault where there is one.
fn with_field(failure: &Failure) -> String {
    let text = match &failure.param {
        Some(field) => format!("{field}: {}", failure.message),
        None => failure.message.clone(),
    };
    // Messages repeat what the caller wrote, and a status travels in a header.
    errors::shortened(text, errors::LONGEST_MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_repeats_only_so_much_of_what_was_wrong() {
        let failure = Failure::new(FailureCode::UnknownToolCall, "x".repeat(1_000_000));
        assert!(status(&failure).message().len() < 3_000);
    }

    #[test]
    fn fields_are_named_as_on_this_wire() {
        let named = |param: &str| {
            let failure = Failure::new(FailureCode::InvalidRequest, "no").param(param);
            in_words_of_wire(failure, "parts", "metadata").param.unwrap()
        };
        assert_eq!(named("messages[0]"), "parts");
        assert_eq!(named("variables"), "metadata");
        assert_eq!(named("session_id"), "session_id");
    }
}
