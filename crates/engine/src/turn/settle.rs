//! What is written when a turn ends.

use std::sync::Arc;

use super::Turn;
use crate::{
    event::{LoggedEvent, StopReason, TurnEvent},
    failure::{Failure, FailureCode},
    message::{Message, Part, Role},
    ports::store::{RunStatus, SessionChange, StoreError, TurnRecord, expiry},
    window,
};

impl Turn {
    /// Stores the turn, then tells its followers how it ended.
    pub(super) async fn settle(mut self, outcome: Result<StopReason, Failure>) {
        let mut last = self.last_event(&outcome);
        if let Err(error) = self.store(&outcome, &last).await {
            // What is not stored did not happen, as far as the caller is told.
            let failure = match outcome {
                Err(failure) => failure,
                Ok(_) => Failure::from(error),
            };
            tracing::error!(run_id = %self.run.id(), detail = failure.detail, "a turn could not be stored");
            last = TurnEvent::failed(&failure);
        } else if let Err(failure) = &outcome {
            tracing::info!(run_id = %self.run.id(), code = failure.code.as_str(), detail = failure.detail, "a turn failed");
        }
        let code = match &last {
            TurnEvent::Failed { code, .. } => Some(*code),
            _ => None,
        };
        let observer = &self.engine.parts.observer;
        observer.turn_finished(self.run.agent(), code, self.began.elapsed());
        self.run.push(last);
    }

    fn last_event(&self, outcome: &Result<StopReason, Failure>) -> TurnEvent {
        match outcome {
            Ok(stop_reason) => TurnEvent::Done {
                stop_reason: stop_reason.clone(),
                text: self.text.clone(),
                usage: self.usage,
            },
            Err(failure) => TurnEvent::failed(failure),
        }
    }

    /// Writes the turn in one transaction.
    async fn store(
        &mut self,
        outcome: &Result<StopReason, Failure>,
        last: &TurnEvent,
    ) -> Result<(), StoreError> {
        let now = self.engine.clock().now();
        let mut run = self.record(match outcome {
            Ok(_) => RunStatus::Completed,
            Err(failure) if failure.code == FailureCode::Cancelled => RunStatus::Cancelled,
            Err(_) => RunStatus::Failed,
        });
        run.finished_at = Some(now);
        match outcome {
            Ok(stop_reason) => run.stop_reason = Some(stop_reason.clone()),
            Err(failure) => run.failure = Some((failure.code, failure.message.clone())),
        }
        let messages = self.take_messages(outcome.is_ok());
        // A turn that failed before anything was said makes no session.
        let makes_nothing = self.creates_session && messages.is_empty();
        let session = self.session.take().filter(|_| !makes_nothing).map(|mut session| {
            session.updated_at = now;
            session.expires_at = expiry(now, self.engine.limits().session_time_to_live);
            SessionChange { session, create: self.creates_session }
        });
        let events = if session.is_some() { self.events_with(last) } else { Vec::new() };
        if session.is_none() {
            run.session_id = None;
        }
        self.engine.store().finish_turn(TurnRecord { run, session, messages, events }).await
    }

    /// The messages that the turn adds to its session.
    ///
    /// A turn that failed before the model said anything adds none, so that the next turn does
    /// not find a question without an answer. One that failed later keeps what was said, marked
    /// as incomplete.
    fn take_messages(&mut self, went_well: bool) -> Vec<Message> {
        if self.session.is_none() {
            return Vec::new();
        }
        let mut messages = self.conversation.split_off(self.first_new);
        if !went_well {
            let partial = self.take_partial();
            if !partial.is_empty() {
                let parts = vec![Part::Text { text: partial }];
                messages.push(Message { role: Role::Assistant, parts, complete: false });
            } else if messages.len() <= self.brought {
                return Vec::new();
            }
            window::answer_open_calls(&mut messages);
        }
        // A caller's instructions hold for the turn they came with.
        messages.retain(|message| message.role != Role::System);
        messages
    }

    fn events_with(&self, last: &TurnEvent) -> Vec<Arc<LoggedEvent>> {
        let mut events = self.run.events();
        let id = events.last().map_or(1, |event| event.id + 1);
        events.push(Arc::new(LoggedEvent { id, event: last.clone() }));
        events
    }
}
