//! What a failure says once everything private is gone.
//!
//! Providers repeat keys and prompts in their error texts. So their texts are read, to tell one
//! kind of failure from another, and never handed on: a message is in our own words, and a
//! provider's code is taken only if it looks like one.

use std::error::Error as StdError;

use bartizan_engine::ports::model::{ModelError, ModelErrorKind as Kind};
use bartizan_net::EgressError;
use genai::webc::{Error as WebError, StreamTimeout};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::Origin;
use crate::retry::retry_after;

/// The longest text that is taken for a provider's code, in bytes.
const LONGEST_CODE: usize = 64;

/// An attempt that failed.
pub(super) struct Failure {
    pub(super) error: ModelError,
    /// Whether the same provider may answer if asked again.
    pub(super) again: bool,
}

impl Failure {
    pub(super) fn last(error: ModelError) -> Self {
        Self { error, again: false }
    }
}

/// Translates a failure of `genai`'s. `begun` is whether the answer had begun.
pub(super) fn failure(origin: &Origin, error: genai::Error, begun: bool) -> Failure {
    use genai::Error;
    match error {
        Error::HttpError { status, body, headers, .. } => {
            refused(origin, status.as_u16(), &body, &headers)
        }
        Error::WebModelCall { webc_error, .. } | Error::WebAdapterCall { webc_error, .. } => {
            match webc_error {
                WebError::ResponseFailedStatus { status, body, headers } => {
                    refused(origin, status.as_u16(), &body, &headers)
                }
                WebError::Reqwest(error) => transport(origin, &error, begun),
                WebError::ResponseFailedNotJson { .. }
                | WebError::ResponseFailedInvalidJson { .. }
                | WebError::JsonValueExt(_) => nonsense(origin),
            }
        }
        Error::WebStream { error, .. } => match error.downcast::<genai::Error>() {
            Ok(error) => failure(origin, *error, begun),
            Err(error) => stream(origin, error.as_ref(), begun),
        },
        Error::ChatResponse { body, .. } => event(origin, &body, begun),
        Error::StreamParse { .. }
        | Error::ChatResponseGeneration { .. }
        | Error::NoChatResponse { .. }
        | Error::InvalidJsonResponseElement { .. }
        | Error::JsonValueExt(_)
        | Error::SerdeJson(_) => nonsense(origin),
        // What is left fails before anything is sent.
        _ => Failure::last(
            origin.error(Kind::Unsupported, "the request cannot be put in the provider's words"),
        ),
    }
}

/// An answer whose stream ended before its end.
pub(super) fn broken_off(origin: &Origin, begun: bool) -> Failure {
    if begun {
        Failure::last(origin.error(Kind::Interrupted, "the answer broke off"))
    } else {
        Failure { error: origin.error(Kind::Malformed, "the answer was empty"), again: false }
    }
}

/// An answer that is not what the protocol says.
pub(super) fn nonsense(origin: &Origin) -> Failure {
    Failure::last(origin.error(Kind::Malformed, "the answer is not what the protocol says"))
}

/// A status other than success.
fn refused(origin: &Origin, status: u16, body: &str, headers: &HeaderMap) -> Failure {
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let code = code(origin, &body);
    let kind = kind_of(status, code.as_deref(), &body);
    let mut error = origin.error(kind, format!("the provider answered with status {status}"));
    error.status = Some(status);
    error.retry_after = retry_after(headers, Timestamp::now());
    // A quota that is used up is not back in a moment.
    let used_up = status == 402 || code.as_deref() == Some("insufficient_quota");
    error.provider_code = code;
    Failure { error, again: matches!(status, 408 | 429 | 500..) && !used_up }
}

/// The kind of failure that a status stands for.
pub(crate) fn kind_of_status(status: u16) -> Kind {
    match status {
        401 | 403 => Kind::Unauthorized,
        402 | 429 => Kind::RateLimited,
        413 => Kind::ContextTooLong,
        // A wrong address or model name is the operator's to mend: the caller's request is not at
        // fault and must not be told that it is.
        300..=399 | 404 | 405 | 408 | 500.. => Kind::Unavailable,
        _ => Kind::Rejected,
    }
}

fn kind_of(status: u16, code: Option<&str>, body: &Value) -> Kind {
    match kind_of_status(status) {
        Kind::Rejected if is_too_long(code, body) => Kind::ContextTooLong,
        kind => kind,
    }
}

/// Only OpenAI has a code for this; the others say it in words.
fn is_too_long(code: Option<&str>, body: &Value) -> bool {
    if code == Some("context_length_exceeded") {
        return true;
    }
    let text = details(body).get("message").or(body.get("error")).and_then(Value::as_str);
    let text = text.unwrap_or_default().to_lowercase();
    ["maximum context length", "prompt is too long", "input token count", "context window"]
        .iter()
        .any(|words| text.contains(words))
}

/// An error that arrives in the stream instead of the next piece.
fn event(origin: &Origin, body: &Value, begun: bool) -> Failure {
    // What `genai` makes of an answer of Gemini's without a candidate.
    if body.get("usageMetadata").is_some_and(Value::is_null) {
        return Failure::last(origin.error(
            Kind::Rejected,
            "the provider gave no answer, as it does when it blocks a prompt",
        ));
    }
    let code = code(origin, body);
    let status = details(body).get("code").and_then(Value::as_u64);
    let status = status.and_then(|status| u16::try_from(status).ok()).filter(|s| *s >= 400);
    let kind = match (code.as_deref(), status) {
        (Some("rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED"), _) => {
            Kind::RateLimited
        }
        (Some("authentication_error" | "permission_error"), _) => Kind::Unauthorized,
        (Some("invalid_request_error"), _) if !begun => Kind::Rejected,
        (_, Some(status)) if !begun => kind_of(status, code.as_deref(), body),
        _ if begun => Kind::Interrupted,
        _ => Kind::Unavailable,
    };
    let mut error = origin.error(kind, "the provider sent an error instead of the answer");
    error.provider_code = code;
    let again = !begun && matches!(kind, Kind::RateLimited | Kind::Unavailable);
    Failure { error, again }
}

fn stream(origin: &Origin, error: &(dyn StdError + Send + Sync + 'static), begun: bool) -> Failure {
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return transport(origin, error, begun);
    }
    if error.is::<StreamTimeout>() {
        return Failure::last(origin.error(Kind::TimedOut, "the provider fell silent"));
    }
    // Bytes that are not text.
    nonsense(origin)
}

/// A connection that failed.
fn transport(origin: &Origin, error: &reqwest::Error, begun: bool) -> Failure {
    if error.is_builder() {
        return Failure::last(origin.error(Kind::Unsupported, "the request cannot be sent"));
    }
    if begun || error.is_decode() || error.is_body() {
        return Failure {
            error: origin.error(Kind::Interrupted, "the answer broke off"),
            again: !begun,
        };
    }
    if let Some(refusal) = EgressError::within(error) {
        // The policy will not think better of it. What it says is the operator's to read.
        return Failure::last(origin.error(Kind::Unavailable, refusal.to_string()));
    }
    if error.is_timeout() {
        let what = if error.is_connect() { "no connection in time" } else { "no answer in time" };
        return Failure { error: origin.error(Kind::TimedOut, what), again: error.is_connect() };
    }
    let message = if error.is_connect() {
        // The innermost cause is the system's, TLS's or the egress policy's: nobody there knows
        // keys or prompts, and the operator needs it.
        format!("no connection: {}", root(error))
    } else {
        "the connection broke before the answer began".to_owned()
    };
    Failure { error: origin.error(Kind::Unavailable, message), again: true }
}

fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Where the error of a body is: providers wrap it in `error`, Gemini sometimes in a list too.
fn details(body: &Value) -> &Value {
    let body = body.get(0).unwrap_or(body);
    body.get("error").filter(|error| error.is_object()).unwrap_or(body)
}

/// The provider's own code: Gemini's `status`, OpenAI's `code` or `type`, Anthropic's `type`.
fn code(origin: &Origin, body: &Value) -> Option<String> {
    let details = details(body);
    ["status", "code", "type"]
        .iter()
        .filter_map(|field| details.get(field)?.as_str())
        .find(|code| is_code(code) && !holds_key(origin, code))
        .map(str::to_owned)
}

/// `snake_case` or `UPPER_CASE`, as all providers' codes are, and neither keys nor sentences.
fn is_code(text: &str) -> bool {
    let in_case = |is_letter: fn(&u8) -> bool| {
        text.bytes().all(|byte| is_letter(&byte) || byte.is_ascii_digit() || byte == b'_')
    };
    let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    begins_well
        && text.len() <= LONGEST_CODE
        && (in_case(u8::is_ascii_lowercase) || in_case(u8::is_ascii_uppercase))
}

fn holds_key(origin: &Origin, text: &str) -> bool {
    let key = origin.key.as_ref().map(|key| key.expose());
    key.is_some_and(|key| !key.is_empty() && (text.contains(key) || key.contains(text)))
}

#[cfg(test)]
mod tests {
    use bartizan_engine::ports::model::ModelInfo;
    use serde_json::json;

    use super::*;
    use crate::settings::{ApiKey, ProviderKind};

    fn origin() -> Origin {
        Origin {
            kind: ProviderKind::OpenAi,
            info: ModelInfo { provider: "openai".to_owned(), model: "m".to_owned(), mock: false },
            price: None,
            key: Some(ApiKey::new("swordfish")),
        }
    }

    fn answered(status: u16, body: &Value) -> Failure {
        refused(&origin(), status, &body.to_string(), &HeaderMap::new())
    }

    #[test]
    fn codes_of_every_provider_are_found() {
        for (body, expected) in [
            (
                json!({"error": {"code": "rate_limit_exceeded", "type": "requests"}}),
                "rate_limit_exceeded",
            ),
            (json!({"error": {"code": null, "type": "server_error"}}), "server_error"),
            (json!({"type": "error", "error": {"type": "overloaded_error"}}), "overloaded_error"),
            (json!({"error": {"code": 503, "status": "UNAVAILABLE"}}), "UNAVAILABLE"),
            (json!([{"error": {"code": 503, "status": "UNAVAILABLE"}}]), "UNAVAILABLE"),
            (json!({"object": "error", "type": "bad_request", "code": 400}), "bad_request"),
        ] {
            assert_eq!(answered(503, &body).error.provider_code.as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_does_not_look_like_a_code_is_none() {
        for text in ["", "Some words", "sk-abc", "swordfish", "xX", "1abc", &"a".repeat(65), "a.b"]
        {
            let failure = answered(500, &json!({"error": {"code": text}}));
            assert_eq!(failure.error.provider_code, None, "{text}");
        }
        assert_eq!(answered(500, &json!("a_word")).error.provider_code, None);
    }

    #[test]
    fn a_status_tells_the_kind_and_whether_to_ask_again() {
        for (status, kind, again) in [
            (400, Kind::Rejected, false),
            (401, Kind::Unauthorized, false),
            (402, Kind::RateLimited, false),
            (403, Kind::Unauthorized, false),
            (404, Kind::Unavailable, false),
            (408, Kind::Unavailable, true),
            (413, Kind::ContextTooLong, false),
            (429, Kind::RateLimited, true),
            (500, Kind::Unavailable, true),
            (529, Kind::Unavailable, true),
            (302, Kind::Unavailable, false),
        ] {
            let failure = answered(status, &json!({}));
            assert_eq!((failure.error.kind, failure.again), (kind, again), "{status}");
            assert_eq!(failure.error.status, Some(status));
        }
        let used_up = answered(429, &json!({"error": {"code": "insufficient_quota"}}));
        assert!(!used_up.again);
    }

    #[test]
    fn too_long_is_told_from_wrong() {
        for body in [
            json!({"error": {"code": "context_length_exceeded"}}),
            json!({"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}),
            json!({"error": {"message": "The input token count (9) exceeds the maximum"}}),
            json!({"message": "This model's maximum context length is 8 tokens"}),
            json!({"error": "the input exceeds the context window"}),
        ] {
            assert_eq!(answered(400, &body).error.kind, Kind::ContextTooLong, "{body}");
        }
        assert_eq!(answered(400, &json!({"error": {"message": "no"}})).error.kind, Kind::Rejected);
    }

    #[test]
    fn an_error_in_the_stream_breaks_an_answer_off() {
        let body = json!({"type": "error", "error": {"type": "overloaded_error"}});
        let begun = event(&origin(), &body, true);
        assert_eq!((begun.error.kind, begun.again), (Kind::Interrupted, false));
        let fresh = event(&origin(), &body, false);
        assert_eq!((fresh.error.kind, fresh.again), (Kind::Unavailable, true));
        assert_eq!(fresh.error.provider_code.as_deref(), Some("overloaded_error"));
    }
}
