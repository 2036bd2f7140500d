//! Tool calls from their pieces.

use bartizan_engine::message::ToolCall;
use serde_json::{Map, Value};

use super::{ProviderKind, state};

/// The tool calls of one answer, as they arrive.
pub(super) struct Calls {
    kind: ProviderKind,
    partial: Vec<Partial>,
}

struct Partial {
    id: String,
    name: String,
    arguments: Arguments,
    provider_state: Vec<String>,
}

enum Arguments {
    /// The JSON text so far.
    Text(String),
    Value(Value),
}

impl Calls {
    pub(super) fn new(kind: ProviderKind) -> Self {
        Self { kind, partial: Vec::new() }
    }

    /// Takes a call, or what `genai` makes of a piece of one: for OpenAI's protocol the piece
    /// alone, for Anthropic's all that has arrived of the call, for the others the whole call.
    ///
    /// `genai` could put OpenAI's pieces together itself, but it copies the text at each piece and
    /// makes as many calls as the highest index that a server names.
    pub(super) fn take(&mut self, piece: genai::chat::ToolCall) {
        let place = self.place(&piece.call_id, &piece.fn_name);
        match (place.and_then(|place| self.partial.get_mut(place)), piece.fn_arguments) {
            (Some(partial), Value::String(text)) => match &mut partial.arguments {
                Arguments::Text(before) if self.kind != ProviderKind::Anthropic => {
                    before.push_str(&text);
                }
                arguments => *arguments = Arguments::Text(text),
            },
            (_, fn_arguments) => self.open(genai::chat::ToolCall { fn_arguments, ..piece }),
        }
    }

    /// Takes a call that none of the calls so far is a piece of.
    pub(super) fn open(&mut self, call: genai::chat::ToolCall) {
        let signatures = call.thought_signatures.unwrap_or_default();
        let keep = |signature: String| state::keep_signature(self.kind, &signature);
        let provider_state = signatures.into_iter().map(keep).collect();
        self.partial.push(Partial {
            id: call.call_id,
            name: call.fn_name,
            arguments: match call.fn_arguments {
                Value::String(text) => Arguments::Text(text),
                value => Arguments::Value(value),
            },
            provider_state,
        });
    }

    /// The call that a piece goes on with; none where it opens one.
    ///
    /// A call is opened by its name. Later pieces of OpenAI's protocol carry the call's index,
    /// which `genai` hands on as the id `call_INDEX`; servers that leave out or mix up the index
    /// send one call after the other, so that the last one is meant. Some repeat id and name.
    fn place(&self, id: &str, name: &str) -> Option<usize> {
        match self.kind {
            ProviderKind::Gemini | ProviderKind::Ollama => return None,
            ProviderKind::OpenAi | ProviderKind::OpenAiCompatible | ProviderKind::Anthropic => {}
        }
        let last = self.partial.len().checked_sub(1)?;
        let same_id = self.partial.iter().rposition(|call| !id.is_empty() && call.id == id);
        if !name.is_empty() {
            let repeats =
                |place: &usize| self.partial.get(*place).is_some_and(|it| it.name == name);
            return same_id.filter(repeats);
        }
        let by_index = || {
            let index: usize = id.strip_prefix("call_")?.parse().ok()?;
            (index <= last).then_some(index)
        };
        same_id.or_else(by_index).or(Some(last))
    }

    /// The whole calls. Each has a name within the turn: `taken` are those of the calls before.
    /// The error is a call without a tool's name.
    pub(super) fn finish(&mut self, taken: &[String]) -> Result<Vec<ToolCall>, ()> {
        let mut calls: Vec<ToolCall> = Vec::with_capacity(self.partial.len());
        for partial in self.partial.drain(..) {
            if partial.name.is_empty() {
                return Err(());
            }
            let is_taken = |id: &str| {
                taken.iter().any(|other| other == id) || calls.iter().any(|call| call.id == id)
            };
            let mut id = partial.id;
            let mut number = taken.len() + calls.len();
            while id.is_empty() || is_taken(&id) {
                id = match self.kind {
                    // The form that `genai` knows not to send to Gemini as an id.
                    ProviderKind::Gemini => format!("call#{}#{number}", partial.name),
                    _ => format!("call_{number}"),
                };
                number += 1;
            }
            calls.push(ToolCall {
                id,
                name: partial.name,
                arguments: arguments(partial.arguments),
                provider_state: partial.provider_state,
            });
        }
        Ok(calls)
    }
}

/// An object, or the text of what is none.
fn arguments(arguments: Arguments) -> Value {
    let value = match arguments {
        Arguments::Text(text) if text.trim().is_empty() => Value::Null,
        Arguments::Text(text) => match serde_json::from_str::<Value>(&text) {
            Ok(value @ (Value::Object(_) | Value::Null)) => value,
            _ => Value::String(text),
        },
        Arguments::Value(value) => value,
    };
    match value {
        Value::Null => Value::Object(Map::new()),
        value @ (Value::Object(_) | Value::String(_)) => value,
        other => Value::String(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn piece(id: &str, name: &str, arguments: impl Into<Value>) -> genai::chat::ToolCall {
        genai::chat::ToolCall {
            call_id: id.to_owned(),
            fn_name: name.to_owned(),
            fn_arguments: arguments.into(),
            thought_signatures: None,
        }
    }

    fn assembled(
        kind: ProviderKind,
        pieces: impl IntoIterator<Item = genai::chat::ToolCall>,
    ) -> Vec<(String, String, Value)> {
        let mut calls = Calls::new(kind);
        for piece in pieces {
            calls.take(piece);
        }
        let calls = calls.finish(&["call_0".to_owned()]).unwrap();
        calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn call(id: &str, name: &str, arguments: Value) -> (String, String, Value) {
        (id.to_owned(), name.to_owned(), arguments)
    }

    #[test]
    fn interleaved_pieces_find_their_calls() {
        let calls = assembled(
            ProviderKind::OpenAi,
            [
                piece("a", "one", ""),
                piece("b", "two", ""),
                piece("call_0", "", "{\"x\":"),
                piece("call_1", "", "{\"y\":"),
                piece("call_0", "", "1}"),
                piece("call_1", "", "2}"),
            ],
        );
        assert_eq!(calls, [call("a", "one", json!({"x": 1})), call("b", "two", json!({"y": 2}))]);
    }

    #[test]
    fn servers_that_count_from_one_or_repeat_themselves_are_understood() {
        let calls = assembled(
            ProviderKind::OpenAiCompatible,
            [
                piece("a", "one", "{\"x\":"),
                piece("call_1", "", "1}"),
                piece("b", "two", "{\"y\":"),
                piece("b", "two", "2}"),
                piece("c", "three", "{}"),
            ],
        );
        let values: Vec<Value> = calls.into_iter().map(|(_, _, arguments)| arguments).collect();
        assert_eq!(values, [json!({"x": 1}), json!({"y": 2}), json!({})]);
    }

    #[test]
    fn anthropics_pieces_are_all_so_far() {
        let calls = assembled(
            ProviderKind::Anthropic,
            [piece("t", "one", ""), piece("t", "one", "{\"x\""), piece("t", "one", "{\"x\":1}")],
        );
        assert_eq!(calls, [call("t", "one", json!({"x": 1}))]);
    }

    #[test]
    fn every_call_has_a_name_of_its_own() {
        let calls = assembled(
            ProviderKind::Gemini,
            [
                piece("call#f#0", "f", json!({"n": 1})),
                piece("call#f#0", "f", json!({"n": 2})),
                piece("", "f", json!(null)),
            ],
        );
        assert_eq!(
            calls,
            [
                call("call#f#0", "f", json!({"n": 1})),
                call("call#f#2", "f", json!({"n": 2})),
                call("call#f#3", "f", json!({})),
            ]
        );
        let calls = assembled(ProviderKind::OpenAi, [piece("call_0", "f", "")]);
        assert_eq!(calls, [call("call_1", "f", json!({}))], "call_0 was in an earlier round");
    }

    #[test]
    fn what_is_no_object_is_kept_as_text() {
        for (text, expected) in [
            ("{\"x\": 1", json!("{\"x\": 1")),
            ("[1]", json!("[1]")),
            ("\"x\"", json!("\"x\"")),
            (" ", json!({})),
            ("null", json!({})),
        ] {
            let calls = assembled(ProviderKind::OpenAi, [piece("a", "f", text)]);
            assert_eq!(calls[0].2, expected, "{text}");
        }
        let calls = assembled(ProviderKind::Ollama, [piece("a", "f", json!([1]))]);
        assert_eq!(calls[0].2, json!("[1]"));
    }

    #[test]
    fn a_call_without_a_name_makes_no_sense() {
        let mut calls = Calls::new(ProviderKind::OpenAi);
        calls.take(piece("a", "", "{}"));
        assert_eq!(calls.finish(&[]), Err(()));
    }
}
