//! The one table from what went wrong to what each protocol calls it.
//!
//! The engine knows kinds of failure and no protocol; the doors know protocols and decide
//! nothing. This file is where the two meet: [`answer`] gives for every [`FailureCode`] the HTTP
//! status (RFC 9110), the gRPC status and the `type` that OpenAI's clients read. The match is
//! exhaustive, so a new kind of failure does not compile until it has its answers.
//!
//! Over HTTP every error has one shape, OpenAI's with the request's id added:
//!
//! ```json
//! {"error": {"code": "unknown_agent", "message": "…", "type": "not_found_error",
//!            "param": "model", "request_id": "…"}}
//! ```
//!
//! What only an operator may know ([`Failure::detail`]) goes to the log with the request's id
//! and never into an answer.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bartizan_engine::failure::{Failure, FailureCode};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// What each protocol calls one kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub http: StatusCode,
    /// The gRPC status.
    pub grpc: GrpcCode,
    /// The `type` of OpenAI's error objects.
    pub kind: &'static str,
}

/// The gRPC statuses that are answered; the numbers are the protocol's own
/// (<https://grpc.io/docs/guides/status-codes/>), so that `tonic::Code::from(code as i32)` is
/// the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum GrpcCode {
    /// `CANCELLED`
    Cancelled = 1,
    /// `INVALID_ARGUMENT`
    InvalidArgument = 3,
    /// `DEADLINE_EXCEEDED`
    DeadlineExceeded = 4,
    /// `NOT_FOUND`
    NotFound = 5,
    /// `ALREADY_EXISTS`
    AlreadyExists = 6,
    /// `RESOURCE_EXHAUSTED`
    ResourceExhausted = 8,
    /// `FAILED_PRECONDITION`
    FailedPrecondition = 9,
    /// `ABORTED`
    Aborted = 10,
    /// `INTERNAL`
    Internal = 13,
    /// `UNAVAILABLE`
    Unavailable = 14,
}

const INVALID_REQUEST: &str = "invalid_request_error";
const NOT_FOUND: &str = "not_found_error";
const CONFLICT: &str = "conflict_error";
const LIMIT: &str = "limit_error";
const RATE_LIMIT: &str = "rate_limit_error";
const TIMEOUT: &str = "timeout_error";
const CANCELLED: &str = "cancelled_error";
const PROVIDER: &str = "provider_error";
const SERVER: &str = "server_error";

/// The longest message of an error, in bytes. Messages repeat what the caller wrote, which can be
/// as long as a request.
pub(crate) const LONGEST_MESSAGE: usize = 2048;
/// The longest name of a field at fault, in bytes.
const LONGEST_PARAM: usize = 256;

/// The text, cut where it is longer than `most` bytes.
pub(crate) fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

/// 499, "client closed request": nobody waits for it, but logs and metrics do.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What each protocol calls this kind of failure.
///
/// Clients retry 409, 429 and 5xx by themselves (OpenAI's do, twice). So what another attempt
/// can cure has such a status, and what it cannot, a used-up budget or a request that the
/// provider refuses, has not.
pub fn answer(code: FailureCode) -> Answer {
    use FailureCode as F;
    use GrpcCode as G;
    use StatusCode as S;
    let (http, grpc, kind) = match code {
        F::InvalidRequest => (S::BAD_REQUEST, G::InvalidArgument, INVALID_REQUEST),
        F::TooLarge => (S::PAYLOAD_TOO_LARGE, G::InvalidArgument, INVALID_REQUEST),
        F::UnsupportedContent => (S::UNPROCESSABLE_ENTITY, G::InvalidArgument, INVALID_REQUEST),
        F::InvalidVariable => (S::UNPROCESSABLE_ENTITY, G::InvalidArgument, INVALID_REQUEST),
        F::UnknownAgent => (S::NOT_FOUND, G::NotFound, NOT_FOUND),
        F::UnknownSession => (S::NOT_FOUND, G::NotFound, NOT_FOUND),
        F::UnknownRun => (S::NOT_FOUND, G::NotFound, NOT_FOUND),
        F::UnknownToolCall => (S::NOT_FOUND, G::NotFound, NOT_FOUND),
        F::SessionExists => (S::CONFLICT, G::AlreadyExists, CONFLICT),
        F::SessionBusy => (S::CONFLICT, G::Aborted, CONFLICT),
        F::ContextTooLong => (S::BAD_REQUEST, G::InvalidArgument, INVALID_REQUEST),
        F::BudgetExceeded => (S::UNPROCESSABLE_ENTITY, G::ResourceExhausted, LIMIT),
        F::TimedOut => (S::GATEWAY_TIMEOUT, G::DeadlineExceeded, TIMEOUT),
        F::Cancelled => (
            StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(S::BAD_REQUEST),
            G::Cancelled,
            CANCELLED,
        ),
        F::Interrupted => (S::SERVICE_UNAVAILABLE, G::Unavailable, SERVER),
        F::ModelUnauthorized => (S::BAD_GATEWAY, G::FailedPrecondition, PROVIDER),
        F::ModelRateLimited => (S::TOO_MANY_REQUESTS, G::ResourceExhausted, RATE_LIMIT),
        F::ModelRejected => (S::BAD_REQUEST, G::FailedPrecondition, PROVIDER),
        F::ModelUnavailable => (S::SERVICE_UNAVAILABLE, G::Unavailable, PROVIDER),
        F::ModelTimedOut => (S::GATEWAY_TIMEOUT, G::DeadlineExceeded, PROVIDER),
        F::ModelInterrupted => (S::BAD_GATEWAY, G::Unavailable, PROVIDER),
        F::ModelMalformed => (S::BAD_GATEWAY, G::Unavailable, PROVIDER),
        F::StoreUnavailable => (S::SERVICE_UNAVAILABLE, G::Unavailable, SERVER),
        F::ShuttingDown => (S::SERVICE_UNAVAILABLE, G::Unavailable, SERVER),
        F::Overloaded => (S::SERVICE_UNAVAILABLE, G::ResourceExhausted, SERVER),
        F::Internal => (S::INTERNAL_SERVER_ERROR, G::Internal, SERVER),
    };
    Answer { http, grpc, kind }
}

/// How long a caller is asked to stay away where the failure itself does not say.
fn usual_retry_after(code: FailureCode) -> Option<Duration> {
    match code {
        FailureCode::Overloaded | FailureCode::ShuttingDown => Some(Duration::from_secs(1)),
        FailureCode::StoreUnavailable => Some(Duration::from_secs(2)),
        _ => None,
    }
}

/// An error on its way to an HTTP caller.
///
/// As a response it is a status without a body: the outermost layer (`http/edge.rs`), which
/// alone knows the request's id, writes the body with [`ApiError::body`] and the log line with
/// [`ApiError::log`]. So no handler can answer an error in another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    message: Box<str>,
    param: Option<Box<str>>,
    detail: Option<Box<str>>,
    retry_after: Option<Duration>,
}

/// The body of every error over HTTP.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody<'a> {
    /// The error.
    #[schema(inline)]
    error: ErrorObject<'a>,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct ErrorObject<'a> {
    /// The kind of failure, for programs; see docs/errors.md for all of them.
    #[schema(example = "unknown_agent")]
    code: &'a str,
    /// What was wrong, where, and what to do.
    message: &'a str,
    /// The family of kinds that OpenAI's clients know.
    #[serde(rename = "type")]
    #[schema(example = "not_found_error")]
    kind: &'a str,
    /// The field of the request at fault, where there is one.
    #[schema(required)]
    param: Option<&'a str>,
    /// Names the request in the server's log.
    request_id: &'a str,
}

impl ApiError {
    /// A request that makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Failure::new(FailureCode::InvalidRequest, message).into()
    }

    /// A request that is larger than allowed.
    pub fn too_large(message: impl Into<String>) -> Self {
        Failure::new(FailureCode::TooLarge, message).into()
    }

    /// No route of that path.
    pub fn no_route(path: &str) -> Self {
        let mut error = Self::invalid(format!("there is no route {path}; see /openapi.json"));
        error.status = StatusCode::NOT_FOUND;
        error.kind = NOT_FOUND;
        error.code = "unknown_route";
        error
    }

    /// A route, but not by this method.
    pub fn method_not_allowed(method: &http::Method, path: &str) -> Self {
        let mut error = Self::invalid(format!("{path} does not take {method}; see /openapi.json"));
        error.status = StatusCode::METHOD_NOT_ALLOWED;
        error.code = "method_not_allowed";
        error
    }

    /// A request that is meant for a host that this is not.
    pub fn misdirected(host: &str) -> Self {
        let mut error = Self::invalid(format!(
            "this server is not '{host}'; call it by its address or as localhost"
        ));
        error.status = StatusCode::MISDIRECTED_REQUEST;
        error.code = "misdirected_request";
        error
    }

    /// A body that does not say it is JSON.
    pub fn unsupported_media_type() -> Self {
        let mut error =
            Self::invalid("the body must be JSON, with `content-type: application/json`");
        error.status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        error.code = "unsupported_media_type";
        error
    }

    /// A body that is compressed.
    pub fn unsupported_encoding() -> Self {
        let mut error = Self::unsupported_media_type();
        error.message = "the body must not be compressed: send it without content-encoding".into();
        error
    }

    /// A body that did not arrive in time.
    pub fn request_timed_out() -> Self {
        let mut error = Self::invalid("the body of the request did not arrive in time");
        error.status = StatusCode::REQUEST_TIMEOUT;
        error.kind = TIMEOUT;
        error.code = "request_timed_out";
        error
    }

    /// A defect of ours; `detail` is for the log.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Failure::new(
            FailureCode::Internal,
            "the server failed; its log has the cause under this request's id",
        )
        .detail(detail)
        .into()
    }

    /// Names the field at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(shortened(param.into(), LONGEST_PARAM).into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The code that programs read.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The JSON text of the body.
    pub fn body(&self, request_id: &str) -> String {
        let body = ErrorBody {
            error: ErrorObject {
                code: self.code,
                message: &self.message,
                kind: self.kind,
                param: self.param.as_deref(),
                request_id,
            },
        };
        // Strings only: this cannot fail. An empty object is still JSON if it ever should.
        serde_json::to_string(&body).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Writes what only an operator may know to the log.
    /// `run_id` is the run that failed, where one had begun: the log tells its story.
    pub fn log(&self, request_id: &str, run_id: Option<&str>) {
        let (status, code) = (self.status.as_u16(), self.code);
        match &self.detail {
            Some(detail) => {
                tracing::warn!(request_id, run_id, status, code, detail, "request failed");
            }
            None if self.status.is_server_error() => {
                tracing::warn!(request_id, run_id, status, code, "request failed");
            }
            None => tracing::debug!(request_id, run_id, status, code, "request refused"),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let Answer { http, kind, .. } = answer(failure.code);
        Self {
            status: http,
            kind,
            code: failure.code.as_str(),
            message: shortened(failure.message, LONGEST_MESSAGE).into(),
            param: failure.param.map(|param| shortened(param, LONGEST_PARAM).into()),
            detail: failure.detail.map(Into::into),
            retry_after: failure.retry_after.or_else(|| usual_retry_after(failure.code)),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up: RFC 9110 section 10.2.3 has no finer.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_stays_out_of_the_body() {
        let failure = Failure::new(FailureCode::StoreUnavailable, "try again later")
            .detail("/var/lib/bartizan: disk I/O error");
        let body = ApiError::from(failure).body("r-1");
        assert!(!body.contains("disk"));
        assert_eq!(
            body,
            r#"{"error":{"code":"store_unavailable","message":"try again later","type":"server_error","param":null,"request_id":"r-1"}}"#
        );
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let mut failure = Failure::new(FailureCode::ModelRateLimited, "slow down");
        failure.retry_after = Some(Duration::from_millis(1200));
        let response = ApiError::from(failure).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }

    #[test]
    fn grpc_codes_are_the_protocols_own() {
        assert_eq!(tonic::Code::from(GrpcCode::Unavailable as i32), tonic::Code::Unavailable);
        assert_eq!(tonic::Code::from(GrpcCode::Aborted as i32), tonic::Code::Aborted);
    }

    /// Every kind of failure, and the errors that HTTP adds.
    #[test]
    fn the_documented_table_is_this_one() {
        use FailureCode as F;
        let codes = [
            F::InvalidRequest,
            F::TooLarge,
            F::UnsupportedContent,
            F::InvalidVariable,
            F::UnknownAgent,
            F::UnknownSession,
            F::UnknownRun,
            F::UnknownToolCall,
            F::SessionExists,
            F::SessionBusy,
            F::ContextTooLong,
            F::BudgetExceeded,
            F::TimedOut,
            F::Cancelled,
            F::Interrupted,
            F::ModelUnauthorized,
            F::ModelRateLimited,
            F::ModelRejected,
            F::ModelUnavailable,
            F::ModelTimedOut,
            F::ModelInterrupted,
            F::ModelMalformed,
            F::StoreUnavailable,
            F::ShuttingDown,
            F::Overloaded,
            F::Internal,
        ];
        let page = include_str!("../../../docs/errors.md");
        for code in codes {
            let Answer { http, grpc, kind } = answer(code);
            let grpc = tonic::Code::from(grpc as i32);
            let row =
                format!("| `{}` | {} | `{grpc:?}` | `{kind}` |", code.as_str(), http.as_u16());
            assert!(page.contains(&row), "docs/errors.md lacks: {row}");
        }
        let host = "evil.example";
        for error in [
            ApiError::no_route(host),
            ApiError::method_not_allowed(&http::Method::PUT, host),
            ApiError::misdirected(host),
            ApiError::unsupported_media_type(),
            ApiError::request_timed_out(),
        ] {
            let row =
                format!("| `{}` | {} | `{}` |", error.code, error.status.as_u16(), error.kind);
            assert!(page.contains(&row), "docs/errors.md lacks: {row}");
        }
    }
}
