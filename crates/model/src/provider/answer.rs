//! A streamed answer.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bartizan_engine::{
    event::StopReason,
    message::ToolCall,
    ports::model::{ModelError, ModelErrorKind, ModelEvent, ModelStream},
};
use futures::{Stream, StreamExt};
use genai::chat::{ChatStream, ChatStreamEvent, ContentPart, StreamEnd};
use tokio::time::{Instant, Sleep};

use super::{
    Origin, Provider, ProviderKind,
    calls::Calls,
    error::{self, Failure},
    quiet::Quiet,
    request::Prepared,
    state,
};
use crate::circuit::Pass;

/// An answer that has begun; it becomes the stream that the caller gets.
pub(super) enum Begun {
    Streamed(Box<Answer>),
    Whole(Vec<ModelEvent>),
}

impl Begun {
    pub(super) fn into_stream(self, pass: Pass) -> ModelStream {
        match self {
            Self::Streamed(mut answer) => {
                answer.pass = Some(pass);
                Box::into_pin(answer)
            }
            Self::Whole(events) => {
                pass.succeeded();
                futures::stream::iter(events).map(Ok).boxed()
            }
        }
    }
}

/// A streamed answer of one provider.
pub(super) struct Answer {
    origin: Arc<Origin>,
    events: Quiet<ChatStream>,
    calls: Calls,
    taken_ids: Vec<String>,
    /// Reasoning that the server may want back, where it is of that sort.
    reasoning: String,
    /// What was made of the last event and not yet handed on.
    ready: VecDeque<ModelEvent>,
    /// Whether something of the answer was seen.
    begun: bool,
    over: bool,
    patience: Patience,
    pass: Option<Pass>,
}

impl Answer {
    /// Asks, and waits until something of the answer is there.
    pub(super) async fn begin(provider: &Provider, prepared: Prepared) -> Result<Begun, Failure> {
        let Prepared { chat, options, call_ids } = prepared;
        let origin = Arc::clone(&provider.origin);
        let asked = Box::pin(provider.client.exec_chat_stream(
            provider.target.streamed(),
            chat,
            Some(&options),
        ));
        let response = Quiet(asked).await.map_err(|error| error::failure(&origin, error, false))?;
        let mut answer = Box::new(Self {
            calls: Calls::new(origin.kind),
            origin,
            events: Quiet(response.stream),
            taken_ids: call_ids,
            reasoning: String::new(),
            ready: VecDeque::new(),
            begun: false,
            over: false,
            patience: Patience::new(provider.timeouts.first_token),
            pass: None,
        });
        std::future::poll_fn(|context| answer.poll_begin(context)).await?;
        answer.patience.change(provider.timeouts.idle);
        Ok(Begun::Streamed(answer))
    }

    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while !self.begun {
            ready!(self.poll_event(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes one event of the provider's.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self.events.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(event))) => {
                // Before the answer begins only its beginning ends the wait.
                if self.begun {
                    self.patience.restart();
                }
                Poll::Ready(self.take(event))
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Err(error::failure(&self.origin, error, self.begun)))
            }
            Poll::Ready(None) => Poll::Ready(Err(error::broken_off(&self.origin, self.begun))),
            Poll::Pending => {
                ready!(self.patience.poll(context));
                let what =
                    if self.begun { "the provider fell silent" } else { "no answer in time" };
                Poll::Ready(Err(Failure::last(self.origin.error(ModelErrorKind::TimedOut, what))))
            }
        }
    }

    fn take(&mut self, event: ChatStreamEvent) -> Result<(), Failure> {
        match event {
            ChatStreamEvent::Start | ChatStreamEvent::Heartbeat => return Ok(()),
            ChatStreamEvent::Chunk(chunk) => {
                if !chunk.content.is_empty() {
                    self.ready.push_back(ModelEvent::Text(chunk.content));
                }
            }
            ChatStreamEvent::ReasoningChunk(chunk) => {
                if !chunk.content.is_empty() {
                    if self.origin.kind == ProviderKind::OpenAiCompatible {
                        self.reasoning.push_str(&chunk.content);
                    }
                    self.ready.push_back(ModelEvent::Reasoning(chunk.content));
                }
            }
            ChatStreamEvent::ThoughtSignatureChunk(_) => {}
            ChatStreamEvent::ToolCallChunk(chunk) => {
                self.calls.take(chunk.tool_call).map_err(|()| error::nonsense(&self.origin))?;
            }
            ChatStreamEvent::End(end) => self.finish(end)?,
        }
        self.begun = true;
        Ok(())
    }

    fn finish(&mut self, end: StreamEnd) -> Result<(), Failure> {
        // `genai` also ends where the connection did. An answer that is whole says why it stopped,
        // and Ollama's, which need not, counts its tokens then.
        let whole = match self.origin.kind {
            ProviderKind::Gemini => end.captured_stop_reason.is_some(),
            ProviderKind::Ollama => end.captured_usage.is_some(),
            _ => true,
        };
        if !whole {
            return Err(error::broken_off(&self.origin, self.begun));
        }
        let mut calls =
            self.calls.finish(&self.taken_ids).map_err(|()| error::nonsense(&self.origin))?;
        if let Some(first) = calls.first_mut() {
            let parts = end.captured_content.iter().flatten();
            keep_state(&self.origin, first, parts, &self.reasoning);
        }
        let usage = self.origin.usage(&end.captured_usage.unwrap_or_default());
        let stop_reason = stop_reason(end.captured_stop_reason, !calls.is_empty());
        self.ready.extend(calls.into_iter().map(ModelEvent::ToolCall));
        let info = self.origin.info.clone();
        self.ready.push_back(ModelEvent::Finished { stop_reason, usage, info });
        self.over = true;
        if let Some(pass) = self.pass.take() {
            pass.succeeded();
        }
        Ok(())
    }
}

impl Stream for Answer {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.over {
                return Poll::Ready(None);
            }
            if let Err(failure) = ready!(self.poll_event(context)) {
                self.over = true;
                if let Some(pass) = self.pass.take() {
                    pass.failed(failure.error.kind);
                }
                return Poll::Ready(Some(Err(failure.error)));
            }
        }
    }
}

/// Keeps in the first call of a round what the provider wants back with it.
pub(super) fn keep_state<'a>(
    origin: &Origin,
    first: &mut ToolCall,
    parts: impl Iterator<Item = &'a ContentPart>,
    reasoning: &str,
) {
    match origin.kind {
        ProviderKind::Anthropic => {
            first.provider_state =
                parts.filter_map(|part| state::keep(origin.kind, part)).collect();
        }
        // DeepSeek, Kimi and others refuse a tool round without the reasoning that led to it.
        ProviderKind::OpenAiCompatible if !reasoning.is_empty() => {
            first.provider_state = vec![state::keep_reasoning(origin.kind, reasoning)];
        }
        // Gemini's signatures came with the calls themselves; nobody else wants anything back.
        _ => {}
    }
}

/// Why the model stopped. An answer that says nothing of it ended by itself.
pub(super) fn stop_reason(
    reason: Option<genai::chat::StopReason>,
    waits_for_tools: bool,
) -> StopReason {
    use genai::chat::StopReason as Said;
    match reason {
        Some(Said::MaxTokens(_)) => StopReason::MaxTokens,
        Some(Said::ContentFilter(_)) => StopReason::ContentFilter,
        // Gemini and Ollama have no reason of its own for tool calls.
        _ if waits_for_tools => StopReason::ToolCalls,
        Some(Said::StopSequence(_)) => StopReason::StopSequence,
        Some(Said::Completed(_) | Said::ToolCall(_)) | None => StopReason::EndTurn,
        Some(Said::Other(word)) => StopReason::Other(word.chars().take(64).collect()),
    }
}

/// How long one may wait for the next event, counted from when somebody began to wait.
struct Patience {
    limit: Duration,
    /// Since when; none while events are at hand.
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    /// Begins to wait now.
    fn new(limit: Duration) -> Self {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(now + limit));
        Self { limit, since: Some(now), timer }
    }

    fn change(&mut self, limit: Duration) {
        self.limit = limit;
        self.since = None;
    }

    fn restart(&mut self) {
        self.since = None;
    }

    /// Ready when it is at an end. The timer is set anew only when it fires or may fire too late,
    /// which spares the runtime's timer wheel most events.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.since.get_or_insert_with(Instant::now) + self.limit;
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }
}
