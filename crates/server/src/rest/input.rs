//! What a run may be given: a text, the parts of one message, or several messages.

use bartizan_engine::message::{self, Message, Role};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::ToSchema;

use super::shapes::Part;
use crate::{
    errors::ApiError,
    http::{extract::misfit, limits::HttpLimits},
};

/// A message given to a run: `content`, or `parts` where it is more than text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputMessage {
    /// `system`, `user`, `assistant` or `tool`.
    #[schema(value_type = String, example = "user")]
    role: Role,
    /// Its text.
    content: Option<String>,
    /// Its parts.
    parts: Option<Vec<Part>>,
}

/// What is said to the agent: a text, the parts of one message of the user, or messages.
#[derive(Deserialize, ToSchema)]
#[schema(as = Input)]
#[serde(untagged)]
#[allow(dead_code, reason = "the description of a value that is read by hand")]
pub(crate) enum InputSchema {
    /// A text of the user.
    Text(String),
    /// The parts of one message of the user.
    Parts(Vec<Part>),
    /// Messages, the newest last.
    Messages(Vec<InputMessage>),
}

/// The messages of an input.
///
/// # Errors
/// 400 or 413, naming the field.
pub(crate) fn translate(input: Value, limits: &HttpLimits) -> Result<Vec<Message>, ApiError> {
    let items = match input {
        Value::String(text) => return Ok(vec![Message::text(Role::User, text)]),
        Value::Array(items) => items,
        _ => {
            let expected = "input: a text, an array of parts, or an array of messages";
            return Err(ApiError::invalid(expected).param("input"));
        }
    };
    let holds_messages = items.first().is_some_and(|item| item.get("role").is_some());
    if !holds_messages {
        HttpLimits::check_count("input", items.len(), limits.parts)?;
        return Ok(vec![Message::new(Role::User, parts(items, "input")?)]);
    }
    HttpLimits::check_count("input", items.len(), limits.messages)?;
    let translate = |(index, item): (usize, Value)| {
        let place = format!("input[{index}]");
        let given: InputMessage = read(item, &place)?;
        match (given.content, given.parts) {
            (Some(text), None) => Ok(Message::text(given.role, text)),
            (None, Some(parts)) => {
                let place = format!("{place}.parts");
                HttpLimits::check_count(&place, parts.len(), limits.parts)?;
                Ok(Message::new(given.role, translate_parts(parts, &place)?))
            }
            _ => Err(ApiError::invalid(format!("{place}: either content or parts")).param(place)),
        }
    };
    items.into_iter().enumerate().map(translate).collect()
}

fn parts(items: Vec<Value>, place: &str) -> Result<Vec<message::Part>, ApiError> {
    let read = |(index, item)| read(item, &format!("{place}[{index}]"));
    let parts = items.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
    translate_parts(parts, place)
}

fn translate_parts(parts: Vec<Part>, place: &str) -> Result<Vec<message::Part>, ApiError> {
    let translate = |(index, part): (usize, Part)| {
        part.translate().map_err(|reason| {
            let place = format!("{place}[{index}]");
            ApiError::invalid(format!("{place}: {reason}")).param(place)
        })
    };
    parts.into_iter().enumerate().map(translate).collect()
}

fn read<T: DeserializeOwned>(item: Value, place: &str) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(item).map_err(|error| {
        let path = error.path().to_string();
        misfit(place, &path, &error.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn translated(input: Value) -> Result<Vec<Message>, ApiError> {
        translate(input, &HttpLimits::default())
    }

    #[test]
    fn a_text_parts_and_messages_say_the_same() {
        let text = translated(json!("hi")).unwrap();
        assert_eq!(text, translated(json!([{"type": "text", "text": "hi"}])).unwrap());
        assert_eq!(text, translated(json!([{"role": "user", "content": "hi"}])).unwrap());
    }

    #[test]
    fn faults_name_their_place() {
        for (input, param) in [
            (json!(7), "input"),
            (json!([{"type": "smell"}]), "input[0].type"),
            (json!([{}]), "input[0].type"),
            (json!([{"type": "text"}]), "input[0].text"),
            (json!([{"role": "user"}]), "input[0]"),
            (json!([{"role": "user", "content": 7}]), "input[0].content"),
            (json!([{"type": "media", "mime_type": "image/png"}]), "input[0]"),
        ] {
            let error = translated(input).unwrap_err().body("r");
            assert!(error.contains(&format!(r#""param":"{param}""#)), "{error}");
        }
    }
}
