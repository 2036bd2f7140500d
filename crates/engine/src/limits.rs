//! What one turn, and all of them together, may use.

use std::time::Duration;

/// Budgets, checked before the act and not after.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The longest a turn may take, waiting for its session included.
    pub turn_time: Duration,
    /// The most tool rounds in a turn, whatever the pack says.
    pub max_rounds: u32,
    /// The most tool calls in a turn, whatever the pack says.
    pub max_tool_calls: u32,
    /// The most tokens that the model may write in a turn, over all its calls. Where the provider
    /// counts none they are estimated.
    pub max_output_tokens: Option<u64>,
    /// The most that the model may write in a turn, in bytes: text, reasoning, and what it asks
    /// tools with. A runaway answer ends there.
    pub max_output_bytes: usize,
    /// The longest the caller may take over a client-side tool.
    pub client_tool_time: Duration,
    /// The longest one server-side tool call may take.
    pub tool_time: Duration,
    /// The largest tool result that the model is shown, in bytes.
    pub max_tool_result_bytes: usize,
    /// The most turns at work at a time.
    pub max_running: usize,
    /// The context window in tokens (estimated as bytes / 4); older messages are left out.
    pub context_tokens: Option<u64>,
    /// The most messages of a session that are read back for a turn.
    pub max_history: usize,
    /// What happens to a second turn on a session that has one running.
    pub when_busy: WhenBusy,
    /// How long a session lives unused; none for ever.
    pub session_time_to_live: Option<Duration>,
}

/// What happens to a second turn on a session that has one running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenBusy {
    /// It waits for the first to end.
    Wait,
    /// It fails with `session_busy`.
    Refuse,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turn_time: Duration::from_secs(300),
            max_rounds: 50,
            max_tool_calls: 100,
            max_output_tokens: None,
            max_output_bytes: 4 * 1024 * 1024,
            client_tool_time: Duration::from_secs(120),
            tool_time: Duration::from_secs(60),
            max_tool_result_bytes: 256 * 1024,
            max_running: 4096,
            context_tokens: None,
            max_history: 1000,
            when_busy: WhenBusy::Wait,
            session_time_to_live: Some(Duration::from_secs(30 * 24 * 3600)),
        }
    }
}
