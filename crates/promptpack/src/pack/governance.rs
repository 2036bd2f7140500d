//! Governance: the rules that a pack states for its own use.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::decode::{Decoder, Node};
use crate::finding::Code;
use crate::{SpecVersion, grammar};

/// Rules for the use of a pack or an agent (spec: `Governance`, RFC 0013 and 0016).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Governance {
    /// The vocabularies that names below come from, by prefix.
    pub vocabularies: IndexMap<String, String>,
    /// What the pack is meant for.
    pub intended_purpose: Option<String>,
    /// What it may be misused for.
    pub foreseeable_misuse: Vec<String>,
    /// How far it acts on its own.
    pub autonomy_level: Option<AutonomyLevel>,
    /// Who answers for it.
    pub accountable_owner: Option<String>,
    /// The operator's role.
    pub operator_role: Option<String>,
    /// Its risk class.
    pub risk_classification: Option<String>,
    /// Where it is meant to run.
    pub intended_deployment_contexts: Vec<String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Where it may run.
    pub approved_environments: Vec<String>,
    /// Whether people must be told that they speak with a machine.
    pub requires_ai_disclosure: Option<bool>,
    /// What it must differ in from the agents that it judges (1.8).
    pub independent_of: Option<Independence>,
    /// What it must do, and what sees to it (1.8).
    pub obligations: Vec<Obligation>,
    /// When it is looked at again (1.8).
    pub reviews: Vec<Review>,
    /// Additions from outside the specification.
    pub extensions: Map<String, Value>,
}

/// How far a pack acts on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AutonomyLevel {
    /// It only suggests.
    Suggests,
    /// It acts when a person has agreed.
    ActsWithApproval,
    /// It acts while a person watches.
    ActsWithOversight,
    /// It acts alone.
    ActsAutonomously,
}

/// What an agent must differ in from others (spec: `independent_of`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Independence {
    /// In what; at least one, each once.
    pub axes: Vec<IndependenceAxis>,
    /// How seriously.
    pub enforcement: Enforcement,
}

/// What two agents can share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IndependenceAxis {
    /// The model.
    Model,
    /// The provider.
    Provider,
    /// The tools.
    Tools,
    /// The prompts.
    Prompts,
    /// The person who answers for them.
    AccountableOwner,
}

/// How seriously a rule is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// It must hold.
    Strict,
    /// It should hold.
    #[default]
    Advisory,
}

/// Something that a pack must do (spec: `Obligation`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Obligation {
    /// The id that reviews refer to.
    pub id: String,
    /// What must be done.
    pub obligation: String,
    /// What sees to it; at least one.
    pub controls: Vec<Control>,
    /// What it is limited to.
    pub applies_to: Option<ObligationScope>,
    /// A remark.
    pub note: Option<String>,
    /// Additions from outside the specification.
    pub extensions: Map<String, Value>,
}

/// What an obligation is limited to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ObligationScope {
    /// A capability.
    pub capability: Option<String>,
    /// A class of data.
    pub data_class: Option<String>,
    /// A risk class.
    pub risk_classification: Option<String>,
}

/// What sees to an obligation (spec: `ObligationControl`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// A field of the pack.
    Field(String),
    /// A validator, by id.
    Validator(String),
    /// An evaluation, by id.
    Eval(String),
    /// Something outside the pack.
    External(String),
}

/// When a pack is looked at again (spec: `Review`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Review {
    /// The review's id.
    pub id: String,
    /// Which review.
    #[serde(rename = "type")]
    pub type_: String,
    /// How often: an ISO 8601 duration.
    pub cadence: String,
    /// Who does it.
    pub owner: String,
    /// The obligations that it satisfies, by id.
    pub satisfies: Vec<String>,
    /// The evaluation that it looks at, by id.
    pub eval: Option<String>,
    /// Additions from outside the specification.
    pub extensions: Map<String, Value>,
}

impl Governance {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_6);
        let mut fields = decoder.fields(node)?;
        let governance = Self {
            vocabularies: fields
                .or_default(decoder, "vocabularies", |d, n| d.map(n, Decoder::address)),
            intended_purpose: fields.optional(decoder, "intended_purpose", Decoder::string),
            foreseeable_misuse: fields.or_default(decoder, "foreseeable_misuse", Decoder::strings),
            autonomy_level: fields.optional(decoder, "autonomy_level", |d, n| {
                d.choice(
                    n,
                    &[
                        ("suggests", AutonomyLevel::Suggests),
                        ("acts_with_approval", AutonomyLevel::ActsWithApproval),
                        ("acts_with_oversight", AutonomyLevel::ActsWithOversight),
                        ("acts_autonomously", AutonomyLevel::ActsAutonomously),
                    ],
                )
            }),
            accountable_owner: fields.optional(decoder, "accountable_owner", Decoder::string),
            operator_role: fields.optional(decoder, "operator_role", Decoder::string),
            risk_classification: fields.optional(decoder, "risk_classification", Decoder::string),
            intended_deployment_contexts: fields.or_default(
                decoder,
                "intended_deployment_contexts",
                Decoder::strings,
            ),
            capabilities: fields.or_default(decoder, "capabilities", Decoder::strings),
            approved_environments: fields.or_default(
                decoder,
                "approved_environments",
                Decoder::strings,
            ),
            requires_ai_disclosure: fields.optional(
                decoder,
                "requires_ai_disclosure",
                Decoder::boolean,
            ),
            independent_of: fields.optional(decoder, "independent_of", Independence::decode),
            obligations: fields.or_default(decoder, "obligations", |d, n| {
                d.uses(SpecVersion::V1_8);
                d.list(n, Obligation::decode)
            }),
            reviews: fields.or_default(decoder, "reviews", |d, n| {
                d.uses(SpecVersion::V1_8);
                d.list(n, Review::decode)
            }),
            extensions: fields.or_default(decoder, "extensions", Decoder::open_object),
        };
        fields.closed(decoder);
        Some(governance)
    }
}

impl Independence {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_8);
        let mut fields = decoder.fields(node)?;
        let independence = Self {
            axes: fields.required(decoder, "axes", |d, n| {
                let axes = d.list(n, |d, n| {
                    d.choice(
                        n,
                        &[
                            ("model", IndependenceAxis::Model),
                            ("provider", IndependenceAxis::Provider),
                            ("tools", IndependenceAxis::Tools),
                            ("prompts", IndependenceAxis::Prompts),
                            ("accountable_owner", IndependenceAxis::AccountableOwner),
                        ],
                    )
                })?;
                d.at_least(n, 1, "one axis");
                if axes.iter().collect::<std::collections::HashSet<_>>().len() < axes.len() {
                    d.report(Code::NotAllowed, "an axis is listed twice")
                        .expected("each axis once");
                }
                Some(axes)
            }),
            enforcement: fields.or_default(decoder, "enforcement", |d, n| {
                d.choice(n, &[("strict", Enforcement::Strict), ("advisory", Enforcement::Advisory)])
            }),
        };
        fields.closed(decoder);
        Some(independence)
    }
}

impl Obligation {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let obligation = Self {
            id: fields.required(decoder, "id", Decoder::string),
            obligation: fields.required(decoder, "obligation", Decoder::string),
            controls: fields.required(decoder, "controls", |d, n| {
                let controls = d.list(n, Control::decode)?;
                d.at_least(n, 1, "one control");
                Some(controls)
            }),
            applies_to: fields.optional(decoder, "applies_to", |d, n| {
                let mut fields = d.fields(n)?;
                let scope = ObligationScope {
                    capability: fields.optional(d, "capability", Decoder::string),
                    data_class: fields.optional(d, "data_class", Decoder::string),
                    risk_classification: fields.optional(d, "risk_classification", Decoder::string),
                };
                fields.closed(d);
                Some(scope)
            }),
            note: fields.optional(decoder, "note", Decoder::string),
            extensions: fields.or_default(decoder, "extensions", Decoder::open_object),
        };
        fields.closed(decoder);
        Some(obligation)
    }
}

impl Control {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let controls = [
            fields.optional(decoder, "field", Decoder::string).map(Self::Field),
            fields.optional(decoder, "validator", Decoder::string).map(Self::Validator),
            fields.optional(decoder, "eval", Decoder::string).map(Self::Eval),
            fields.optional(decoder, "external", Decoder::string).map(Self::External),
        ];
        let named = ["field", "validator", "eval", "external"]
            .into_iter()
            .filter(|name| fields.has(name))
            .count();
        fields.closed(decoder);
        if named != 1 {
            decoder
                .report(Code::NotAllowed, format!("a control names {named} things"))
                .expected("exactly one of `field`, `validator`, `eval` and `external`");
        }
        controls.into_iter().flatten().next()
    }
}

impl Review {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let review = Self {
            id: fields.required(decoder, "id", Decoder::string),
            type_: fields.required(decoder, "type", Decoder::string),
            cadence: fields.required(decoder, "cadence", |d, n| d.form(n, &grammar::DURATION)),
            owner: fields.required(decoder, "owner", Decoder::string),
            satisfies: fields.or_default(decoder, "satisfies", Decoder::strings),
            eval: fields.optional(decoder, "eval", Decoder::string),
            extensions: fields.or_default(decoder, "extensions", Decoder::open_object),
        };
        fields.closed(decoder);
        Some(review)
    }
}
