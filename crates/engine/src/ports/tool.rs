//! Something an agent can do.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    identity::{RunId, SessionId},
    owner::Owner,
    ports::model::ToolSpec,
};

/// Something an agent can do that runs on the server.
///
/// The engine has checked the arguments against [`ToolSpec::parameters`] before it calls, and
/// bounds the time by the turn's budget; a tool's own time-out, retries and size limits are its
/// own affair.
#[async_trait]
pub trait Tool: Send + Sync {
    /// The tool as the model sees it.
    fn spec(&self) -> &ToolSpec;

    /// Does it.
    ///
    /// # Errors
    /// [`ToolError`], which the model sees as the call's result; the turn goes on.
    async fn call(&self, arguments: &Value, context: &ToolContext) -> Result<Value, ToolError>;
}

/// For whom and within what a tool runs.
#[derive(Clone, Debug)]
pub struct ToolContext {
    /// The run.
    pub run_id: RunId,
    /// The session, where there is one.
    pub session_id: Option<SessionId>,
    /// On whose behalf.
    pub owner: Arc<Owner>,
    /// The agent, as `pack/prompt`.
    pub agent: Arc<str>,
    /// Cancelled when the turn is.
    pub cancelled: CancellationToken,
}

/// Why a tool failed, in words fit for the model: no secret, no internal address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    /// What the model is told.
    pub message: String,
    /// What only the log is told.
    pub detail: Option<String>,
}

impl ToolError {
    /// A failure that the model is told in these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None }
    }

    /// Adds what only the log may hold.
    #[must_use]
    pub fn detail(mut self, detail: impl std::fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}
