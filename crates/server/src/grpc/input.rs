//! What clients say, as the engine understands it.
//!
//! What cannot be acted on is refused and the field named; nothing is dropped silently.

use std::{collections::BTreeMap, sync::Arc};

use bartizan_engine::{
    agent::Agent,
    failure::{Failure, FailureCode},
    message::{Media, MediaKind, MediaSource, Message, Part, Role, ToolResult},
    owner::Owner,
    request::{ClientToolMode, SessionChoice, TurnRequest},
};
use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use promptpack::VariableType;
use serde_json::{Map, Value};

use super::{
    failure::{Refusal, invalid},
    wire::{ClientMessage, ClientToolResult, ContentPart, MediaContent},
};
use crate::http;

/// The most parts of a message.
const MOST_PARTS: usize = 256;
/// The most entries of metadata.
const MOST_METADATA: usize = 64;
/// The longest name of an entry of metadata, in bytes.
const LONGEST_NAME: usize = 256;
/// The longest value of one, in bytes.
const LONGEST_VALUE: usize = 64 * 1024;

/// Base64 however it is padded. The alphabet is told by the text itself.
const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN_BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, PADDING);
const URL_BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, PADDING);

/// A message that begins a turn.
pub(super) fn turn(
    owner: &Arc<Owner>,
    agent: &Agent,
    message: ClientMessage,
) -> Result<TurnRequest, Refusal> {
    if message.duplex_start.is_some() {
        return Err(Refusal::duplex("duplex_start"));
    }
    if message.audio_input.is_some() {
        return Err(Refusal::duplex("audio_input"));
    }
    if message.client_tool_result.is_some() {
        return Err(Refusal::invalid("client_tool_result", "no tool call waits for a result"));
    }
    let session = message.session_id.parse().map_err(|error| {
        Failure::new(FailureCode::InvalidRequest, format!("{error}")).param("session_id")
    })?;
    let parts = parts(message.content, message.parts)?;
    let Metadata { variables, rest: metadata } = read_metadata(agent, message.metadata)?;
    Ok(TurnRequest {
        session: SessionChoice::Open(session),
        client_tool_mode: ClientToolMode::Wait,
        variables,
        metadata,
        ..TurnRequest::new(
            Arc::clone(owner),
            agent.name.as_ref(),
            vec![Message::new(Role::User, parts)],
        )
    })
}

/// A message that arrives while a client's tool is waited for: nothing but its result will do.
pub(super) fn tool_result(message: ClientMessage) -> Result<ToolResult, Refusal> {
    let says_more = !message.content.is_empty()
        || !message.parts.is_empty()
        || message.duplex_start.is_some()
        || message.audio_input.is_some();
    match message.client_tool_result {
        Some(result) if !says_more => Ok(read_result(result)),
        Some(_) => {
            Err(Refusal::invalid("content", "nothing else can be said with a tool's result"))
        }
        None => Err(Refusal::invalid(
            "client_tool_result",
            "a tool call waits for its result and nothing else can be said before",
        )),
    }
}

fn read_result(result: ClientToolResult) -> ToolResult {
    let content = if result.is_rejected {
        let reason = match result.rejection_reason.trim() {
            "" => "no reason given",
            reason => reason,
        };
        Value::String(format!("the tool was not run: {reason}"))
    } else {
        serde_json::from_str(&result.result_json).unwrap_or(Value::String(result.result_json))
    };
    // The engine knows the tool by the call.
    ToolResult {
        call_id: result.call_id,
        name: String::new(),
        content,
        is_error: result.is_rejected,
    }
}

/// What the user says. Parts win over content.
fn parts(content: String, parts: Vec<ContentPart>) -> Result<Vec<Part>, Failure> {
    if parts.is_empty() {
        if content.is_empty() {
            return Err(invalid(
                "content",
                "the message is empty; say something in content or parts",
            ));
        }
        return Ok(vec![Part::Text { text: content }]);
    }
    if parts.len() > MOST_PARTS {
        return Err(Failure::new(
            FailureCode::TooLarge,
            format!("the message has {} parts; {MOST_PARTS} is the most", parts.len()),
        )
        .param("parts"));
    }
    parts.into_iter().enumerate().map(|(index, part)| read_part(index, part)).collect()
}

fn read_part(index: usize, part: ContentPart) -> Result<Part, Failure> {
    let field = |name: &str| format!("parts[{index}].{name}");
    match (part.r#type.as_str(), part.media) {
        ("text", None) => Ok(Part::Text { text: part.text }),
        ("text", Some(_)) => Err(invalid(&field("media"), "a text part carries no media")),
        ("image" | "audio" | "video" | "file", None) => Err(invalid(&field("media"), "is missing")),
        ("image" | "audio" | "video" | "file", Some(_)) if !part.text.is_empty() => {
            Err(invalid(&field("text"), "only a text part carries text"))
        }
        (kind @ ("image" | "audio" | "video" | "file"), Some(media)) => {
            read_media(&field("media"), kind, media).map(Part::Media)
        }
        _ => Err(Failure::new(
            FailureCode::UnsupportedContent,
            "is none of text, image, audio, video, file",
        )
        .param(field("type"))),
    }
}

fn read_media(field: &str, kind: &str, media: MediaContent) -> Result<Media, Failure> {
    let field = |name: &str| format!("{field}.{name}");
    if media.mime_type.is_empty() {
        return Err(invalid(&field("mime_type"), "is missing"));
    }
    http::media::check_type(&media.mime_type)
        .map_err(|reason| invalid(&field("mime_type"), &reason))?;
    let told = MediaKind::of(&media.mime_type);
    if kind != "file" && kind != told.as_str() {
        return Err(invalid(&field("mime_type"), &format!("is no {kind}'s")));
    }
    // The contract's order of preference: what is here, what is stored, what is elsewhere.
    if !media.data.is_empty() {
        let data = standard_base64(&field("data"), &media.data)?;
        let source = MediaSource::Base64(data);
        return Ok(Media { kind: told, mime_type: media.mime_type, source, name: None });
    }
    if !media.storage_ref.is_empty() {
        return Err(Failure::new(
            FailureCode::UnsupportedContent,
            "this runtime has no media store and does not advertise media_storage_ref; send data \
             or url",
        )
        .param(field("storage_ref")));
    }
    if media.url.is_empty() {
        return Err(invalid(&field("data"), "is missing, and so is url"));
    }
    http::media::at(&media.url, &media.mime_type, None)
        .map_err(|_| invalid(&field("url"), "is no http(s) address; send the bytes in data"))
}

/// The same bytes in standard base64 with padding.
fn standard_base64(field: &str, text: &str) -> Result<String, Failure> {
    let url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if url_safe { &URL_BASE64 } else { &PLAIN_BASE64 };
    let bytes =
        engine.decode(text).map_err(|error| invalid(field, &format!("is not base64: {error}")))?;
    Ok(PLAIN_BASE64.encode(bytes))
}

/// Metadata by what it is for.
struct Metadata {
    /// Values of the prompt's variables.
    variables: Map<String, Value>,
    /// The caller's own words.
    rest: BTreeMap<String, String>,
}

fn read_metadata(
    agent: &Agent,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Result<Metadata, Failure> {
    let mut variables = Map::new();
    let mut rest = BTreeMap::new();
    for (count, (name, value)) in metadata.into_iter().enumerate() {
        let fault = if count >= MOST_METADATA {
            Some(format!("has more than {MOST_METADATA} entries"))
        } else if name.len() > LONGEST_NAME {
            Some(format!("has a name longer than {LONGEST_NAME} bytes"))
        } else if value.len() > LONGEST_VALUE {
            Some(format!("has a value longer than {LONGEST_VALUE} bytes"))
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(Failure::new(FailureCode::TooLarge, fault).param("metadata"));
        }
        match declared(agent, &name) {
            None => {
                rest.insert(name, value);
            }
            Some(VariableType::String | VariableType::Other(_)) => {
                variables.insert(name, Value::String(value));
            }
            // What is not JSON stays text, and the engine says that the type is wrong.
            Some(_) => {
                let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
                variables.insert(name, value);
            }
        }
    }
    Ok(Metadata { variables, rest })
}

/// Metadata that fills no variables.
pub(super) fn metadata(
    agent: &Agent,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, Failure> {
    read_metadata(agent, metadata).map(|metadata| metadata.rest)
}

/// The values that a function's input gives to the prompt's variables: the whole as `input`, and
/// each of an object's entries by its name. Where a variable is declared as text and the value
/// is none, its compact JSON is the text.
pub(super) fn function_variables(agent: &Agent, input: &Value) -> Map<String, Value> {
    let whole = std::iter::once(("input", input));
    let entries = input.as_object().into_iter().flatten();
    whole
        .chain(entries.map(|(name, value)| (name.as_str(), value)))
        .map(|(name, value)| {
            let as_text = declared(agent, name) == Some(&VariableType::String)
                && !value.is_string()
                && !value.is_null();
            let value = if as_text { Value::String(value.to_string()) } else { value.clone() };
            (name.to_owned(), value)
        })
        .collect()
}

fn declared<'a>(agent: &'a Agent, name: &str) -> Option<&'a VariableType> {
    let variables = &agent.prompt.variables;
    variables.iter().find(|variable| variable.name == name).map(|variable| &variable.type_)
}
