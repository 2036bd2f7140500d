//! A turn that is answered in one piece.

use std::sync::Arc;

use bartizan_engine::{
    event::{Execution, LoggedEvent, StopReason, TurnEvent},
    failure::Failure,
    message::{Media, ToolCall},
    run::Run,
    usage::Usage,
};

/// Cancels its run when dropped, for a caller whose going away ends the turn. A run that has
/// ended does not notice.
pub(crate) struct CancelOnDrop(pub(crate) Option<Arc<Run>>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(run) = &self.0 {
            run.cancel();
        }
    }
}

/// What a turn came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// All text; of a turn that ended badly, what was said until then.
    pub(crate) text: String,
    /// All reasoning.
    pub(crate) reasoning: String,
    /// The calls that the caller must run.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// What was made.
    pub(crate) media: Vec<Media>,
    /// Why it ended; none where it has not, or badly.
    pub(crate) stop_reason: Option<StopReason>,
    /// What it used.
    pub(crate) usage: Usage,
    /// Whether the mock answered.
    pub(crate) mock: bool,
    /// Why it ended badly.
    pub(crate) failure: Option<Failure>,
}

impl Outcome {
    /// Waits for the run's end.
    pub(crate) async fn of(run: &Arc<Run>) -> Self {
        let mut outcome = Self::default();
        let mut events = run.follow(0);
        while let Some(batch) = events.next_batch().await {
            batch.iter().for_each(|logged| outcome.take(logged));
        }
        outcome
    }

    /// What events that are all there came to.
    pub(crate) fn of_events(events: &[LoggedEvent]) -> Self {
        let mut outcome = Self::default();
        events.iter().for_each(|logged| outcome.take(logged));
        outcome
    }

    fn take(&mut self, logged: &LoggedEvent) {
        match &logged.event {
            TurnEvent::Started { mock, .. } => self.mock = *mock,
            TurnEvent::Reasoning { delta } => self.reasoning.push_str(delta),
            TurnEvent::ToolCall { call, execution: Execution::Client } => {
                self.tool_calls.push(call.clone());
            }
            TurnEvent::Media { media } => self.media.push(media.clone()),
            TurnEvent::Done { stop_reason, text, usage } => {
                self.stop_reason = Some(stop_reason.clone());
                self.text.clone_from(text);
                self.usage = *usage;
            }
            TurnEvent::Failed { .. } => self.failure = logged.event.failure(),
            TurnEvent::Text { delta } => self.text.push_str(delta),
            // `Done` sums up the use.
            TurnEvent::Usage { .. } => {}
            TurnEvent::ToolCall { .. } | TurnEvent::ToolResult { .. } => {}
        }
    }
}
