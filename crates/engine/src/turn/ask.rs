//! One call of the model.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use futures::StreamExt;

use super::Turn;
use crate::{
    event::{StopReason, TurnEvent},
    failure::{Failure, FailureCode},
    message::{Message, Part, Role, ToolCall},
    ports::model::{ModelError, ModelErrorKind, ModelEvent, ModelRequest, ToolChoice},
    usage::Usage,
    window::{self, Shown},
};

/// Between the texts of two calls of the model in one turn.
const BETWEEN_ROUNDS: &str = "\n\n";

/// What the model answered.
pub(super) struct Answer {
    /// The tools it asks for.
    pub(super) calls: Vec<ToolCall>,
    /// Why it stopped.
    pub(super) stop_reason: StopReason,
}

impl Turn {
    /// Asks the model, passes on what it says as it says it, and adds its message to the
    /// conversation.
    pub(super) async fn ask(&mut self, choice: &ToolChoice) -> Result<Answer, Failure> {
        let request = self.model_request(choice)?;
        let before = self.output_bytes;
        let asked = Instant::now();
        let outcome = self.listen(request).await;
        let took = asked.elapsed();
        let usage = outcome.as_ref().map(|(_, usage)| *usage).unwrap_or_default();
        let observer = &self.engine.parts.observer;
        observer.model_asked(&self.answered_by, &usage, outcome.is_ok(), took);
        let (answer, usage) = outcome?;
        if usage.output_tokens == 0 {
            let bytes = self.output_bytes.saturating_sub(before);
            self.uncounted_tokens += window::estimated_tokens(bytes);
        }
        self.usage += usage;
        self.run.push(TurnEvent::Usage { usage });
        Ok(answer)
    }

    /// What to ask, within what is left of the turn's budgets.
    fn model_request(&self, choice: &ToolChoice) -> Result<ModelRequest, Failure> {
        let limits = self.engine.limits();
        let mut parameters = self.plan.parameters.clone();
        if let Some(budget) = limits.max_output_tokens {
            let used = self.usage.output_tokens.saturating_add(self.uncounted_tokens);
            let left = budget.saturating_sub(used);
            if left == 0 {
                return Err(Failure::new(
                    FailureCode::BudgetExceeded,
                    format!("the turn has used its budget of {budget} output tokens"),
                ));
            }
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            parameters.max_tokens = Some(parameters.max_tokens.map_or(left, |max| max.min(left)));
        }
        let fixed = self.plan.system.len() + self.plan.tools_bytes;
        let shown = window::shown(&self.conversation, fixed, limits.context_tokens)?;
        Ok(ModelRequest {
            run_id: self.run.id(),
            system: (!self.plan.system.is_empty()).then(|| Arc::clone(&self.plan.system)),
            messages: self.shown(&shown),
            tools: Arc::clone(&self.plan.offered),
            tool_choice: choice.clone(),
            parameters,
            output: self.request.output.clone(),
            stream: self.request.stream,
            metadata: self.metadata(),
        })
    }

    /// The messages shown, with the caller's instructions from among the others.
    fn shown(&self, shown: &Shown) -> Vec<Message> {
        let (before, after) = self.conversation.split_at(shown.from);
        let is_kept = |(index, message): &(usize, &Message)| {
            message.role == Role::System || shown.question.contains(index)
        };
        let kept = before.iter().enumerate().filter(is_kept).map(|(_, message)| message);
        kept.chain(after).cloned().collect()
    }

    fn metadata(&self) -> Arc<BTreeMap<String, String>> {
        Arc::new(self.request.metadata.clone())
    }

    async fn listen(&mut self, request: ModelRequest) -> Result<(Answer, Usage), Failure> {
        let model = Arc::clone(&self.engine.parts.model);
        let mut stream = model.ask(request).await.map_err(|error| self.model_failure(error))?;
        let mut calls = Vec::new();
        let mut media = Vec::new();
        let finished = loop {
            let Some(event) = stream.next().await else {
                break Err(self.model_failure(broke_off(&self.answered_by.provider)));
            };
            match event.map_err(|error| self.model_failure(error))? {
                ModelEvent::Text(delta) => self.hear(delta)?,
                ModelEvent::Reasoning(delta) => {
                    self.spend(delta.len())?;
                    self.run.push(TurnEvent::Reasoning { delta });
                }
                ModelEvent::ToolCall(call) => {
                    self.spend(call.name.len() + call.arguments.to_string().len())?;
                    calls.push(self.named(call, &calls));
                }
                ModelEvent::Media(made) => {
                    self.run.push(TurnEvent::Media { media: made.clone() });
                    media.push(Part::Media(made));
                }
                ModelEvent::Finished { stop_reason, usage, info } => {
                    self.answered_by = info;
                    break Ok((stop_reason, usage));
                }
            }
        };
        let (stop_reason, usage) = finished?;
        self.remember(media, &calls);
        Ok((Answer { calls, stop_reason }, usage))
    }

    /// Takes so many bytes from what the turn may hold.
    fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        let limit = self.engine.limits().max_output_bytes;
        if bytes > limit.saturating_sub(self.output_bytes) {
            return Err(Failure::new(
                FailureCode::BudgetExceeded,
                format!("the answer is longer than the {limit} bytes that a turn may hold"),
            ));
        }
        self.output_bytes += bytes;
        Ok(())
    }

    /// Passes text on.
    fn hear(&mut self, delta: String) -> Result<(), Failure> {
        let delta = if self.partial.is_empty() && !self.text.is_empty() {
            format!("{BETWEEN_ROUNDS}{delta}")
        } else {
            delta
        };
        self.spend(delta.len())?;
        self.text.push_str(&delta);
        self.partial.push_str(&delta);
        self.run.push(TurnEvent::Text { delta });
        Ok(())
    }

    /// The call with a name that no other call of the turn has: providers leave it out or
    /// repeat it, and results are told apart by nothing else.
    fn named(&self, mut call: ToolCall, siblings: &[ToolCall]) -> ToolCall {
        let taken = |id: &str| {
            siblings.iter().any(|other| other.id == id)
                || self.conversation[self.first_new..]
                    .iter()
                    .any(|message| message.tool_calls().any(|other| other.id == id))
        };
        if call.id.is_empty() || taken(&call.id) {
            call.id = format!("call_{}", uuid::Uuid::new_v4().simple());
        }
        call
    }

    /// Adds the model's whole message to the conversation.
    fn remember(&mut self, media: Vec<Part>, calls: &[ToolCall]) {
        let text = self.take_partial();
        let mut parts = Vec::with_capacity(1 + media.len() + calls.len());
        if !text.is_empty() {
            parts.push(Part::Text { text });
        }
        parts.extend(media);
        parts.extend(calls.iter().cloned().map(Part::ToolCall));
        self.say(Role::Assistant, parts);
    }

    /// The text of the model's call so far, without what sets it apart from the call before.
    pub(super) fn take_partial(&mut self) -> String {
        let text = std::mem::take(&mut self.partial);
        text.strip_prefix(BETWEEN_ROUNDS).map(str::to_owned).unwrap_or(text)
    }

    fn model_failure(&self, error: ModelError) -> Failure {
        tracing::warn!(run_id = %self.run.id(), kind = ?error.kind, status = error.status, "the model failed: {error}");
        error.into_failure()
    }
}

fn broke_off(provider: &str) -> ModelError {
    ModelError {
        kind: ModelErrorKind::Interrupted,
        provider: provider.to_owned(),
        status: None,
        provider_code: None,
        message: "the answer ended without its end".into(),
        retry_after: None,
    }
}
