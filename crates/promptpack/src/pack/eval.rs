//! Evaluations: how the quality of answers is observed.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::decode::{Decoder, Node};
use crate::finding::Code;
use crate::{SpecVersion, grammar};

/// The triggers in use: four of the specification, two more of PromptKit.
const TRIGGERS: [&str; 6] = [
    "every_turn",
    "on_session_complete",
    "sample_turns",
    "sample_sessions",
    "on_conversation_complete",
    "on_workflow_step",
];

/// An observation of the quality of answers (spec: `Eval`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Eval {
    /// The id; a prompt's eval replaces the pack's of the same id.
    pub id: String,
    /// What is observed.
    pub description: Option<String>,
    /// Which observation; the list is open.
    #[serde(rename = "type")]
    pub type_: String,
    /// When it runs; the list is open.
    pub trigger: String,
    /// For the `sample_*` triggers: which share runs, 0 to 100.
    pub sample_percentage: f64,
    /// Whether it runs.
    pub enabled: bool,
    /// The observation's settings, as written.
    pub params: Map<String, Value>,
    /// The metric to record.
    pub metric: Option<Metric>,
    /// What counts as passed.
    pub threshold: Option<Threshold>,
    /// What to say when it fails.
    pub message: Option<String>,
    /// A condition, whose form the specification leaves open.
    pub when: Map<String, Value>,
    /// Groups that the evaluation belongs to.
    pub groups: Vec<String>,
    /// Additions from outside the specification (1.8).
    pub extensions: Map<String, Value>,
}

/// A metric to record (spec: `MetricDef`, an open object).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Metric {
    /// The metric's name, as Prometheus writes names.
    pub name: String,
    /// The metric's kind.
    #[serde(rename = "type")]
    pub type_: MetricType,
    /// The smallest value.
    pub min: Option<f64>,
    /// The largest value.
    pub max: Option<f64>,
    /// Everything else.
    pub other: Map<String, Value>,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricType {
    /// A value that goes up and down.
    #[default]
    Gauge,
    /// A value that only goes up.
    Counter,
    /// A distribution.
    Histogram,
    /// Yes or no.
    Boolean,
}

/// What counts as passed (spec: `Eval.threshold`). Operators are not listed
/// by the specification.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Threshold {
    /// How the score compares.
    pub operator: Option<String>,
    /// What the score is compared with.
    pub value: Option<f64>,
}

impl Eval {
    pub(crate) fn decode_list<'a>(
        decoder: &mut Decoder<'a>,
        node: &'a Node<'a>,
    ) -> Option<Vec<Self>> {
        decoder.uses(SpecVersion::V1_2);
        decoder.list(node, Self::decode)
    }

    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let eval = Self {
            id: fields.required(decoder, "id", Decoder::nonempty),
            description: fields.optional(decoder, "description", Decoder::string),
            type_: fields.required(decoder, "type", Decoder::nonempty),
            trigger: fields.required(decoder, "trigger", |d, n| {
                let trigger = d.string(n)?;
                if !TRIGGERS.contains(&trigger.as_str()) {
                    d.report(Code::UnknownKind, format!("eval trigger `{trigger}` is not known"))
                        .expected(TRIGGERS.join(", "))
                        .suggest(&trigger, TRIGGERS);
                }
                Some(trigger)
            }),
            sample_percentage: fields
                .optional(decoder, "sample_percentage", |d, n| d.number_in(n, 0.0, 100.0))
                .unwrap_or(5.0),
            enabled: fields.optional(decoder, "enabled", Decoder::boolean).unwrap_or(true),
            params: fields.or_default(decoder, "params", Decoder::open_object),
            metric: fields.optional(decoder, "metric", Metric::decode),
            threshold: fields.optional(decoder, "threshold", |d, n| {
                let mut fields = d.fields(n)?;
                let threshold = Threshold {
                    operator: fields.optional(d, "operator", Decoder::string),
                    value: fields.optional(d, "value", Decoder::number),
                };
                fields.closed(d);
                Some(threshold)
            }),
            message: fields.optional(decoder, "message", Decoder::string),
            when: fields.or_default(decoder, "when", Decoder::open_object),
            groups: fields.or_default(decoder, "groups", Decoder::strings),
            extensions: fields.or_default(decoder, "extensions", Decoder::extensions),
        };
        if fields.has("sample_percentage")
            && TRIGGERS.contains(&eval.trigger.as_str())
            && !eval.trigger.starts_with("sample_")
        {
            decoder.report(
                Code::NoEffect,
                format!("`sample_percentage` has no effect with the trigger `{}`", eval.trigger),
            );
        }
        fields.closed(decoder);
        Some(eval)
    }
}

impl Metric {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let name = fields.required(decoder, "name", |d, n| d.form(n, &grammar::METRIC));
        let type_ = fields.required(decoder, "type", |d, n| {
            d.choice(
                n,
                &[
                    ("gauge", MetricType::Gauge),
                    ("counter", MetricType::Counter),
                    ("histogram", MetricType::Histogram),
                    ("boolean", MetricType::Boolean),
                ],
            )
        });
        let (min, max) = fields.or_default(decoder, "range", |d, n| {
            let mut fields = d.fields(n)?;
            let min = fields.optional(d, "min", Decoder::number);
            let max = fields.optional(d, "max", Decoder::number);
            if let (Some(low), Some(high)) = (min, max)
                && low > high
            {
                d.report(Code::MinAboveMax, format!("the range goes from {low} down to {high}"))
                    .expected("min at most max");
            }
            Some((min, max))
        });
        Some(Self { name, type_, min, max, other: fields.rest() })
    }
}
