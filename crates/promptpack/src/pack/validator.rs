//! Validators: the guardrails that a prompt asks for.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::decode::{Decoder, Node};
use crate::finding::Code;
use crate::{SpecVersion, grammar};

/// The types that spec 1.0 lists.
const SPEC_TYPES: [&str; 9] = [
    "banned_words",
    "max_length",
    "min_length",
    "regex_match",
    "json_schema",
    "sentiment",
    "toxicity",
    "pii_detection",
    "custom",
];

/// Further names that packs in use carry.
const OTHER_TYPES: [&str; 8] = [
    "regex",
    "length",
    "max_sentences",
    "required_fields",
    "content_excludes",
    "text_sentiment",
    "text_toxicity",
    "pii_leakage",
];

/// A guardrail on the model's output (spec: `Validator`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validator {
    /// Which check; the list is open since 1.1.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it runs.
    pub enabled: bool,
    /// What to say instead of the refused output.
    pub message: Option<String>,
    /// Deprecated since 1.7: validators always enforce.
    pub fail_on_violation: Option<bool>,
    /// The check's settings, as written.
    pub params: Map<String, Value>,
    /// A name that obligations refer to (1.8).
    pub id: Option<String>,
    /// Additions from outside the specification (1.8).
    pub extensions: Map<String, Value>,
}

impl Validator {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let validator = Self {
            type_: fields.required(decoder, "type", |d, n| {
                let type_ = d.nonempty(n)?;
                if !SPEC_TYPES.contains(&type_.as_str()) {
                    d.uses(SpecVersion::V1_1);
                    if !OTHER_TYPES.contains(&type_.as_str()) {
                        d.report(Code::UnknownKind, format!("validator type `{type_}` is not known"))
                            .suggest(&type_, SPEC_TYPES.into_iter().chain(OTHER_TYPES));
                    }
                }
                Some(type_)
            }),
            enabled: match fields.optional(decoder, "enabled", Decoder::boolean) {
                Some(enabled) => enabled,
                None => {
                    decoder.uses(SpecVersion::V1_1);
                    true
                }
            },
            message: fields.optional(decoder, "message", |d, n| {
                d.uses(SpecVersion::V1_1);
                d.string(n)
            }),
            fail_on_violation: fields.optional(decoder, "fail_on_violation", |d, n| {
                d.report(
                    Code::Deprecated,
                    "`fail_on_violation` is deprecated since 1.7: a validator always enforces, observing is what evals are for",
                );
                d.boolean(n)
            }),
            params: fields.or_default(decoder, "params", Decoder::open_object),
            id: fields.optional(decoder, "id", |d, n| {
                d.uses(SpecVersion::V1_8);
                d.form(n, &grammar::PROMPT_ID)
            }),
            extensions: fields.or_default(decoder, "extensions", Decoder::extensions),
        };
        fields.closed(decoder);
        validator.check_params(decoder);
        Some(validator)
    }

    /// The specification names parameters only in prose, so a missing one is
    /// advice, not an error.
    fn check_params(&self, decoder: &mut Decoder<'_>) {
        let one_of: &[&str] = match self.type_.as_str() {
            "banned_words" => &["words", "patterns"],
            "max_length" | "length" => &["max_characters", "max_tokens", "max_chars", "max"],
            "min_length" => &["min_characters", "min_tokens", "min_chars", "min"],
            "regex_match" | "regex" => &["pattern"],
            "json_schema" => &["schema"],
            _ => return,
        };
        if !one_of.iter().any(|name| self.params.contains_key(*name)) {
            decoder
                .report(
                    Code::ValidatorParams,
                    format!("a `{}` validator without its parameter checks nothing", self.type_),
                )
                .expected(format!("`params.{}`", one_of.join("` or `params.")));
        }
    }
}
