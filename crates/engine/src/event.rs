//! What happens in a turn, in order.
//!
//! Every door is a translation of this one stream. A turn starts with `Started` and ends with
//! exactly one `Done` or `Failed`; nothing follows either.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    failure::{Failure, FailureCode},
    identity::{RunId, SessionId},
    message::{Media, ToolCall, ToolResult},
    usage::Usage,
};

/// One thing that happened in a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TurnEvent {
    /// The turn began.
    Started {
        /// The run.
        run_id: RunId,
        /// The session it belongs to; none where the conversation is not kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_id: Option<SessionId>,
        /// The agent, as `pack/prompt`.
        agent: String,
        /// The model asked.
        model: String,
        /// Whether the model is the mock.
        mock: bool,
    },
    /// The model wrote some text.
    Text {
        /// What it wrote, to be appended to what it wrote before.
        delta: String,
    },
    /// The model thought aloud.
    Reasoning {
        /// To be appended to the reasoning before.
        delta: String,
    },
    /// The model asked for a tool.
    ToolCall {
        /// The call.
        call: ToolCall,
        /// Who runs it.
        execution: Execution,
    },
    /// A tool answered.
    ToolResult {
        /// The answer.
        result: ToolResult,
    },
    /// The model made an image, a recording or a document.
    Media {
        /// What it made.
        media: Media,
    },
    /// What one call of the model used.
    Usage {
        /// The use of that call alone.
        usage: Usage,
    },
    /// The turn ended well, and is stored.
    Done {
        /// Why the model stopped.
        stop_reason: StopReason,
        /// All text of the turn: the concatenation of its `Text` deltas.
        text: String,
        /// The use of the whole turn.
        usage: Usage,
    },
    /// The turn ended badly. What was streamed before stands, and is stored as incomplete.
    Failed {
        /// The kind of failure.
        code: FailureCode,
        /// What to tell the caller.
        message: String,
        /// How long the caller should wait before trying again, in whole seconds, where that is
        /// known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u64>,
    },
}

impl TurnEvent {
    /// The end of a turn that failed so, without what only the log may hold.
    pub fn failed(failure: &Failure) -> Self {
        Self::Failed {
            code: failure.code,
            message: failure.message.clone(),
            retry_after_seconds: failure
                .retry_after
                .map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        }
    }

    /// The failure that this event tells of.
    pub fn failure(&self) -> Option<Failure> {
        let Self::Failed { code, message, retry_after_seconds } = self else { return None };
        let mut failure = Failure::new(*code, message.clone());
        failure.retry_after = retry_after_seconds.map(Duration::from_secs);
        Some(failure)
    }

    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed { .. })
    }

    /// The event's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Text { .. } => "text",
            Self::Reasoning { .. } => "reasoning",
            Self::ToolCall { .. } => "tool_call",
            Self::ToolResult { .. } => "tool_result",
            Self::Media { .. } => "media",
            Self::Usage { .. } => "usage",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Who runs a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Execution {
    /// Bartizan.
    Server,
    /// The caller, who sends the result back.
    Client,
}

/// Why a turn ended well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model had said what it had to say.
    EndTurn,
    /// The output limit was reached.
    MaxTokens,
    /// A stop sequence was written.
    StopSequence,
    /// The caller must run tools and come back with their results.
    ToolCalls,
    /// The limit of tool rounds or calls was reached and the model answered without tools.
    ToolLimit,
    /// The provider withheld the answer.
    ContentFilter,
    /// Anything else, in the provider's words.
    Other(String),
}

/// An event with its place in the run's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// 1 for the first event of the run, then one more each.
    pub id: u64,
    /// The event.
    #[serde(flatten)]
    pub event: TurnEvent,
}
