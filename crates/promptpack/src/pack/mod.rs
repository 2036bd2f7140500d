//! The pack as types: one file per part of the format, each with the reading
//! of that part beside its type.

mod agents;
mod composition;
mod eval;
mod governance;
mod media;
mod prompt;
mod requires;
mod skill;
mod tool;
mod validator;
mod variable;
mod workflow;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

pub use agents::{Agent, Agents};
pub use composition::{
    Comparison, Composition, Predicate, Reducer, Step, StepAction, StepModifiers, Termination,
};
pub use eval::{Eval, Metric, MetricType, Threshold};
pub use governance::{
    AutonomyLevel, Control, Enforcement, Governance, Independence, IndependenceAxis, Obligation,
    ObligationScope, Review,
};
pub use media::{
    AudioConfig, ContentPart, CustomMediaConfig, DocumentConfig, ExtractionMode, ImageConfig,
    MediaConfig, MediaExample, MediaReference, Role, VideoConfig,
};
pub use prompt::{Middleware, ModelOverride, Parameters, Pipeline, Prompt, TestedModel};
pub use requires::{ProviderCapabilities, ProviderRequirement, Requires};
pub use skill::SkillSource;
pub use tool::{ActionScope, Effect, Reversibility, Tool, ToolChoice, ToolPolicy};
pub use validator::Validator;
pub use variable::{Binding, Validation, Variable, VariableType};
pub use workflow::{
    Artifact, ArtifactMode, Control as StateControl, Orchestration, Workflow, WorkflowBudget,
    WorkflowState,
};

use crate::decode::{Decoder, Node};
use crate::finding::Code;
use crate::{SpecVersion, grammar};

/// An agent described as data (spec: the root object).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Pack {
    /// `$schema`, for information only: it never names a real version.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The pack's id, lower-case kebab.
    pub id: String,
    /// The pack's name, for people.
    pub name: String,
    /// The pack's own version (SemVer 2.0.0).
    pub version: String,
    /// What the pack is for, in Markdown.
    pub description: Option<String>,
    /// How the author says templates are written.
    pub template_engine: TemplateEngine,
    /// The prompts, by task; at least one.
    pub prompts: IndexMap<String, Prompt>,
    /// Text that templates include, by name.
    pub fragments: IndexMap<String, String>,
    /// The tools, by name.
    pub tools: IndexMap<String, Tool>,
    /// Descriptive data.
    pub metadata: Option<Metadata>,
    /// What the pack compiler wrote about itself.
    pub compilation: Option<Compilation>,
    /// Evaluations of every prompt (1.2).
    pub evals: Vec<Eval>,
    /// The states that a conversation moves through (1.3).
    pub workflow: Option<Workflow>,
    /// The prompts that act as agents (1.3).
    pub agents: Option<Agents>,
    /// Instructions to load on demand (1.3.1).
    pub skills: Vec<SkillSource>,
    /// Fixed sequences of steps (1.5).
    pub compositions: IndexMap<String, Composition>,
    /// What the pack needs from its surroundings (1.5.1).
    pub requires: Option<Requires>,
    /// What lenient reading kept although no version defines it, by JSON pointer.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub unknown: IndexMap<String, Value>,
}

/// How the author says templates are written (spec: `template_engine`).
/// Templates are read by one grammar whatever stands here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TemplateEngine {
    /// Documented value: `v1`.
    pub version: String,
    /// Documented value: `{{variable}}`.
    pub syntax: String,
    /// Abilities that the templates rely on.
    pub features: Vec<TemplateFeature>,
}

/// An ability of a template engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateFeature {
    /// `{{name}}`.
    BasicSubstitution,
    /// Fragments.
    Fragments,
    /// Named by the specification, defined nowhere.
    Conditionals,
    /// Named by the specification, defined nowhere.
    Loops,
    /// Named by the specification, defined nowhere.
    Filters,
}

/// Descriptive data (spec: `metadata`, an open object).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Metadata {
    /// The field that the pack belongs to.
    pub domain: Option<String>,
    /// A two-letter language code.
    pub language: Option<String>,
    /// Words to find the pack by.
    pub tags: Vec<String>,
    /// What a call costs, in US dollars.
    pub cost_estimate: Option<CostEstimate>,
    /// Rules for the use of the pack (1.6).
    pub governance: Option<Governance>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a call costs, in US dollars (spec: `metadata.cost_estimate`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CostEstimate {
    /// The least.
    pub min_cost_usd: Option<f64>,
    /// The most.
    pub max_cost_usd: Option<f64>,
    /// The mean.
    pub avg_cost_usd: Option<f64>,
}

/// What the pack compiler wrote about itself (spec: `compilation`, an open object).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Compilation {
    /// The compiler and its version.
    pub compiled_with: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// The schema version that the compiler names.
    pub schema: String,
    /// What was compiled.
    pub source: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Pack {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let pack = Self {
            schema: fields.optional(decoder, "$schema", Decoder::string),
            id: fields.required(decoder, "id", |d, n| {
                let id = d.form(n, &grammar::PACK_ID)?;
                d.at_most(&id, 100);
                Some(id)
            }),
            name: fields.required(decoder, "name", |d, n| {
                let name = d.nonempty(n)?;
                d.at_most(&name, 200);
                Some(name)
            }),
            version: fields.required(decoder, "version", |d, n| d.form(n, &grammar::VERSION)),
            description: fields.optional(decoder, "description", |d, n| {
                let description = d.string(n)?;
                d.at_most(&description, 5000);
                Some(description)
            }),
            template_engine: fields.required(decoder, "template_engine", TemplateEngine::decode),
            prompts: fields.required(decoder, "prompts", |d, n| {
                let prompts = d.map(n, Prompt::decode)?;
                d.at_least(n, 1, "one prompt");
                Some(prompts)
            }),
            fragments: fields.or_default(decoder, "fragments", |d, n| d.map(n, Decoder::string)),
            tools: fields.or_default(decoder, "tools", |d, n| d.map(n, Tool::decode)),
            metadata: fields.optional(decoder, "metadata", Metadata::decode),
            compilation: fields.optional(decoder, "compilation", Compilation::decode),
            evals: fields.or_default(decoder, "evals", Eval::decode_list),
            workflow: fields.optional(decoder, "workflow", Workflow::decode),
            agents: fields.optional(decoder, "agents", Agents::decode),
            skills: fields.or_default(decoder, "skills", |d, n| {
                d.uses(SpecVersion::V1_3_1);
                d.list(n, SkillSource::decode)
            }),
            compositions: fields.or_default(decoder, "compositions", |d, n| {
                d.uses(SpecVersion::V1_5);
                d.map(n, Composition::decode)
            }),
            requires: fields.optional(decoder, "requires", Requires::decode),
            unknown: IndexMap::new(),
        };
        fields.closed(decoder);
        Some(Self { unknown: decoder.take_unknown(), ..pack })
    }
}

impl TemplateEngine {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let engine = Self {
            version: fields.required(decoder, "version", Decoder::string),
            syntax: fields.required(decoder, "syntax", |d, n| {
                let syntax = d.string(n)?;
                if !grammar::is_double_brace_syntax(&syntax) {
                    d.report(Code::UnknownSyntax, format!("template syntax `{syntax}` is not known; templates are read as `{{{{name}}}}` all the same"))
                        .expected("{{variable}}");
                }
                Some(syntax)
            }),
            features: fields.or_default(decoder, "features", |d, n| d.list(n, TemplateFeature::decode)),
        };
        fields.closed(decoder);
        Some(engine)
    }
}

impl TemplateFeature {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let feature = decoder.choice(
            node,
            &[
                ("basic_substitution", Self::BasicSubstitution),
                ("fragments", Self::Fragments),
                ("conditionals", Self::Conditionals),
                ("loops", Self::Loops),
                ("filters", Self::Filters),
            ],
        )?;
        if matches!(feature, Self::Conditionals | Self::Loops | Self::Filters) {
            decoder.report(
                Code::UnknownSyntax,
                "no version of the specification defines a grammar for conditionals, loops or filters; text that looks like one stays as it is",
            );
        }
        Some(feature)
    }
}

impl Metadata {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        Some(Self {
            domain: fields.optional(decoder, "domain", Decoder::string),
            language: fields.optional(decoder, "language", |d, n| d.form(n, &grammar::LANGUAGE)),
            tags: fields.or_default(decoder, "tags", Decoder::strings),
            cost_estimate: fields.optional(decoder, "cost_estimate", |d, n| {
                let mut fields = d.fields(n)?;
                Some(CostEstimate {
                    min_cost_usd: fields.optional(d, "min_cost_usd", Decoder::amount),
                    max_cost_usd: fields.optional(d, "max_cost_usd", Decoder::amount),
                    avg_cost_usd: fields.optional(d, "avg_cost_usd", Decoder::amount),
                })
            }),
            governance: fields.optional(decoder, "governance", Governance::decode),
            other: fields.rest(),
        })
    }
}

impl Compilation {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        Some(Self {
            compiled_with: fields.required(decoder, "compiled_with", Decoder::string),
            created_at: fields.required(decoder, "created_at", |d, n| {
                let time = d.string(n)?;
                if !grammar::is_date_time(&time) {
                    d.report(Code::BadFormat, format!("`{time}` is not a time"))
                        .expected("a time as in RFC 3339");
                }
                Some(time)
            }),
            schema: fields.required(decoder, "schema", Decoder::string),
            source: fields.optional(decoder, "source", Decoder::string),
            other: fields.rest(),
        })
    }
}
