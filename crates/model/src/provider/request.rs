//! Our request in `genai`'s words: the conversation and the tools.

use bartizan_engine::{
    message::{Message, Part, Role, ToolCall, ToolResult},
    ports::model::{ModelError, ModelErrorKind, ModelRequest, ToolChoice, ToolSpec},
};
use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest, ContentPart, CustomPart, MessageContent, Tool,
    ToolResponse,
};
use serde_json::{Value, json};

use super::{
    Origin, ProviderKind, media,
    output::{self, Extra},
    state,
};

/// A request that is ready to be sent.
pub(super) struct Prepared {
    pub(super) chat: ChatRequest,
    pub(super) options: ChatOptions,
    /// The names of the tool calls so far, so that a new one gets a name of its own.
    pub(super) call_ids: Vec<String>,
}

/// Translates a request.
///
/// # Errors
/// [`ModelErrorKind::Unsupported`] for what the provider does not take.
pub(super) fn prepare(
    origin: &Origin,
    is_openai: bool,
    request: &ModelRequest,
) -> Result<Prepared, ModelError> {
    let mut messages: Vec<ChatMessage> = Vec::with_capacity(request.messages.len());
    let mut call_ids = Vec::new();
    for message in &request.messages {
        call_ids.extend(message.tool_calls().map(|call| call.id.clone()));
        match message.role {
            Role::System => system(origin, message, &mut messages)?,
            Role::User => user(origin, message, &mut messages)?,
            Role::Assistant => assistant(origin, message, &mut messages)?,
            Role::Tool => tool_results(origin, message, &mut messages)?,
        }
    }
    let mut chat = ChatRequest::new(messages);
    chat.system = request.system.as_deref().map(str::to_owned);
    let mut extra = Extra::new();
    let mut options = output::options(origin, is_openai, request, &mut chat.system, &mut extra)?;
    tools(origin.kind, request, &mut chat, &mut options, &mut extra);
    options.extra_body = (!extra.is_empty()).then_some(Value::Object(extra));
    Ok(Prepared { chat, options, call_ids })
}

fn unsupported(origin: &Origin, what: &str) -> ModelError {
    origin.error(ModelErrorKind::Unsupported, format!("the provider does not take {what}"))
}

fn system(
    origin: &Origin,
    message: &Message,
    messages: &mut Vec<ChatMessage>,
) -> Result<(), ModelError> {
    if message.parts.iter().any(|part| part.as_text().is_none()) {
        return Err(unsupported(origin, "anything but text in a system message"));
    }
    let text = message.plain_text();
    if !text.is_empty() {
        messages.push(ChatMessage::system(text));
    }
    Ok(())
}

fn user(
    origin: &Origin,
    message: &Message,
    messages: &mut Vec<ChatMessage>,
) -> Result<(), ModelError> {
    let mut parts = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        match part {
            // Anthropic refuses a whole request for one empty text.
            Part::Text { text } if text.is_empty() => {}
            Part::Text { text } => parts.push(ContentPart::Text(text.clone())),
            Part::Media(media) => parts.push(media::part(origin.kind, media).ok_or_else(|| {
                let kind = media.kind.as_str();
                unsupported(origin, &format!("{kind} content of type {}", media.mime_type))
            })?),
            Part::ToolCall(_) | Part::ToolResult(_) => {
                return Err(unsupported(origin, "tool calls or results in a user message"));
            }
        }
    }
    if !parts.is_empty() {
        messages.push(ChatMessage::user(MessageContent::from_parts(parts)));
    }
    Ok(())
}

fn assistant(
    origin: &Origin,
    message: &Message,
    messages: &mut Vec<ChatMessage>,
) -> Result<(), ModelError> {
    let mut parts: Vec<ContentPart> = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        match part {
            Part::Text { text } if text.is_empty() => {}
            // Pieces of one text are one text again: `genai` would put empty lines between them.
            Part::Text { text } => match parts.last_mut() {
                Some(ContentPart::Text(before)) => before.push_str(text),
                _ => parts.push(ContentPart::Text(text.clone())),
            },
            // No provider takes back what a model made, and a conversation must be able to go on.
            Part::Media(media) => {
                let kind = media.kind.as_str();
                parts.push(ContentPart::Text(format!("[{kind} {}]", media.mime_type)));
            }
            Part::ToolCall(call) => tool_call(origin.kind, call, &mut parts),
            Part::ToolResult(_) => {
                return Err(unsupported(origin, "tool results in an assistant message"));
            }
        }
    }
    if !parts.is_empty() {
        messages.push(ChatMessage::assistant(MessageContent::from_parts(parts)));
    }
    Ok(())
}

fn tool_call(kind: ProviderKind, call: &ToolCall, parts: &mut Vec<ContentPart>) {
    let mut signatures = Vec::new();
    for kept in state::restore(kind, &call.provider_state) {
        match kept {
            // Gemini's belong to the call, everyone else's come before it.
            ContentPart::ThoughtSignature(signature) if kind == ProviderKind::Gemini => {
                signatures.push(signature);
            }
            other => parts.push(other),
        }
    }
    let arguments = match &call.arguments {
        Value::Object(_) => call.arguments.clone(),
        // Providers want an object and the model should see what it wrote.
        Value::String(broken) => json!({"invalid_json": broken}),
        other => json!({"invalid_json": other.to_string()}),
    };
    parts.push(ContentPart::ToolCall(genai::chat::ToolCall {
        call_id: call.id.clone(),
        fn_name: call.name.clone(),
        fn_arguments: arguments,
        thought_signatures: (!signatures.is_empty()).then_some(signatures),
    }));
}

fn tool_results(
    origin: &Origin,
    message: &Message,
    messages: &mut Vec<ChatMessage>,
) -> Result<(), ModelError> {
    for part in &message.parts {
        let Part::ToolResult(result) = part else {
            return Err(unsupported(origin, "anything but results in a tool message"));
        };
        let result = tool_result(origin.kind, result);
        match messages.last_mut() {
            // Anthropic and Gemini want all results of a round in one message; of several in one
            // message `genai` sends Ollama the last only.
            Some(last)
                if last.role == genai::chat::ChatRole::Tool
                    && origin.kind != ProviderKind::Ollama =>
            {
                last.content.push(result);
            }
            _ => messages.push(ChatMessage::tool(MessageContent::from_parts(vec![result]))),
        }
    }
    Ok(())
}

fn tool_result(kind: ProviderKind, result: &ToolResult) -> ContentPart {
    let content = result.content_text();
    match (result.is_error, kind) {
        // The one protocol that has a word for it, which `genai` does not send.
        (true, ProviderKind::Anthropic) => ContentPart::Custom(CustomPart {
            model_iden: None,
            data: json!({
                "type": "tool_result",
                "tool_use_id": result.call_id,
                "content": content,
                "is_error": true,
            }),
        }),
        (true, _) => response(result, format!("Error: {content}")),
        (false, _) => response(result, content),
    }
}

fn response(result: &ToolResult, content: String) -> ContentPart {
    ContentPart::ToolResponse(ToolResponse {
        call_id: result.call_id.clone(),
        fn_name: Some(result.name.clone()),
        content,
    })
}

/// Tool names that `genai` takes for a provider's own tools. A pack's tool of that name is the
/// pack's.
const TAKEN_NAMES: [(ProviderKind, &[&str]); 2] = [
    (ProviderKind::Anthropic, &["web_search"]),
    (
        ProviderKind::Gemini,
        &["googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext"],
    ),
];

fn tools(
    kind: ProviderKind,
    request: &ModelRequest,
    chat: &mut ChatRequest,
    options: &mut ChatOptions,
    extra: &mut Extra,
) {
    let offered = request.tools.iter();
    let offered: Vec<&ToolSpec> = match (kind, &request.tool_choice) {
        // Who must not use tools is not shown any. Anthropic alone refuses a conversation with
        // calls in it whose tools it is not told.
        (ProviderKind::Anthropic, ToolChoice::None) => offered.collect(),
        (_, ToolChoice::None) => Vec::new(),
        // Ollama has no tool choice; leaving the others out does as much of it as can be done.
        (ProviderKind::Ollama, ToolChoice::Named(name)) => {
            offered.filter(|tool| tool.name == *name).collect()
        }
        _ => offered.collect(),
    };
    if offered.is_empty() {
        return;
    }
    options.tool_choice = match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::Required => Some(genai::chat::ToolChoice::Required),
        ToolChoice::None => Some(genai::chat::ToolChoice::None),
        ToolChoice::Named(name) => Some(genai::chat::ToolChoice::tool(name)),
    };
    let is_taken = |tool: &&ToolSpec| {
        let mut names = TAKEN_NAMES.iter().filter(|(of, _)| *of == kind).flat_map(|(_, of)| *of);
        names.any(|name| *name == tool.name)
    };
    if offered.iter().any(is_taken) {
        extra.insert("tools".to_owned(), own_tools(kind, &offered));
        return;
    }
    let declared = offered.into_iter().map(|tool| {
        Tool::new(tool.name.clone())
            .with_description(tool.description.clone())
            .with_schema(tool.parameters.clone())
    });
    chat.tools = Some(declared.collect());
}

fn own_tools(kind: ProviderKind, offered: &[&ToolSpec]) -> Value {
    let schema = if kind == ProviderKind::Gemini { "parametersJsonSchema" } else { "input_schema" };
    let tools: Vec<Value> = offered
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name,
                "description": tool.description,
                schema: tool.parameters,
            })
        })
        .collect();
    if kind == ProviderKind::Gemini {
        json!([{"functionDeclarations": tools}])
    } else {
        tools.into()
    }
}
