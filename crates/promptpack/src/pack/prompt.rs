//! Prompts: a template with its variables, tools, parameters and limits.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Eval, MediaConfig, ToolPolicy, Validator, Variable};
use crate::decode::{Decoder, Node};
use crate::finding::Code;
use crate::{SpecVersion, grammar};

/// One task that the pack can do (spec: `Prompt`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Prompt {
    /// The id; by convention the same as the key in [`Pack::prompts`](super::Pack::prompts).
    pub id: String,
    /// The name, for people.
    pub name: String,
    /// The prompt's own version (SemVer 2.0.0).
    pub version: String,
    /// What the prompt does.
    pub description: Option<String>,
    /// The template of the system message, as written.
    pub system_template: String,
    /// The values that the template takes.
    pub variables: Vec<Variable>,
    /// Names of the pack's tools that the prompt may offer.
    pub tools: Vec<String>,
    /// How tools may be used; absent means the specification's defaults.
    pub tool_policy: Option<ToolPolicy>,
    /// Sampling parameters.
    pub parameters: Parameters,
    /// Guardrails on the model's output.
    pub validators: Vec<Validator>,
    /// Changes for a model, by exact model name.
    pub model_overrides: IndexMap<String, ModelOverride>,
    /// Which media messages may carry (1.1).
    pub media: Option<MediaConfig>,
    /// The key of the required provider to use (1.9).
    pub provider: Option<String>,
    /// Evaluations of this prompt (1.2).
    pub evals: Vec<Eval>,
    /// A processing pipeline; no known runtime acts on it.
    pub pipeline: Option<Pipeline>,
    /// Models that the author has tried.
    pub tested_models: Vec<TestedModel>,
    /// Additions from outside the specification (1.8).
    pub extensions: Map<String, Value>,
}

/// Sampling parameters; what is absent is left to the provider (spec: `Parameters`).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Parameters {
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Most tokens of output; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// At least 1; `null` in the pack means absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
}

impl Parameters {
    /// These parameters with every field that `over` sets replaced by its value.
    #[must_use]
    pub fn merged(self, over: Self) -> Self {
        Self {
            temperature: over.temperature.or(self.temperature),
            max_tokens: over.max_tokens.or(self.max_tokens),
            top_p: over.top_p.or(self.top_p),
            top_k: over.top_k.or(self.top_k),
            frequency_penalty: over.frequency_penalty.or(self.frequency_penalty),
            presence_penalty: over.presence_penalty.or(self.presence_penalty),
        }
    }
}

/// Changes to a prompt for one model (spec: `ModelOverride`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ModelOverride {
    /// A full replacement; wins over prefix and suffix. An empty one is ignored.
    pub system_template: Option<String>,
    /// Text before the template.
    pub system_template_prefix: Option<String>,
    /// Text after the template.
    pub system_template_suffix: Option<String>,
    /// Parameters, merged field by field over the prompt's.
    pub parameters: Parameters,
}

/// A processing pipeline (spec: `PipelineConfig`); parsed, never acted on.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Pipeline {
    /// The names of the stages, in order.
    pub stages: Vec<String>,
    /// Configuration of the stages.
    pub middleware: Vec<Middleware>,
}

/// One stage's configuration (spec: `MiddlewareConfig`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Middleware {
    /// Which middleware.
    #[serde(rename = "type")]
    pub type_: String,
    /// Its settings, as written.
    pub config: Map<String, Value>,
}

/// A model that the author has tried (spec: `TestedModel`); information only.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TestedModel {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// The day of the test, `YYYY-MM-DD`.
    pub date: String,
    /// Share of successes, 0 to 1.
    pub success_rate: Option<f64>,
    /// Mean tokens of a call.
    pub avg_tokens: Option<f64>,
    /// Mean cost of a call, in US dollars.
    pub avg_cost: Option<f64>,
    /// Mean latency of a call, in milliseconds.
    pub avg_latency_ms: Option<f64>,
    /// Remarks.
    pub notes: Option<String>,
}

impl Prompt {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let prompt = Self {
            id: fields.required(decoder, "id", |d, n| d.form(n, &grammar::PROMPT_ID)),
            name: fields.required(decoder, "name", Decoder::nonempty),
            version: fields.required(decoder, "version", |d, n| d.form(n, &grammar::VERSION)),
            description: fields.optional(decoder, "description", Decoder::string),
            system_template: fields.required(decoder, "system_template", Decoder::nonempty),
            variables: fields.or_default(decoder, "variables", |d, n| d.list(n, Variable::decode)),
            tools: fields.or_default(decoder, "tools", Decoder::strings),
            tool_policy: fields.optional(decoder, "tool_policy", ToolPolicy::decode),
            parameters: fields.or_default(decoder, "parameters", Parameters::decode),
            validators: fields
                .or_default(decoder, "validators", |d, n| d.list(n, Validator::decode)),
            model_overrides: fields
                .or_default(decoder, "model_overrides", |d, n| d.map(n, ModelOverride::decode)),
            media: fields.optional(decoder, "media", MediaConfig::decode),
            provider: fields.optional(decoder, "provider", |d, n| {
                d.uses(SpecVersion::V1_9);
                d.string(n)
            }),
            evals: fields.or_default(decoder, "evals", Eval::decode_list),
            pipeline: fields.optional(decoder, "pipeline", Pipeline::decode),
            tested_models: fields
                .or_default(decoder, "tested_models", |d, n| d.list(n, TestedModel::decode)),
            extensions: fields.or_default(decoder, "extensions", Decoder::extensions),
        };
        fields.closed(decoder);
        Some(prompt)
    }
}

impl Parameters {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let parameters =
            Self {
                temperature: fields
                    .optional(decoder, "temperature", |d, n| d.number_in(n, 0.0, 2.0)),
                max_tokens: fields.optional(decoder, "max_tokens", Decoder::count),
                top_p: fields.optional(decoder, "top_p", |d, n| d.number_in(n, 0.0, 1.0)),
                top_k: fields
                    .optional(decoder, "top_k", |d, n| if n.is_null() { None } else { d.count(n) }),
                frequency_penalty: fields
                    .optional(decoder, "frequency_penalty", |d, n| d.number_in(n, -2.0, 2.0)),
                presence_penalty: fields
                    .optional(decoder, "presence_penalty", |d, n| d.number_in(n, -2.0, 2.0)),
            };
        fields.closed(decoder);
        Some(parameters)
    }
}

impl ModelOverride {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let change = Self {
            system_template: fields.optional(decoder, "system_template", Decoder::string),
            system_template_prefix: fields.optional(
                decoder,
                "system_template_prefix",
                Decoder::string,
            ),
            system_template_suffix: fields.optional(
                decoder,
                "system_template_suffix",
                Decoder::string,
            ),
            parameters: fields.or_default(decoder, "parameters", Parameters::decode),
        };
        fields.closed(decoder);
        Some(change)
    }
}

impl Pipeline {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let pipeline = Self {
            stages: fields.required(decoder, "stages", Decoder::strings),
            middleware: fields.or_default(decoder, "middleware", |d, n| {
                d.list(n, |d, n| {
                    let mut fields = d.fields(n)?;
                    let middleware = Middleware {
                        type_: fields.required(d, "type", Decoder::string),
                        config: fields.or_default(d, "config", Decoder::open_object),
                    };
                    fields.closed(d);
                    Some(middleware)
                })
            }),
        };
        fields.closed(decoder);
        Some(pipeline)
    }
}

impl TestedModel {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let tested = Self {
            provider: fields.required(decoder, "provider", Decoder::string),
            model: fields.required(decoder, "model", Decoder::string),
            date: fields.required(decoder, "date", |d, n| {
                let date = d.string(n)?;
                if !grammar::is_date(&date) {
                    d.report(Code::BadFormat, format!("`{date}` is not a date"))
                        .expected("YYYY-MM-DD");
                }
                Some(date)
            }),
            success_rate: fields.optional(decoder, "success_rate", |d, n| d.number_in(n, 0.0, 1.0)),
            avg_tokens: fields.optional(decoder, "avg_tokens", Decoder::amount),
            avg_cost: fields.optional(decoder, "avg_cost", Decoder::amount),
            avg_latency_ms: fields.optional(decoder, "avg_latency_ms", Decoder::amount),
            notes: fields.optional(decoder, "notes", Decoder::string),
        };
        fields.closed(decoder);
        Some(tested)
    }
}
