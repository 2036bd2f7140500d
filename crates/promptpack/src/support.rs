//! What this release acts on, and what it only parses and checks.

use serde::Serialize;

use crate::{Pack, Prompt};

/// What becomes of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SupportLevel {
    /// This release does what the pack says.
    ActedOn,
    /// Parsed and cross-checked; has no effect in this release.
    NotRun,
}

/// A feature that a pack uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeatureSupport {
    /// The feature, as the specification names it.
    pub feature: &'static str,
    /// How often the pack uses it.
    pub uses: usize,
    /// What becomes of it.
    pub level: SupportLevel,
    /// What that means.
    pub reason: &'static str,
}

/// The features that `pack` uses and what becomes of each, those acted on first.
#[must_use]
pub fn support(pack: &Pack) -> Vec<FeatureSupport> {
    let prompts = |count: fn(&Prompt) -> usize| pack.prompts.values().map(count).sum::<usize>();
    let governed =
        usize::from(pack.metadata.as_ref().is_some_and(|metadata| metadata.governance.is_some()))
            + pack
                .agents
                .iter()
                .flat_map(|agents| agents.members.values())
                .filter(|agent| agent.governance.is_some())
                .count();
    let acted_on = [
        ("prompts", pack.prompts.len(), "rendered as the system message"),
        (
            "variables",
            prompts(|p| p.variables.len()),
            "types, defaults and rules are enforced before the model is called",
        ),
        ("fragments", pack.fragments.len(), "put in place in all three styles"),
        (
            "tools",
            pack.tools.len(),
            "offered to the model; arguments are checked against the schema",
        ),
        (
            "tool_policy",
            prompts(|p| usize::from(p.tool_policy.is_some())),
            "choice, limits and blocklist are enforced",
        ),
        (
            "parameters",
            prompts(|p| usize::from(p.parameters != Default::default())),
            "all six are passed to the provider",
        ),
        (
            "model_overrides",
            prompts(|p| p.model_overrides.len()),
            "applied when the model's name is exactly the same",
        ),
        (
            "media",
            prompts(|p| usize::from(p.media.is_some())),
            "types, formats, sizes and counts are enforced",
        ),
    ];
    let not_run = [
        ("validators", prompts(|p| p.validators.len()), "the pack's guardrails do not run"),
        ("evals", pack.evals.len() + prompts(|p| p.evals.len()), "evaluations do not run"),
        (
            "workflow",
            usize::from(pack.workflow.is_some()),
            "states and events are not followed; a prompt is served alone",
        ),
        (
            "agents",
            pack.agents.as_ref().map_or(0, |agents| agents.members.len()),
            "members cannot call each other",
        ),
        ("skills", pack.skills.len(), "skills are not loaded"),
        ("compositions", pack.compositions.len(), "compositions do not run"),
        ("governance", governed, "stated rules are shown, not enforced"),
        (
            "action_scope",
            pack.tools.values().filter(|tool| tool.action_scope.is_some()).count(),
            "what a tool does to the world is shown, not enforced",
        ),
        (
            "requires",
            pack.requires.as_ref().map_or(0, |requires| requires.providers.len()),
            "required providers are not looked for; the configured one is used",
        ),
        (
            "provider",
            prompts(|p| usize::from(p.provider.is_some())),
            "the configured provider is used whatever the prompt names",
        ),
        (
            "pipeline",
            prompts(|p| usize::from(p.pipeline.is_some())),
            "stages and middleware have no effect",
        ),
        (
            "binding",
            prompts(|p| p.variables.iter().filter(|variable| variable.binding.is_some()).count()),
            "no variable is filled from its binding",
        ),
        ("tested_models", prompts(|p| p.tested_models.len()), "information for people"),
    ];
    let entry = |level| {
        move |(feature, uses, reason): (&'static str, usize, &'static str)| FeatureSupport {
            feature,
            uses,
            level,
            reason,
        }
    };
    acted_on
        .into_iter()
        .map(entry(SupportLevel::ActedOn))
        .chain(not_run.into_iter().map(entry(SupportLevel::NotRun)))
        .filter(|support| support.uses > 0)
        .collect()
}
