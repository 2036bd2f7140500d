//! Tool calls from their pieces.

use bartizan_engine::message::ToolCall;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{ProviderKind, state};

/// The most calls of one answer; no model makes a tenth as many.
const MOST_CALLS: usize = 1024;

/// The most bytes of all arguments of one answer.
const MOST_BYTES: usize = 16 << 20;

/// The tool calls of one answer, as they arrive.
pub(super) struct Calls {
    kind: ProviderKind,
    partial: Vec<Partial>,
    /// The bytes of names and arguments so far.
    bytes: usize,
    /// Whether there is more than may be, which was not kept.
    is_too_much: bool,
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
        Self { kind, partial: Vec::new(), bytes: 0, is_too_much: false }
    }

    /// Takes a call, or what `genai` makes of a piece of one: for OpenAI's protocol the piece
    /// alone, for Anthropic's all that has arrived of the call, for the others the whole call.
    ///
    /// `genai` could put OpenAI's pieces together itself, but it copies the text at each piece and
    /// makes as many calls as the highest index that a server names.
    ///
    /// # Errors
    /// More calls, or longer ones, than any model makes.
    pub(super) fn take(&mut self, piece: genai::chat::ToolCall) -> Result<(), ()> {
        let place = self.place(&piece);
        match (place.and_then(|place| self.partial.get_mut(place)), piece.fn_arguments) {
            (Some(partial), Value::String(text)) => match &mut partial.arguments {
                Arguments::Text(before) if self.kind != ProviderKind::Anthropic => {
                    self.bytes += text.len();
                    before.push_str(&text);
                }
                arguments => {
                    if let Arguments::Text(before) = arguments {
                        self.bytes = self.bytes.saturating_sub(before.len());
                    }
                    self.bytes += text.len();
                    *arguments = Arguments::Text(text);
                }
            },
            (_, fn_arguments) => self.open(genai::chat::ToolCall { fn_arguments, ..piece }),
        }
        self.is_too_much |= self.bytes > MOST_BYTES;
        if self.is_too_much { Err(()) } else { Ok(()) }
    }

    /// Takes a call that none of the calls so far is a piece of.
    pub(super) fn open(&mut self, call: genai::chat::ToolCall) {
        if self.partial.len() >= MOST_CALLS {
            self.is_too_much = true;
            return;
        }
        self.bytes += call.fn_name.len() + call.fn_arguments.as_str().map_or(0, str::len);
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
    /// send one call after the other, so that the last one is meant. Some repeat id and name with
    /// every piece; but where the arguments are whole already nothing can go on with them, and the
    /// id is one that the server gives twice.
    fn place(&self, piece: &genai::chat::ToolCall) -> Option<usize> {
        let (id, name) = (piece.call_id.as_str(), piece.fn_name.as_str());
        match self.kind {
            ProviderKind::Gemini | ProviderKind::Ollama => return None,
            ProviderKind::OpenAi | ProviderKind::OpenAiCompatible | ProviderKind::Anthropic => {}
        }
        let last = self.partial.len().checked_sub(1)?;
        let same_id = self.partial.iter().rposition(|call| !id.is_empty() && call.id == id);
        if !name.is_empty() {
            return same_id.filter(|&place| {
                self.partial.get(place).is_some_and(|call| {
                    call.name == name
                        && (self.kind == ProviderKind::Anthropic || call.may_go_on(piece))
                })
            });
        }
        let by_index = || {
            let index: usize = id.strip_prefix("call_")?.parse().ok()?;
            (index <= last).then_some(index)
        };
        same_id.or_else(by_index).or(Some(last))
    }

    /// The whole calls. Each has a name within the turn: `taken` are those of the calls before.
    /// The error is a call without a tool's name, or more than there may be.
    pub(super) fn finish(&mut self, taken: &[String]) -> Result<Vec<ToolCall>, ()> {
        if self.is_too_much {
            return Err(());
        }
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

impl Partial {
    /// Whether the piece can be a part of this call: nothing follows a whole JSON object.
    fn may_go_on(&self, piece: &genai::chat::ToolCall) -> bool {
        let is_empty = piece.fn_arguments.as_str().is_some_and(|text| text.trim().is_empty());
        match &self.arguments {
            Arguments::Text(before) => {
                is_empty
                    || !before.trim_end().ends_with('}')
                    || serde_json::from_str::<IgnoredAny>(before).is_err()
            }
            Arguments::Value(_) => false,
        }
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
            calls.take(piece).unwrap();
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
    fn calls_of_one_id_are_not_run_together() {
        let calls = assembled(
            ProviderKind::OpenAi,
            [
                piece("a", "one", "{\"x\":1}"),
                piece("a", "one", "{\"x\":"),
                piece("a", "one", "2}"),
                piece("a", "one", ""),
            ],
        );
        assert_eq!(
            calls,
            [call("a", "one", json!({"x": 1})), call("call_2", "one", json!({"x": 2}))]
        );
    }

    #[test]
    fn endless_calls_come_to_an_end() {
        let mut calls = Calls::new(ProviderKind::OpenAi);
        let taken = (0..).take_while(|n| calls.take(piece(&format!("c{n}"), "f", "{}")).is_ok());
        assert_eq!(taken.count(), MOST_CALLS);
        assert_eq!(calls.finish(&[]), Err(()));

        let mut calls = Calls::new(ProviderKind::OpenAi);
        calls.take(piece("a", "f", "{\"x\":\"")).unwrap();
        let long = "x".repeat(1 << 20);
        let taken = (0..).take_while(|_| calls.take(piece("call_0", "", long.as_str())).is_ok());
        assert_eq!(taken.count(), 15);
        assert_eq!(calls.finish(&[]), Err(()));
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
        calls.take(piece("a", "", "{}")).unwrap();
        assert_eq!(calls.finish(&[]), Err(()));
    }
}
