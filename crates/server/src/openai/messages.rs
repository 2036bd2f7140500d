//! The messages of a request, in OpenAI's shape, and in the engine's.

use std::{collections::HashMap, fmt};

use bartizan_engine::{
    failure::Failure,
    message::{Media, Message, Part, Role, ToolCall, ToolResult},
};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    errors::ApiError,
    http::{limits::HttpLimits, media},
};

/// A message. Which fields count depends on the role.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    #[schema(example = "user")]
    role: String,
    /// Text, or parts.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    content: Content,
    /// Of an assistant's message: the calls that it asks for.
    tool_calls: Option<Vec<ChatToolCall>>,
    /// Of a tool's message: the call answered.
    tool_call_id: Option<String>,
    /// Of an assistant's message: what it said instead of an answer.
    refusal: Option<String>,
    /// The forerunner of `tool_calls`: refused.
    #[schema(ignore)]
    function_call: Option<Value>,
}

/// What a message says.
#[derive(Default)]
pub(crate) enum Content {
    /// `null`, or not there.
    #[default]
    Nothing,
    /// Text.
    Text(String),
    /// Parts.
    Parts(Vec<ContentPart>),
}

/// A part of a message. Which field counts depends on the type.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ContentPart {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<ImageUrl>,
    input_audio: Option<InputAudio>,
    file: Option<File>,
}

#[derive(Deserialize, ToSchema)]
struct ImageUrl {
    url: String,
}

#[derive(Deserialize, ToSchema)]
struct InputAudio {
    data: String,
    format: String,
}

#[derive(Deserialize, ToSchema)]
struct File {
    file_data: Option<String>,
    filename: Option<String>,
    file_id: Option<String>,
}

/// A call that the assistant asked for.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChatToolCall {
    /// Names the call.
    id: String,
    /// The function called.
    function: CalledFunction,
}

/// A function and its arguments.
#[derive(Deserialize, ToSchema)]
struct CalledFunction {
    /// The function.
    name: String,
    /// The arguments, as JSON text.
    #[serde(default)]
    arguments: String,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;

        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string, an array of parts, or null")
            }

            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::Nothing)
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }

        deserializer.deserialize_any(ContentVisitor)
    }
}

/// Which messages of a request are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All: the request is the whole conversation.
    All,
    /// What the session has not seen: those after the last of the assistant's, and the caller's
    /// instructions wherever they stand, because those hold for one turn.
    New,
}

/// The messages that are taken, as the engine takes them.
#[derive(Debug)]
pub(crate) struct Translated {
    /// The messages.
    pub(crate) messages: Vec<Message>,
    /// Where in the request each of them was.
    pub(crate) places: Places,
}

/// Where in a request the messages of a turn were.
#[derive(Debug)]
pub(crate) struct Places(Vec<usize>);

impl Places {
    /// The failure with the message at fault named as in the request: the engine counts only
    /// those that it was given.
    pub(crate) fn in_request(&self, mut failure: Failure) -> Failure {
        let named = failure.param.as_deref().and_then(|param| param.strip_prefix("messages["));
        let place = named.and_then(|rest| rest.split_once(']')).and_then(|(index, rest)| {
            let place = self.0.get(index.parse::<usize>().ok()?)?;
            Some(format!("messages[{place}]{rest}"))
        });
        failure.param = place.or(failure.param);
        failure
    }
}

/// The messages of a request as the engine takes them.
///
/// # Errors
/// 400, 413 or 422, naming the field.
pub(crate) fn translate(
    messages: Vec<ChatMessage>,
    taken: Taken,
    limits: &HttpLimits,
) -> Result<Translated, ApiError> {
    HttpLimits::check_count("messages", messages.len(), limits.messages)?;
    let last_answer = messages.iter().rposition(|message| message.role == "assistant");
    let first_new = match taken {
        Taken::All => 0,
        Taken::New => last_answer.map_or(0, |index| index + 1),
    };
    let mut called = HashMap::new();
    let mut translated = Vec::with_capacity(messages.len());
    let mut places = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let place = format!("messages[{index}]");
        let message = message.translate(&place, &mut called, limits)?;
        if (index >= first_new || message.role == Role::System) && !says_nothing(&message) {
            translated.push(message);
            places.push(index);
        }
    }
    Ok(Translated { messages: translated, places: Places(places) })
}

/// An assistant that neither spoke nor called, as some clients send back. A user's empty message
/// is not left out but refused, by the engine.
fn says_nothing(message: &Message) -> bool {
    message.parts.is_empty() && message.role != Role::User
}

impl ChatMessage {
    /// `called` holds the names of the tools called so far, by call, and is added to.
    fn translate(
        self,
        place: &str,
        called: &mut HashMap<String, String>,
        limits: &HttpLimits,
    ) -> Result<Message, ApiError> {
        if self.function_call.is_some() {
            return Err(refused(place, "function_call", "use tool_calls instead"));
        }
        let role = match self.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            other => {
                let known = "system, developer, user, assistant or tool";
                return Err(refused(place, "role", &format!("'{other}' is not one of {known}")));
            }
        };
        let mut parts = self.content.translate(&format!("{place}.content"), role, limits)?;
        match role {
            Role::Assistant => {
                parts.extend(self.refusal.map(|text| Part::Text { text }));
                let calls = self.tool_calls.unwrap_or_default();
                HttpLimits::check_count(&format!("{place}.tool_calls"), calls.len(), limits.parts)?;
                for call in calls {
                    called.insert(call.id.clone(), call.function.name.clone());
                    parts.push(Part::ToolCall(call.translate()));
                }
            }
            Role::Tool => {
                let Some(call_id) = self.tool_call_id else {
                    return Err(refused(place, "tool_call_id", "a tool's message needs it"));
                };
                let name = called.get(&call_id).cloned().unwrap_or_default();
                let text: String = parts.iter().filter_map(Part::as_text).collect();
                let content = Value::String(text);
                let result = ToolResult { call_id, name, content, is_error: false };
                parts = vec![Part::ToolResult(result)];
            }
            Role::System | Role::User => {}
        }
        Ok(Message::new(role, parts))
    }
}

impl Content {
    fn translate(
        self,
        place: &str,
        role: Role,
        limits: &HttpLimits,
    ) -> Result<Vec<Part>, ApiError> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            // The user's empty text is kept, for the engine to refuse.
            Self::Text(text) if text.is_empty() && role != Role::User => Ok(Vec::new()),
            Self::Text(text) => Ok(vec![Part::Text { text }]),
            Self::Parts(parts) => {
                HttpLimits::check_count(place, parts.len(), limits.parts)?;
                let translate = |(index, part): (usize, ContentPart)| {
                    part.translate(&format!("{place}[{index}]"), role)
                };
                parts.into_iter().enumerate().map(translate).collect()
            }
        }
    }
}

impl ContentPart {
    fn translate(self, place: &str, role: Role) -> Result<Part, ApiError> {
        let missing = |field: &str| refused(place, field, "it is missing");
        let media = match self.kind.as_str() {
            "text" => {
                return Ok(Part::Text { text: self.text.ok_or_else(|| missing("text"))? });
            }
            "refusal" if role == Role::Assistant => {
                return Ok(Part::Text { text: self.refusal.ok_or_else(|| missing("refusal"))? });
            }
            _ if role != Role::User => Err("only user messages hold anything but text".to_owned()),
            "image_url" => {
                let image = self.image_url.ok_or_else(|| missing("image_url"))?;
                media::behind(&image.url, "image/jpeg", None)
            }
            "input_audio" => self.input_audio.ok_or_else(|| missing("input_audio"))?.translate(),
            "file" => self.file.ok_or_else(|| missing("file"))?.translate(),
            other => Err(format!(
                "there is no part of type '{other}'; there are: text, image_url, input_audio, file"
            )),
        };
        media.map(Part::Media).map_err(|reason| refused(place, &self.kind, &reason))
    }
}

impl InputAudio {
    fn translate(self) -> Result<Media, String> {
        let mime_type = match self.format.as_str() {
            "wav" => "audio/wav",
            "mp3" => "audio/mpeg",
            other => return Err(format!("the format is wav or mp3, not '{other}'")),
        };
        media::inline(mime_type, self.data, None)
    }
}

impl File {
    fn translate(self) -> Result<Media, String> {
        if self.file_id.is_some() {
            return Err("there are no uploaded files here; send file_data".to_owned());
        }
        let data = self.file_data.ok_or("file_data is missing")?;
        let usual = self.filename.as_deref().and_then(media::mime_type_of);
        let usual = usual.unwrap_or("application/octet-stream");
        if data.starts_with("data:") {
            return media::behind(&data, usual, self.filename);
        }
        media::inline(usual, data, self.filename)
    }
}

impl ChatToolCall {
    fn translate(self) -> ToolCall {
        // Broken arguments are what the model once wrote; the model is told, not the caller.
        let arguments = serde_json::from_str(&self.function.arguments)
            .ok()
            .filter(Value::is_object)
            .unwrap_or_else(|| match self.function.arguments.as_str() {
                "" => Value::Object(serde_json::Map::new()),
                text => Value::String(text.to_owned()),
            });
        ToolCall { id: self.id, name: self.function.name, arguments, provider_state: Vec::new() }
    }
}

fn refused(place: &str, field: &str, reason: &str) -> ApiError {
    let param = format!("{place}.{field}");
    ApiError::invalid(format!("{param}: {reason}")).param(param)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn translated(messages: Value, taken: Taken) -> Result<Vec<Message>, ApiError> {
        let messages: Vec<ChatMessage> = serde_json::from_value(messages).unwrap();
        translate(messages, taken, &HttpLimits::default()).map(|translated| translated.messages)
    }

    fn conversation() -> Value {
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function",
                 "function": {"name": "weather", "arguments": "{\"city\":\"Basel\"}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "rain"}]},
        ])
    }

    #[test]
    fn a_conversation_with_a_tool_round() {
        let messages = translated(conversation(), Taken::All).unwrap();
        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
        let Part::ToolCall(call) = &messages[2].parts[0] else { panic!("no call") };
        assert_eq!(call.arguments, json!({"city": "Basel"}));
        let Part::ToolResult(result) = &messages[3].parts[0] else { panic!("no result") };
        assert_eq!((result.name.as_str(), &result.content), ("weather", &json!("rain")));
    }

    #[test]
    fn a_session_takes_instructions_and_what_is_new() {
        let messages = translated(conversation(), Taken::New).unwrap();
        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::Tool]);
    }

    #[test]
    fn faults_name_their_place() {
        let fault =
            |message: Value| translated(json!([message]), Taken::All).unwrap_err().body("r");
        let image = json!({"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "ftp://x"}}]});
        assert!(fault(image).contains(r#""param":"messages[0].content[1].image_url""#));
        assert!(fault(json!({"role": "wizard"})).contains(r#""param":"messages[0].role""#));
        assert!(fault(json!({"role": "tool", "content": "x"})).contains("tool_call_id"));
    }
}
