//! A run: a turn at work, its log of events, and those who follow it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{Agent, Consent},
    event::{LoggedEvent, TurnEvent},
    failure::{Failure, FailureCode},
    identity::{RunId, SessionId},
    message::ToolResult,
    owner::Owner,
};

/// A turn at work. It lives on its own task and does not end with the connection that began it.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    owner: Arc<Owner>,
    session_id: Option<SessionId>,
    agent: Arc<Agent>,
    log: RunLog,
    cancelled: CancellationToken,
    client_results: mpsc::UnboundedSender<ToolResult>,
    waiting_calls: Mutex<Vec<String>>,
}

impl Run {
    /// A run that has not begun, and the end at which its turn receives what callers' tools
    /// answered.
    pub(crate) fn new(
        id: RunId,
        owner: Arc<Owner>,
        session_id: Option<SessionId>,
        agent: Arc<Agent>,
        cancelled: CancellationToken,
    ) -> (Self, mpsc::UnboundedReceiver<ToolResult>) {
        let (client_results, receiver) = mpsc::unbounded_channel();
        let run = Self {
            id,
            owner,
            session_id,
            agent,
            log: RunLog::new(),
            cancelled,
            client_results,
            waiting_calls: Mutex::new(Vec::new()),
        };
        (run, receiver)
    }

    /// Its name.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The session it belongs to; none where the conversation is not kept.
    pub fn session_id(&self) -> Option<&SessionId> {
        self.session_id.as_ref()
    }

    /// The agent, as `pack/prompt`.
    pub fn agent(&self) -> &str {
        &self.agent.name
    }

    /// What the caller's user should be asked before this tool runs on their side; none where
    /// the tool is the caller's own.
    pub fn consent(&self, tool: &str) -> Option<&Consent> {
        self.agent.client_tools.get(tool).map(|bound| &bound.consent)
    }

    /// Follows the run from the event after the one with id `after` (0 for all).
    pub fn follow(self: &Arc<Self>, after: u64) -> RunEvents {
        RunEvents { changes: self.log.changes.subscribe(), run: Arc::clone(self), seen: after }
    }

    /// Asks the turn to stop. It ends with `Failed` and the code `cancelled`.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Cancelled when the run is.
    pub(crate) fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Hands in what the caller's tool answered.
    ///
    /// # Errors
    /// [`FailureCode::UnknownToolCall`] where no call of that id waits for an answer.
    pub fn submit(&self, result: ToolResult) -> Result<(), Failure> {
        let mut waiting = self.waiting_calls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = waiting.iter().position(|id| *id == result.call_id) else {
            return Err(Failure::new(
                FailureCode::UnknownToolCall,
                format!("no tool call '{}' of this run waits for a result", result.call_id),
            )
            .param("call_id"));
        };
        waiting.swap_remove(index);
        // Sent under the lock: once `forget_client` has had it, nothing more comes for that call.
        self.client_results.send(result).map_err(|_| {
            Failure::new(FailureCode::UnknownToolCall, "the run has ended").param("call_id")
        })
    }

    /// Notes that the caller owes an answer to this call.
    pub(crate) fn await_client(&self, call_id: &str) {
        self.waiting_calls.lock().unwrap_or_else(PoisonError::into_inner).push(call_id.to_owned());
    }

    /// Notes that the caller's answer to this call comes too late.
    pub(crate) fn forget_client(&self, call_id: &str) {
        self.waiting_calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|waiting| waiting != call_id);
    }

    /// Whether the last event is written.
    pub fn is_finished(&self) -> bool {
        self.log.changes.borrow().finished
    }

    /// Appends to the log.
    pub(crate) fn push(&self, event: TurnEvent) {
        self.log.push(event);
    }

    /// The log as it stands.
    pub(crate) fn events(&self) -> Vec<Arc<LoggedEvent>> {
        self.log.after(0)
    }

    /// Waits for the end and returns the last event.
    pub fn finished(self: &Arc<Self>) -> impl Future<Output = Arc<LoggedEvent>> + Send + use<> {
        let run = Arc::clone(self);
        async move {
            let mut changes = run.log.changes.subscribe();
            // The sender lives in `run`, so waiting cannot fail.
            let _ = changes.wait_for(|state| state.finished).await;
            run.log.last()
        }
    }
}

/// The events of a run, each exactly once and in order.
#[derive(Debug)]
pub struct RunEvents {
    run: Arc<Run>,
    changes: watch::Receiver<LogState>,
    seen: u64,
}

impl RunEvents {
    /// All events that are there and were not returned yet; waits while there are none. `None`
    /// after the last one. Dropping the future loses nothing.
    pub async fn next_batch(&mut self) -> Option<Vec<Arc<LoggedEvent>>> {
        let seen = self.seen;
        let state =
            *self.changes.wait_for(|state| state.last > seen || state.finished).await.ok()?;
        if state.last <= seen {
            return None;
        }
        let batch = self.run.log.after(seen);
        self.seen = batch.last().map_or(seen, |event| event.id);
        Some(batch)
    }

    /// The run followed.
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }
}

/// The events so far, and a bell for those who wait for more.
#[derive(Debug)]
struct RunLog {
    events: Mutex<Vec<Arc<LoggedEvent>>>,
    changes: watch::Sender<LogState>,
}

/// What followers wait for.
#[derive(Clone, Copy, Debug)]
struct LogState {
    last: u64,
    finished: bool,
}

impl RunLog {
    fn new() -> Self {
        let (changes, _) = watch::channel(LogState { last: 0, finished: false });
        Self { events: Mutex::new(Vec::with_capacity(16)), changes }
    }

    fn push(&self, event: TurnEvent) {
        let finished = event.is_last();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let id = events.last().map_or(1, |last| last.id + 1);
        events.push(Arc::new(LoggedEvent { id, event }));
        drop(events);
        self.changes.send_replace(LogState { last: id, finished });
    }

    fn after(&self, seen: u64) -> Vec<Arc<LoggedEvent>> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // Ids count from 1 without gaps, so the id is the index of the event after it.
        let start = usize::try_from(seen).unwrap_or(usize::MAX).min(events.len());
        events[start..].to_vec()
    }

    fn last(&self) -> Arc<LoggedEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.last().cloned().unwrap_or_else(|| {
            Arc::new(LoggedEvent {
                id: 0,
                event: TurnEvent::failed(&Failure::new(
                    FailureCode::Internal,
                    "the run has no events",
                )),
            })
        })
    }
}
