//! The fields of a chat completion request, and what a turn makes of them.
//!
//! Fields that are not here are ignored, as OpenAI's own servers ignore what they do not know.
//! The exceptions are fields whose absence from the answer the caller would notice too late:
//! those are refused by name in [`ChatRequest::check`].

use std::collections::BTreeMap;

use bartizan_engine::{
    identity::SessionId,
    ports::model::{OutputFormat, Parameters, ToolChoice, ToolSpec},
    request::{ClientToolMode, SessionChoice, TurnRequest},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::messages::{self, ChatMessage, Places, Taken, Translated};
use crate::{
    errors::ApiError,
    http::limits::{HttpLimits, check_metadata, is_tool_name},
    identity::Caller,
};

/// The key of `metadata` that names the session in which the conversation is kept.
const SESSION_ID: &str = "session_id";

/// A chat completion request.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// The agent: `pack/prompt`, or `pack` alone for its entry.
    #[schema(example = "support/triage")]
    model: String,
    /// The conversation; with `metadata.session_id` only what is new of it is taken.
    messages: Vec<ChatMessage>,
    /// Whether to answer in pieces.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) stream: bool,
    /// How to answer in pieces.
    stream_options: Option<StreamOptions>,
    /// Functions that the caller runs.
    #[serde(default, deserialize_with = "or_default")]
    tools: Vec<ChatTool>,
    /// `none`, `auto`, `required`, or `{"type": "function", "function": {"name": …}}`.
    tool_choice: Option<Value>,
    /// The shape of the answer: `text`, `json_object` or `json_schema`.
    response_format: Option<ResponseFormat>,
    /// The most tokens that one call of the model may write.
    max_completion_tokens: Option<u32>,
    /// The old name of `max_completion_tokens`.
    max_tokens: Option<u32>,
    /// 0 to 2.
    temperature: Option<f64>,
    /// 0 to 1.
    top_p: Option<f64>,
    /// -2 to 2.
    frequency_penalty: Option<f64>,
    /// -2 to 2.
    presence_penalty: Option<f64>,
    /// A text that ends the answer, or up to four.
    #[schema(value_type = Option<Value>)]
    stop: Option<Stop>,
    /// For answers that repeat, where the provider can.
    seed: Option<i64>,
    /// How much to think: `minimal`, `low`, `medium`, `high`.
    reasoning_effort: Option<String>,
    /// The caller's own words; `session_id` names a session to keep the conversation in.
    #[serde(default, deserialize_with = "or_default")]
    metadata: BTreeMap<String, String>,
    /// Values for the variables of the agent's prompt. Not OpenAI's: pass it as `extra_body`.
    #[serde(default, deserialize_with = "or_default")]
    variables: Map<String, Value>,
    #[schema(ignore)]
    n: Option<u64>,
    #[schema(ignore)]
    logprobs: Option<bool>,
    #[schema(ignore)]
    top_logprobs: Option<u64>,
    #[schema(ignore)]
    logit_bias: Option<Map<String, Value>>,
    #[schema(ignore)]
    functions: Option<Value>,
    #[schema(ignore)]
    function_call: Option<Value>,
    #[schema(ignore)]
    modalities: Option<Vec<String>>,
    #[schema(ignore)]
    audio: Option<Value>,
    #[schema(ignore)]
    web_search_options: Option<Value>,
    #[schema(ignore)]
    moderation: Option<Value>,
}

/// How to answer in pieces.
#[derive(Deserialize, ToSchema)]
struct StreamOptions {
    /// Whether the last piece tells what was used.
    #[serde(default)]
    include_usage: bool,
}

/// A tool that the caller runs.
#[derive(Deserialize, ToSchema)]
struct ChatTool {
    /// Always `function`.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    kind: String,
    /// The function.
    function: Option<ChatFunction>,
}

/// A function that the caller runs.
#[derive(Deserialize, ToSchema)]
struct ChatFunction {
    /// 1 to 64 letters, digits, `_` and `-`.
    name: String,
    /// What it does, for the model.
    #[serde(default)]
    description: Option<String>,
    /// JSON Schema of its arguments.
    #[serde(default)]
    parameters: Option<Value>,
}

/// The shape of the answer.
#[derive(Deserialize, ToSchema)]
struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    kind: String,
    /// The schema, for `json_schema`.
    json_schema: Option<NamedSchema>,
}

/// A JSON Schema with a name.
#[derive(Deserialize, ToSchema)]
struct NamedSchema {
    /// The schema's name.
    name: String,
    /// The schema.
    #[serde(default)]
    schema: Option<Value>,
    /// Whether the provider should enforce it to the letter.
    #[serde(default)]
    strict: Option<bool>,
}

/// One text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Several(Vec<String>),
}

/// `null` means what a missing field means.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl ChatRequest {
    /// Whether the stream tells what was used.
    pub(crate) fn include_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// The turn that is asked for, and where in the request its messages are.
    ///
    /// # Errors
    /// 400, 413 or 422, naming the field.
    pub(crate) fn translate(
        mut self,
        caller: Caller,
        limits: &HttpLimits,
    ) -> Result<(TurnRequest, Places), ApiError> {
        self.check()?;
        check_metadata(&self.metadata)?;
        let session = match self.metadata.remove(SESSION_ID) {
            None => SessionChoice::None,
            Some(id) => SessionChoice::Open(parse_session(&id)?),
        };
        let taken = if session == SessionChoice::None { Taken::All } else { Taken::New };
        let parameters = self.parameters()?;
        let Translated { messages, places } = messages::translate(self.messages, taken, limits)?;
        HttpLimits::check_count("tools", self.tools.len(), limits.tools)?;
        let turn = TurnRequest {
            variables: self.variables,
            client_tools: translate_tools(self.tools)?,
            client_tool_mode: ClientToolMode::Return,
            tool_choice: self.tool_choice.map(translate_choice).transpose()?,
            parameters,
            output: self
                .response_format
                .map_or(Ok(OutputFormat::Text), ResponseFormat::translate)?,
            stream: self.stream,
            metadata: self.metadata,
            // The caller of a stream learns the run's name before it ends, and can ask for it
            // later only where the conversation is kept.
            announced: self.stream && session != SessionChoice::None,
            session,
            ..TurnRequest::new(caller.owner, self.model, messages)
        };
        Ok((turn, places))
    }

    /// Refuses what would be missing from the answer without a word.
    fn check(&self) -> Result<(), ApiError> {
        let speaks = |list: &Vec<String>| list.iter().any(|modality| modality != "text");
        let refused = [
            ("model", self.model.is_empty(), "name an agent; GET /v1/models lists them"),
            ("n", self.n.is_some_and(|n| n != 1), "only one choice is made"),
            ("logprobs", self.logprobs == Some(true), "log probabilities are not available"),
            (
                "top_logprobs",
                self.top_logprobs.is_some_and(|most| most > 0),
                "log probabilities are not available",
            ),
            (
                "logit_bias",
                self.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()),
                "biases are not supported",
            ),
            ("functions", self.functions.is_some(), "use tools instead"),
            ("function_call", self.function_call.is_some(), "use tool_choice instead"),
            ("modalities", self.modalities.as_ref().is_some_and(speaks), "the answer is text"),
            ("audio", self.audio.is_some(), "the answer is text"),
            (
                "web_search_options",
                self.web_search_options.is_some(),
                "the agent's pack says which tools it has",
            ),
            ("moderation", self.moderation.is_some(), "it is not supported"),
        ];
        match refused.into_iter().find(|(_, is_refused, _)| *is_refused) {
            Some((param, _, reason)) => {
                Err(ApiError::invalid(format!("{param}: {reason}")).param(param))
            }
            None => Ok(()),
        }
    }

    fn parameters(&mut self) -> Result<Parameters, ApiError> {
        let max_tokens = self.max_completion_tokens.or(self.max_tokens);
        if max_tokens == Some(0) {
            return Err(ApiError::invalid("max_completion_tokens: at least 1")
                .param("max_completion_tokens"));
        }
        let stop = match self.stop.take() {
            None => Vec::new(),
            Some(Stop::One(text)) => vec![text],
            Some(Stop::Several(texts)) => texts,
        };
        HttpLimits::check_count("stop", stop.len(), 4)?;
        Ok(Parameters {
            temperature: within("temperature", self.temperature, 0.0, 2.0)?,
            max_tokens,
            top_p: within("top_p", self.top_p, 0.0, 1.0)?,
            top_k: None,
            frequency_penalty: within("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?,
            presence_penalty: within("presence_penalty", self.presence_penalty, -2.0, 2.0)?,
            stop,
            // OpenAI's seeds are signed; the bits are what counts.
            seed: self.seed.map(i64::cast_unsigned),
            reasoning_effort: self.reasoning_effort.take(),
        })
    }
}

fn parse_session(id: &str) -> Result<SessionId, ApiError> {
    id.parse().map_err(|error: bartizan_engine::identity::IdentityError| {
        ApiError::invalid(format!("metadata.session_id: {error}")).param("metadata.session_id")
    })
}

fn within(param: &str, value: Option<f64>, least: f64, most: f64) -> Result<Option<f64>, ApiError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(ApiError::invalid(format!("{param}: {value} is not within {least} and {most}"))
                .param(param))
        }
        _ => Ok(value),
    }
}

fn translate_tools(tools: Vec<ChatTool>) -> Result<Vec<ToolSpec>, ApiError> {
    let translate = |(index, tool): (usize, ChatTool)| {
        let refused = |field: &str, reason: &str| {
            let param = format!("tools[{index}].{field}");
            Err(ApiError::invalid(format!("{param}: {reason}")).param(param))
        };
        if tool.kind != "function" {
            return refused("type", "only tools of type 'function' are taken");
        }
        let Some(function) = tool.function else {
            return refused("function", "it is missing");
        };
        if !is_tool_name(&function.name) {
            return refused("function.name", "1 to 64 letters, digits, _ and -");
        }
        let parameters = match function.parameters {
            None | Some(Value::Null) => json!({"type": "object", "properties": {}}),
            Some(schema @ Value::Object(_)) => schema,
            Some(_) => return refused("function.parameters", "a JSON Schema is an object"),
        };
        Ok(ToolSpec {
            name: function.name,
            description: function.description.unwrap_or_default(),
            parameters,
        })
    };
    tools.into_iter().enumerate().map(translate).collect()
}

fn translate_choice(choice: Value) -> Result<ToolChoice, ApiError> {
    let named = choice.pointer("/function/name").and_then(Value::as_str);
    match (choice.as_str(), named) {
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        (Some("none"), _) => Ok(ToolChoice::None),
        (Some("required"), _) => Ok(ToolChoice::Required),
        (None, Some(name)) => Ok(ToolChoice::Named(name.to_owned())),
        _ => Err(ApiError::invalid(
            "tool_choice: 'none', 'auto', 'required' or {\"type\": \"function\", \"function\": \
             {\"name\": …}}",
        )
        .param("tool_choice")),
    }
}

impl ResponseFormat {
    fn translate(self) -> Result<OutputFormat, ApiError> {
        let refused = |field: &str, reason: String| {
            let param = format!("response_format.{field}");
            Err(ApiError::invalid(format!("{param}: {reason}")).param(param))
        };
        match (self.kind.as_str(), self.json_schema) {
            ("text", _) => Ok(OutputFormat::Text),
            ("json_object", _) => Ok(OutputFormat::Json),
            ("json_schema", Some(named)) => Ok(OutputFormat::JsonSchema {
                name: named.name,
                schema: named.schema.unwrap_or_else(|| json!({"type": "object"})),
                strict: named.strict.unwrap_or(false),
            }),
            ("json_schema", None) => refused("json_schema", "it is missing".to_owned()),
            (other, _) => {
                refused("type", format!("'{other}' is not text, json_object or json_schema"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(body: Value) -> Result<TurnRequest, ApiError> {
        let request: ChatRequest = serde_json::from_value(body).unwrap();
        request.translate(Caller::local(), &HttpLimits::default()).map(|(turn, _)| turn)
    }

    fn with(field: &str, value: Value) -> Value {
        let mut body = json!({"model": "a", "messages": [{"role": "user", "content": "hi"}]});
        body[field] = value;
        body
    }

    #[test]
    fn what_would_be_missed_is_refused_by_name() {
        for (field, value) in [
            ("n", json!(2)),
            ("logprobs", json!(true)),
            ("functions", json!([])),
            ("modalities", json!(["text", "audio"])),
            ("tool_choice", json!("sometimes")),
            ("temperature", json!(3)),
            ("stop", json!(["a", "b", "c", "d", "e"])),
        ] {
            let error = translated(with(field, value)).unwrap_err().body("r");
            assert!(error.contains(&format!(r#""param":"{field}""#)), "{error}");
        }
    }

    #[test]
    fn nulls_and_unknown_fields_are_ignored() {
        for (field, value) in [
            ("n", json!(1)),
            ("logprobs", json!(false)),
            ("tools", json!(null)),
            ("metadata", json!(null)),
            ("parallel_tool_calls", json!(true)),
            ("service_tier", json!("auto")),
        ] {
            assert!(translated(with(field, value)).is_ok(), "{field}");
        }
    }

    #[test]
    fn parameters_arrive() {
        let mut body = with("max_tokens", json!(7));
        body["stop"] = json!("END");
        body["seed"] = json!(-1);
        let turn = translated(body).unwrap();
        assert_eq!(turn.parameters.max_tokens, Some(7));
        assert_eq!(turn.parameters.stop, ["END"]);
        assert_eq!(turn.parameters.seed, Some(u64::MAX));
    }

    #[test]
    fn a_session_is_named_in_the_metadata() {
        let turn = translated(with("metadata", json!({"session_id": "s-1", "team": "x"}))).unwrap();
        assert_eq!(turn.session, SessionChoice::Open("s-1".parse().unwrap()));
        assert_eq!(turn.metadata.keys().collect::<Vec<_>>(), ["team"]);
        assert!(translated(with("metadata", json!({"session_id": "a b"}))).is_err());
    }
}
