//! Compositions: fixed sequences of steps.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::decode::{Decoder, Node};
use crate::finding::Code;
use crate::{SpecVersion, grammar};

/// A fixed sequence of steps (spec: `Composition`, RFC 0010, 1.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Composition {
    /// Always 1.
    pub version: u32,
    /// What it does.
    pub description: Option<String>,
    /// A reference to the JSON Schema of its input.
    pub input_schema: Option<String>,
    /// A reference to the JSON Schema of its output.
    pub output_schema: Option<String>,
    /// The step whose output is the composition's; the last one unless set.
    pub output: Option<String>,
    /// The steps; at least one.
    pub steps: Vec<Step>,
    /// Settings of the runtime.
    pub engine: Map<String, Value>,
    /// Additions from outside the specification (1.8).
    pub extensions: Map<String, Value>,
}

/// One step (spec: `Step`, an open object).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The id that other steps refer to.
    pub id: String,
    /// What the step is for.
    pub description: Option<String>,
    /// The steps that must be done before.
    pub depends_on: Vec<String>,
    /// Retries and observations.
    pub modifiers: StepModifiers,
    /// What the step does.
    pub action: StepAction,
}

/// What a step does, by its `kind`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum StepAction {
    /// Asks the model once, without tools.
    Prompt {
        /// The prompt's key.
        prompt_task: String,
        /// A text or an object with `${...}` references.
        input: Option<Value>,
        /// A reference to the JSON Schema of the output.
        output_schema: Option<String>,
        /// The key of a required provider (1.9).
        provider: Option<String>,
    },
    /// Runs a prompt with tools until it ends.
    Agent {
        /// The prompt's key.
        prompt_task: String,
        /// A text or an object with `${...}` references.
        input: Option<Value>,
        /// The tools that it may use; all of the prompt's when empty.
        tools: Vec<String>,
        /// When it ends.
        termination: Termination,
        /// A reference to the JSON Schema of the output.
        output_schema: Option<String>,
        /// The key of a required provider (1.9).
        provider: Option<String>,
    },
    /// Calls a tool.
    Tool {
        /// The tool's name.
        tool: String,
        /// Its arguments, with `${...}` references.
        args: Map<String, Value>,
    },
    /// Goes one way or the other.
    Branch {
        /// The question.
        predicate: Predicate,
        /// The step when it holds.
        then: String,
        /// The step when it does not.
        #[serde(rename = "else")]
        otherwise: Option<String>,
    },
    /// Runs several steps side by side.
    Parallel {
        /// The steps; at least two.
        branches: Vec<Step>,
        /// What becomes of their outputs.
        reduce: Reducer,
    },
    /// A kind from outside the specification, `vendor.kind` (1.9).
    Extension {
        /// The kind.
        name: String,
        /// Every field of the step, as written.
        fields: Map<String, Value>,
    },
}

/// Retries and observations of a step (spec: `StepModifiers`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StepModifiers {
    /// Most attempts; at least 1.
    pub max_attempts: Option<u32>,
    /// The evaluations to run on the output, by id.
    pub evals: Vec<String>,
}

/// When an agent step ends; at least one is set (spec: `TerminationPredicate`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Termination {
    /// After so many rounds.
    pub max_steps: Option<u32>,
    /// When this tool has been called.
    pub tool_called: Option<String>,
}

/// What becomes of parallel outputs (spec: `Reducer`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reducer {
    /// `append`, `replace` or `barrier`; the list is open.
    pub strategy: String,
    /// The name of the result.
    pub into: String,
}

/// A question about earlier outputs (spec: `Predicate`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// A value compared with a constant.
    Compare {
        /// A `${...}` reference.
        path: String,
        /// How it compares.
        op: Comparison,
        /// With what.
        value: Value,
    },
    /// Whether a value is there.
    Exists {
        /// A `${...}` reference.
        path: String,
        /// Whether it should be.
        exists: bool,
    },
    /// All hold.
    AllOf(Vec<Predicate>),
    /// One holds.
    AnyOf(Vec<Predicate>),
    /// It does not hold.
    Not(Box<Predicate>),
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Comparison {
    Equals,
    NotEquals,
    In,
    NotIn,
    LessThan,
    LessThanOrEquals,
    GreaterThan,
    GreaterThanOrEquals,
}

const COMPARISONS: [(&str, Comparison); 8] = [
    ("equals", Comparison::Equals),
    ("not_equals", Comparison::NotEquals),
    ("in", Comparison::In),
    ("not_in", Comparison::NotIn),
    ("less_than", Comparison::LessThan),
    ("less_than_or_equals", Comparison::LessThanOrEquals),
    ("greater_than", Comparison::GreaterThan),
    ("greater_than_or_equals", Comparison::GreaterThanOrEquals),
];

/// Names that the specification keeps for later.
const RESERVED_MODIFIERS: [&str; 6] =
    ["timeout", "on_error", "cache_key", "budget", "recall", "persist"];
const KINDS: [&str; 5] = ["prompt", "agent", "tool", "branch", "parallel"];
const REDUCERS: [&str; 3] = ["append", "replace", "barrier"];

impl Composition {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let composition = Self {
            version: fields.required(decoder, "version", |d, n| {
                let version = d.count(n)?;
                if version != 1 {
                    d.report(
                        Code::NotAllowed,
                        format!("composition version {version} does not exist"),
                    )
                    .expected("1");
                }
                Some(version)
            }),
            description: fields.optional(decoder, "description", Decoder::string),
            input_schema: fields.optional(decoder, "input_schema", Decoder::string),
            output_schema: fields.optional(decoder, "output_schema", Decoder::string),
            output: fields.optional(decoder, "output", Decoder::string),
            steps: fields.required(decoder, "steps", |d, n| {
                let steps = d.list(n, Step::decode)?;
                d.at_least(n, 1, "one step");
                Some(steps)
            }),
            engine: fields.or_default(decoder, "engine", Decoder::open_object),
            extensions: fields.or_default(decoder, "extensions", Decoder::extensions),
        };
        fields.closed(decoder);
        Some(composition)
    }
}

impl Step {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let id = fields.required(decoder, "id", |d, n| d.form(n, &grammar::IDENTIFIER));
        let description = fields.optional(decoder, "description", Decoder::string);
        let depends_on = fields.or_default(decoder, "depends_on", Decoder::strings);
        let modifiers = fields.or_default(decoder, "modifiers", StepModifiers::decode);
        let provider = |d: &mut Decoder<'a>, n: &'a Node<'a>| {
            d.uses(SpecVersion::V1_9);
            d.string(n)
        };
        let kind = fields.required(decoder, "kind", Decoder::string);
        let action = match kind.as_str() {
            "prompt" => StepAction::Prompt {
                prompt_task: fields.required(decoder, "prompt_task", Decoder::string),
                input: fields.optional(decoder, "input", step_input),
                output_schema: fields.optional(decoder, "output_schema", Decoder::string),
                provider: fields.optional(decoder, "provider", provider),
            },
            "agent" => StepAction::Agent {
                prompt_task: fields.required(decoder, "prompt_task", Decoder::string),
                input: fields.optional(decoder, "input", step_input),
                tools: fields.or_default(decoder, "tools", Decoder::strings),
                termination: fields.required(decoder, "termination", Termination::decode),
                output_schema: fields.optional(decoder, "output_schema", Decoder::string),
                provider: fields.optional(decoder, "provider", provider),
            },
            "tool" => StepAction::Tool {
                tool: fields.required(decoder, "tool", Decoder::string),
                args: fields.or_default(decoder, "args", Decoder::open_object),
            },
            "branch" => {
                let predicate =
                    fields.required(decoder, "predicate", |d, n| Some(Predicate::decode(d, n)));
                StepAction::Branch {
                    predicate: predicate.unwrap_or(Predicate::AllOf(Vec::new())),
                    then: fields.required(decoder, "then", Decoder::string),
                    otherwise: fields.optional(decoder, "else", Decoder::string),
                }
            }
            "parallel" => StepAction::Parallel {
                branches: fields.required(decoder, "branches", |d, n| {
                    let branches = d.list(n, Self::decode)?;
                    d.at_least(n, 2, "two branches");
                    Some(branches)
                }),
                reduce: fields.required(decoder, "reduce", Reducer::decode),
            },
            name => {
                if grammar::EXTENSION_KIND.matches(name) {
                    decoder.within("kind", |d| d.uses(SpecVersion::V1_9));
                } else if fields.has("kind") {
                    decoder.within("kind", |d| {
                        d.report(Code::NotAllowed, format!("step kind `{name}` does not exist"))
                            .expected(format!(
                                "{}, or an extension such as `vendor.kind`",
                                KINDS.join(", ")
                            ))
                            .suggest(name, KINDS);
                    });
                }
                return Some(Self {
                    id,
                    description,
                    depends_on,
                    modifiers,
                    action: StepAction::Extension { name: kind, fields: fields.rest() },
                });
            }
        };
        fields.note_ignored(decoder, &format!("a `{kind}` step"));
        Some(Self { id, description, depends_on, modifiers, action })
    }
}

fn step_input<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Value> {
    if !matches!(node, Node::String(_) | Node::Object(_)) {
        decoder.wrong_type(node, "a text or an object");
        return None;
    }
    Some(node.to_value())
}

impl StepModifiers {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let modifiers = Self {
            max_attempts: fields.optional(decoder, "retry", |d, n| {
                let mut fields = d.fields(n)?;
                fields.optional(d, "max_attempts", Decoder::count)
            }),
            evals: fields.or_default(decoder, "eval", Decoder::strings),
        };
        for (name, _) in fields.remaining() {
            decoder.within(name, |d| {
                if RESERVED_MODIFIERS.contains(&name) {
                    d.report(
                        Code::ReservedName,
                        format!("the modifier `{name}` is reserved for a later version"),
                    );
                } else {
                    d.report(
                        Code::IgnoredKey,
                        format!("the modifier `{name}` is not defined and has no effect"),
                    );
                }
            });
        }
        Some(modifiers)
    }
}

impl Termination {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let termination = Self {
            max_steps: fields.optional(decoder, "max_steps", Decoder::count),
            tool_called: fields.optional(decoder, "tool_called", Decoder::string),
        };
        if !fields.has("max_steps") && !fields.has("tool_called") {
            decoder
                .report(Code::MissingField, "an agent step never ends")
                .expected("`max_steps` or `tool_called`");
        }
        Some(termination)
    }
}

impl Reducer {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        Some(Self {
            strategy: fields.required(decoder, "strategy", |d, n| {
                let strategy = d.string(n)?;
                if matches!(strategy.as_str(), "aggregate" | "pick") {
                    d.report(
                        Code::ReservedName,
                        format!("the reducer `{strategy}` is reserved for a later version"),
                    );
                } else if !REDUCERS.contains(&strategy.as_str()) {
                    d.report(Code::UnknownKind, format!("reducer `{strategy}` is not known"))
                        .expected(REDUCERS.join(", "))
                        .suggest(&strategy, REDUCERS);
                }
                Some(strategy)
            }),
            into: fields.required(decoder, "into", Decoder::string),
        })
    }
}

impl Predicate {
    /// Reads the one form that the object has. `None` after a fault.
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let forms = ["op", "exists", "all_of", "any_of", "not"];
        let named: Vec<&str> = forms.into_iter().filter(|form| fields.has(form)).collect();
        if named.len() != 1 {
            decoder
                .report(Code::NotAllowed, format!("a predicate has {} forms", named.len()))
                .expected("exactly one of `op`, `exists`, `all_of`, `any_of` and `not`");
            return None;
        }
        let predicate = match named.first() {
            Some(&"op") => {
                let path = fields.required(decoder, "path", Decoder::string);
                let op = fields.required(decoder, "op", |d, n| Some(d.choice(n, &COMPARISONS)));
                let value = fields.required(decoder, "value", Decoder::value);
                Self::Compare { path, op: op?, value }
            }
            Some(&"exists") => Self::Exists {
                path: fields.required(decoder, "path", Decoder::string),
                exists: fields.required(decoder, "exists", Decoder::boolean),
            },
            Some(&"all_of") => {
                Self::AllOf(fields.or_default(decoder, "all_of", |d, n| d.list(n, Self::decode)))
            }
            Some(&"any_of") => {
                Self::AnyOf(fields.or_default(decoder, "any_of", |d, n| d.list(n, Self::decode)))
            }
            _ => Self::Not(Box::new(fields.optional(decoder, "not", Self::decode)?)),
        };
        fields.note_ignored(decoder, "this form of a predicate");
        Some(predicate)
    }
}
