//! An answer that is not streamed.

use bartizan_engine::{
    message::{Media, MediaKind, MediaSource},
    ports::model::{ModelErrorKind, ModelEvent},
};
use genai::chat::{BinarySource, ChatResponse, ContentPart, StopReason, ToolCall, Usage};
use serde_json::Value;

use super::{
    Origin, Provider,
    answer::{Begun, keep_state, stop_reason},
    calls::Calls,
    error::{self, Failure},
    output::is_openai_protocol,
    quiet::Quiet,
    request::Prepared,
};

/// Asks and waits for the whole answer.
pub(super) async fn answer(provider: &Provider, prepared: Prepared) -> Result<Begun, Failure> {
    let Prepared { chat, options, call_ids } = prepared;
    let origin = &*provider.origin;
    let asked = Box::pin(provider.client.exec_chat(provider.target.whole(), chat, Some(&options)));
    let response = tokio::time::timeout(provider.timeouts.answer, Quiet(asked))
        .await
        .map_err(|_| Failure::last(origin.error(ModelErrorKind::TimedOut, "no answer in time")))?;
    let whole = match response {
        Ok(mut response) => match response.captured_raw_body.take() {
            Some(body) => Whole::of_openai(body),
            None => Some(Whole::of(origin, response)),
        },
        Err(genai::Error::ChatResponseGeneration { response_body, .. })
            if is_openai_protocol(origin.kind) =>
        {
            Whole::of_openai(*response_body)
        }
        Err(failure) => return Err(error::failure(origin, failure, false)),
    };
    let whole = whole.ok_or_else(|| error::nonsense(origin))?;
    let events = whole.events(origin, &call_ids).map_err(|()| error::nonsense(origin))?;
    Ok(Begun::Whole(events))
}

/// What a whole answer consists of.
#[derive(Default)]
struct Whole {
    reasoning: String,
    text: String,
    media: Vec<Media>,
    calls: Vec<ToolCall>,
    /// What may have to go back.
    parts: Vec<ContentPart>,
    stop_reason: Option<StopReason>,
    usage: Usage,
}

impl Whole {
    fn of(origin: &Origin, response: ChatResponse) -> Self {
        let mut whole = Self {
            reasoning: response.reasoning_content.unwrap_or_default(),
            stop_reason: response.stop_reason,
            usage: response.usage,
            ..Self::default()
        };
        for part in response.content {
            match part {
                ContentPart::Text(text) => whole.text.push_str(&text),
                ContentPart::ToolCall(mut call) => {
                    if origin.kind != super::ProviderKind::Gemini {
                        // A copy of what is in `parts`, which is in order.
                        call.thought_signatures = None;
                    }
                    whole.calls.push(call);
                }
                ContentPart::Binary(binary) => {
                    let source = match binary.source {
                        BinarySource::Base64(data) => MediaSource::Base64(data.as_ref().to_owned()),
                        BinarySource::Url(url) => MediaSource::Url(url),
                    };
                    whole.media.push(Media {
                        kind: MediaKind::of(&binary.content_type),
                        mime_type: binary.content_type,
                        source,
                        name: binary.name,
                    });
                }
                other => whole.parts.push(other),
            }
        }
        whole
    }

    /// Reads OpenAI's answer itself: `genai` cuts white space off the text and refuses the whole
    /// answer for one tool call whose arguments are not JSON.
    fn of_openai(mut body: Value) -> Option<Self> {
        let mut choice = body.pointer_mut("/choices/0")?.take();
        let message = choice.get_mut("message")?.as_object_mut()?;
        let mut text_of = |names: &[&str]| {
            let found = names.iter().find_map(|name| match message.remove(*name) {
                Some(Value::String(text)) => Some(text),
                Some(Value::Array(parts)) => Some(joined(&parts)),
                _ => None,
            });
            found.unwrap_or_default()
        };
        let mut whole = Self {
            text: text_of(&["content"]),
            reasoning: text_of(&["reasoning_content", "reasoning"]),
            stop_reason: choice
                .get("finish_reason")
                .and_then(Value::as_str)
                .map(|reason| StopReason::from(reason.to_owned())),
            usage: body
                .get_mut("usage")
                .and_then(|usage| serde_json::from_value(usage.take()).ok())
                .unwrap_or_default(),
            ..Self::default()
        };
        let calls = choice.pointer_mut("/message/tool_calls").map(Value::take);
        for call in calls.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let text = |pointer: &str| call.pointer(pointer)?.as_str().map(str::to_owned);
            whole.calls.push(ToolCall {
                call_id: text("/id").unwrap_or_default(),
                fn_name: text("/function/name")?,
                fn_arguments: call.pointer("/function/arguments").cloned().unwrap_or_default(),
                thought_signatures: None,
            });
        }
        Some(whole)
    }

    fn events(self, origin: &Origin, taken_ids: &[String]) -> Result<Vec<ModelEvent>, ()> {
        let mut calls = Calls::new(origin.kind);
        self.calls.into_iter().for_each(|call| calls.open(call));
        let mut calls = calls.finish(taken_ids)?;
        if let Some(first) = calls.first_mut() {
            keep_state(origin, first, self.parts.iter(), &self.reasoning);
        }
        let mut events = Vec::with_capacity(calls.len() + self.media.len() + 3);
        let stop_reason = stop_reason(self.stop_reason, !calls.is_empty());
        if !self.reasoning.is_empty() {
            events.push(ModelEvent::Reasoning(self.reasoning));
        }
        if !self.text.is_empty() {
            events.push(ModelEvent::Text(self.text));
        }
        events.extend(self.media.into_iter().map(ModelEvent::Media));
        events.extend(calls.into_iter().map(ModelEvent::ToolCall));
        let (usage, info) = (origin.usage(&self.usage), origin.info.clone());
        events.push(ModelEvent::Finished { stop_reason, usage, info });
        Ok(events)
    }
}

/// The texts of content that comes in parts, as Mistral's does.
fn joined(parts: &[Value]) -> String {
    parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
}
