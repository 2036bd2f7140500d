//! Our request in `genai`'s words: parameters and the shape of the answer.

use bartizan_engine::ports::model::{
    ModelError, ModelErrorKind, ModelRequest, OutputFormat, Parameters,
};
use genai::chat::{ChatOptions, ChatResponseFormat, JsonSpec, ReasoningEffort};
use serde_json::{Map, Value, json};

use super::{Origin, ProviderKind};

/// The fields of a body that `genai` does not make, or makes otherwise.
pub(super) type Extra = Map<String, Value>;

/// The options of a call. What can only be asked for in words is added to the system prompt.
pub(super) fn options(
    origin: &Origin,
    is_openai: bool,
    request: &ModelRequest,
    system: &mut Option<String>,
    extra: &mut Extra,
) -> Result<ChatOptions, ModelError> {
    let parameters = &request.parameters;
    let kind = origin.kind;
    let effort = effort(origin, parameters)?;
    let thinks = effort.is_some();
    let mut options = ChatOptions {
        temperature: parameters.temperature,
        max_tokens: parameters.max_tokens,
        top_p: parameters.top_p,
        stop_sequences: parameters.stop.clone(),
        seed: parameters.seed,
        reasoning_effort: effort.or_else(|| no_effort(kind, &origin.info.model)),
        capture_usage: Some(true),
        // Its pieces come as events; what is captured is only wanted where it must go back whole.
        // With Gemini it also asks for thoughts, which models that do not think refuse.
        capture_reasoning_content: Some(match kind {
            ProviderKind::Anthropic => true,
            ProviderKind::Gemini => thinks,
            _ => false,
        }),
        capture_raw_body: Some(!request.stream && is_openai_protocol(kind)),
        ..ChatOptions::default()
    };
    format(kind, &request.output, &mut options, system, extra);
    match kind {
        ProviderKind::OpenAi | ProviderKind::OpenAiCompatible => {
            openai(kind, is_openai, parameters, &mut options, extra);
        }
        ProviderKind::Anthropic => {
            if let Some(top_k) = parameters.top_k {
                extra.insert("top_k".to_owned(), top_k.into());
            }
        }
        ProviderKind::Gemini => gemini(origin, request, thinks, &options, extra),
        // `genai` lets nothing be added to Ollama's body.
        ProviderKind::Ollama => {}
    }
    Ok(options)
}

pub(super) fn is_openai_protocol(kind: ProviderKind) -> bool {
    matches!(kind, ProviderKind::OpenAi | ProviderKind::OpenAiCompatible)
}

fn effort(origin: &Origin, parameters: &Parameters) -> Result<Option<ReasoningEffort>, ModelError> {
    let Some(word) = parameters.reasoning_effort.as_deref() else { return Ok(None) };
    let word = word.trim().to_ascii_lowercase();
    ReasoningEffort::from_keyword(&word).map(Some).ok_or_else(|| {
        origin.error(
            ModelErrorKind::Unsupported,
            "the reasoning effort is none of none, minimal, low, medium, high, xhigh, max",
        )
    })
}

/// Where nothing is said of reasoning, `genai` reads it from the end of a model's name and cuts it
/// off: `mistral-medium` would become `mistral`. This says nothing to the provider and keeps the
/// name whole.
fn no_effort(kind: ProviderKind, model: &str) -> Option<ReasoningEffort> {
    ReasoningEffort::from_model_name(model).0?;
    match kind {
        ProviderKind::OpenAi | ProviderKind::OpenAiCompatible => Some(ReasoningEffort::Budget(0)),
        ProviderKind::Anthropic | ProviderKind::Gemini => Some(ReasoningEffort::Zero),
        ProviderKind::Ollama => None,
    }
}

fn format(
    kind: ProviderKind,
    output: &OutputFormat,
    options: &mut ChatOptions,
    system: &mut Option<String>,
    extra: &mut Extra,
) {
    let mut say = |words: String| match system {
        Some(system) => {
            system.push_str("\n\n");
            system.push_str(&words);
        }
        None => *system = Some(words),
    };
    match output {
        OutputFormat::Text => {}
        OutputFormat::Json => match kind {
            ProviderKind::Anthropic => {
                say("Answer with one JSON object and nothing else.".to_owned());
            }
            _ => options.response_format = Some(ChatResponseFormat::JsonMode),
        },
        OutputFormat::JsonSchema { name, schema, strict } => {
            let in_words = || {
                format!("Answer with JSON that fits this JSON Schema, and nothing else:\n{schema}")
            };
            match kind {
                ProviderKind::Anthropic if !strict => say(in_words()),
                ProviderKind::Ollama => {
                    options.response_format = Some(ChatResponseFormat::JsonMode);
                    say(in_words());
                }
                // `genai` always asks OpenAI for the letter, and changes the schema so that it can
                // be had.
                ProviderKind::OpenAi | ProviderKind::OpenAiCompatible if !strict => {
                    let schema = json!({
                        "name": schema_name(name),
                        "schema": schema,
                        "strict": false,
                    });
                    let format = json!({"type": "json_schema", "json_schema": schema});
                    extra.insert("response_format".to_owned(), format);
                }
                _ => {
                    let spec = JsonSpec::new(schema_name(name), schema.clone());
                    options.response_format = Some(ChatResponseFormat::JsonSpec(spec));
                }
            }
        }
    }
}

/// OpenAI takes letters, digits, `-` and `_`, 64 at most.
fn schema_name(name: &str) -> String {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let name: String =
        name.chars().take(64).map(|letter| if legal(letter) { letter } else { '_' }).collect();
    if name.is_empty() { "answer".to_owned() } else { name }
}

fn openai(
    kind: ProviderKind,
    is_openai: bool,
    parameters: &Parameters,
    options: &mut ChatOptions,
    extra: &mut Extra,
) {
    let mut put = |name: &str, value: Value| {
        extra.insert(name.to_owned(), value);
    };
    if let Some(penalty) = parameters.frequency_penalty {
        put("frequency_penalty", penalty.into());
    }
    if let Some(penalty) = parameters.presence_penalty {
        put("presence_penalty", penalty.into());
    }
    if let (Some(top_k), ProviderKind::OpenAiCompatible) = (parameters.top_k, kind) {
        put("top_k", top_k.into());
    }
    // OpenAI takes the new name for every model and the old one for old models only; elsewhere the
    // old one is understood best, and `genai` knows the models that need the new one.
    if let (Some(most), true) = (parameters.max_tokens, is_openai) {
        put("max_completion_tokens", most.into());
        options.max_tokens = None;
    }
}

/// `genai` has no place for these, and what is added replaces a whole field of the body, so where
/// one is needed the whole field is built here.
fn gemini(
    origin: &Origin,
    request: &ModelRequest,
    thinks: bool,
    options: &ChatOptions,
    extra: &mut Extra,
) {
    let parameters = &request.parameters;
    let json_mode = matches!(options.response_format, Some(ChatResponseFormat::JsonMode));
    let needed = parameters.top_k.is_some()
        || parameters.frequency_penalty.is_some()
        || parameters.presence_penalty.is_some()
        || json_mode;
    if !needed {
        return;
    }
    let mut config = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    put("temperature", parameters.temperature.map(Value::from));
    put("maxOutputTokens", parameters.max_tokens.map(Value::from));
    put("topP", parameters.top_p.map(Value::from));
    put("topK", parameters.top_k.map(Value::from));
    put("frequencyPenalty", parameters.frequency_penalty.map(Value::from));
    put("presencePenalty", parameters.presence_penalty.map(Value::from));
    put("seed", parameters.seed.map(Value::from));
    put("stopSequences", (!parameters.stop.is_empty()).then(|| json!(parameters.stop)));
    let schema = match &options.response_format {
        Some(ChatResponseFormat::JsonSpec(spec)) => Some(spec.schema.clone()),
        _ => None,
    };
    put("responseMimeType", (json_mode || schema.is_some()).then(|| "application/json".into()));
    put("responseJsonSchema", schema);
    if thinks && let Some(effort) = &options.reasoning_effort {
        put("thinkingConfig", Some(gemini_thinking(&origin.info.model, effort)));
    }
    extra.insert("generationConfig".to_owned(), Value::Object(config));
}

/// Gemini 3 and Gemma 4 take a level, those before a budget of tokens.
fn gemini_thinking(model: &str, effort: &ReasoningEffort) -> Value {
    let (level, budget) = match effort {
        ReasoningEffort::Minimal => ("MINIMAL", 1_000),
        ReasoningEffort::Low => ("LOW", 1_000),
        ReasoningEffort::Medium => ("MEDIUM", 8_000),
        ReasoningEffort::High | ReasoningEffort::XHigh | ReasoningEffort::Max => ("HIGH", 24_000),
        ReasoningEffort::Zero | ReasoningEffort::Budget(_) => {
            return json!({"includeThoughts": true});
        }
    };
    if ["gemini-3", "gemma-4"].iter().any(|family| model.contains(family)) {
        json!({"includeThoughts": true, "thinkingLevel": level})
    } else {
        json!({"includeThoughts": true, "thinkingBudget": budget})
    }
}
