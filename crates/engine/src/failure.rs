//! How a turn can fail.
//!
//! A failure has a code, a message for the caller and a detail for the log; the two texts never
//! mix. Which HTTP or gRPC status a code becomes is the doors' affair and nothing here knows it.

use serde::{Deserialize, Serialize};

/// The kinds of failure, as callers see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The request makes no sense; the message says where.
    InvalidRequest,
    /// The request is larger than allowed.
    TooLarge,
    /// The agent does not take this kind of content.
    UnsupportedContent,
    /// A variable is missing or has the wrong type or value.
    InvalidVariable,
    /// No agent of that name.
    UnknownAgent,
    /// No such session, or another's.
    UnknownSession,
    /// No such run, or another's.
    UnknownRun,
    /// A session of that name exists already.
    SessionExists,
    /// Another turn of the session is running.
    SessionBusy,
    /// No tool call of that name waits for a result.
    UnknownToolCall,
    /// The conversation does not fit the model.
    ContextTooLong,
    /// A budget of the turn is used up.
    BudgetExceeded,
    /// The turn took longer than it may.
    TimedOut,
    /// Somebody cancelled the turn.
    Cancelled,
    /// The server stopped in the middle of the turn.
    Interrupted,
    /// The provider refused our credentials.
    ModelUnauthorized,
    /// The provider asks us to slow down.
    ModelRateLimited,
    /// The provider refused the request.
    ModelRejected,
    /// The provider cannot be reached or answers with errors.
    ModelUnavailable,
    /// The provider was silent for too long.
    ModelTimedOut,
    /// The provider's answer broke off.
    ModelInterrupted,
    /// The provider's answer made no sense.
    ModelMalformed,
    /// The store cannot be read or written.
    StoreUnavailable,
    /// The process is stopping and takes no new turns.
    ShuttingDown,
    /// The server is doing as much as it may.
    Overloaded,
    /// A defect of ours.
    Internal,
}

impl FailureCode {
    /// The code as callers see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::TooLarge => "too_large",
            Self::UnsupportedContent => "unsupported_content",
            Self::InvalidVariable => "invalid_variable",
            Self::UnknownAgent => "unknown_agent",
            Self::UnknownSession => "unknown_session",
            Self::UnknownRun => "unknown_run",
            Self::SessionExists => "session_exists",
            Self::SessionBusy => "session_busy",
            Self::UnknownToolCall => "unknown_tool_call",
            Self::ContextTooLong => "context_too_long",
            Self::BudgetExceeded => "budget_exceeded",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::ModelUnauthorized => "model_unauthorized",
            Self::ModelRateLimited => "model_rate_limited",
            Self::ModelRejected => "model_rejected",
            Self::ModelUnavailable => "model_unavailable",
            Self::ModelTimedOut => "model_timed_out",
            Self::ModelInterrupted => "model_interrupted",
            Self::ModelMalformed => "model_malformed",
            Self::StoreUnavailable => "store_unavailable",
            Self::ShuttingDown => "shutting_down",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }
}

/// A failure: what the caller is told, and what only the log is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Failure {
    /// The kind.
    pub code: FailureCode,
    /// What was wrong, where, and what to do, in words fit for the caller.
    pub message: String,
    /// The field of the request at fault, where there is one.
    pub param: Option<String>,
    /// What an operator needs to know and a caller must not.
    pub detail: Option<String>,
    /// How long the caller should wait before trying again.
    pub retry_after: Option<std::time::Duration>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, detail: None, retry_after: None }
    }

    /// Names the field at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds what only the log may hold.
    #[must_use]
    pub fn detail(mut self, detail: impl std::fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}
