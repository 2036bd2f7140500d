//! The answer in one piece: `chat.completion`.

use bartizan_engine::{
    event::StopReason,
    message::{Media, MediaKind, MediaSource, ToolCall},
    run::Run,
    usage::Usage,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::outcome::Outcome;

/// A chat completion.
#[derive(Serialize, ToSchema)]
pub(crate) struct Completion {
    /// `chatcmpl-` and the run's id.
    id: String,
    /// Always `chat.completion`.
    #[schema(example = "chat.completion")]
    object: &'static str,
    /// When it was asked for, in seconds since 1970.
    created: i64,
    /// The agent that answered, as `pack/prompt`.
    model: String,
    /// One.
    choices: [Choice; 1],
    /// What the whole turn used.
    usage: ChatUsage,
}

/// The answer.
#[derive(Serialize, ToSchema)]
struct Choice {
    /// Always 0.
    index: u32,
    /// What was said.
    message: AnswerMessage,
    /// Always null.
    logprobs: Option<Value>,
    /// `stop`, `length`, `tool_calls` or `content_filter`.
    #[schema(example = "stop")]
    finish_reason: &'static str,
}

/// What was said.
#[derive(Serialize, ToSchema)]
struct AnswerMessage {
    /// Always `assistant`.
    #[schema(example = "assistant")]
    role: &'static str,
    /// The text; null where there are only calls.
    content: Option<String>,
    /// Always null: what a provider withholds is told by `finish_reason`.
    refusal: Option<String>,
    /// What the model thought aloud, as other servers name it.
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    /// The calls that the caller must run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<AnswerCall>,
    /// Images that the model made, as other servers name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<AnswerImage>,
}

/// A call that the caller must run.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnswerCall {
    /// The call's place in a stream's deltas.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// Names the call.
    id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    kind: &'static str,
    /// The function.
    function: AnswerFunction,
}

/// A function and its arguments.
#[derive(Serialize, ToSchema)]
struct AnswerFunction {
    /// The function.
    name: String,
    /// The arguments, as JSON text.
    arguments: String,
}

/// An image that the model made.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnswerImage {
    /// Always `image_url`.
    #[serde(rename = "type")]
    #[schema(example = "image_url")]
    kind: &'static str,
    /// Where it is.
    image_url: AnswerUrl,
}

/// A data URL, or an address.
#[derive(Serialize, ToSchema)]
struct AnswerUrl {
    /// The URL.
    url: String,
}

/// What a turn used, over all its calls of the model.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChatUsage {
    /// Tokens read.
    prompt_tokens: u64,
    /// Tokens written.
    completion_tokens: u64,
    /// Both.
    total_tokens: u64,
    /// Of those read.
    prompt_tokens_details: PromptDetails,
    /// Of those written.
    completion_tokens_details: CompletionDetails,
}

/// Of the tokens read.
#[derive(Serialize, ToSchema)]
struct PromptDetails {
    /// Those from the provider's cache.
    cached_tokens: u64,
}

/// Of the tokens written.
#[derive(Serialize, ToSchema)]
struct CompletionDetails {
    /// Those spent on reasoning.
    reasoning_tokens: u64,
}

impl Completion {
    /// The answer that a turn came to.
    pub(crate) fn new(run: &Run, created: i64, outcome: Outcome) -> Self {
        let stop_reason = outcome.stop_reason.unwrap_or(StopReason::EndTurn);
        let tool_calls: Vec<_> =
            outcome.tool_calls.iter().map(|call| AnswerCall::new(None, call)).collect();
        let only_calls = outcome.text.is_empty() && !tool_calls.is_empty();
        let message = AnswerMessage {
            role: "assistant",
            content: (!only_calls).then_some(outcome.text),
            refusal: None,
            reasoning_content: outcome.reasoning,
            tool_calls,
            images: outcome.media.iter().filter_map(AnswerImage::new).collect(),
        };
        let finish_reason = finish_reason(&stop_reason);
        Self {
            id: format!("chatcmpl-{}", run.id()),
            object: "chat.completion",
            created,
            model: run.agent().to_owned(),
            choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
            usage: outcome.usage.into(),
        }
    }
}

impl AnswerCall {
    /// The call; `index` is its place in a stream.
    pub(crate) fn new(index: Option<usize>, call: &ToolCall) -> Self {
        let arguments = match &call.arguments {
            // Broken arguments are passed on as the model wrote them.
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let function = AnswerFunction { name: call.name.clone(), arguments };
        Self { index, id: call.id.clone(), kind: "function", function }
    }
}

impl AnswerImage {
    /// The image, if it is one: OpenAI's shape has no place for anything else.
    pub(crate) fn new(media: &Media) -> Option<Self> {
        if media.kind != MediaKind::Image {
            return None;
        }
        let url = match &media.source {
            MediaSource::Base64(data) => format!("data:{};base64,{data}", media.mime_type),
            MediaSource::Url(url) => url.clone(),
        };
        Some(Self { kind: "image_url", image_url: AnswerUrl { url } })
    }
}

impl From<Usage> for ChatUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached_tokens },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning_tokens,
            },
        }
    }
}

/// OpenAI's word for why a turn ended. A turn that ran out of tool rounds ended with an answer.
pub(crate) fn finish_reason(stop_reason: &StopReason) -> &'static str {
    match stop_reason {
        StopReason::MaxTokens => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::ContentFilter => "content_filter",
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::ToolLimit
        | StopReason::Other(_) => "stop",
    }
}
