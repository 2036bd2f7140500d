//! Evaluations, and what governance refers to.

use std::collections::HashSet;

use super::{Checker, Place};
use crate::decode::excerpt;
use crate::finding::Code;
use crate::pack::Control;
use crate::{Eval, Governance, SkillSource};

impl<'p> Checker<'p, '_> {
    pub(super) fn evals(&mut self) {
        let pack = self.pack;
        self.distinct_evals(&pack.evals, &Place::top(&"evals"));
        for (key, prompt) in &pack.prompts {
            self.distinct_evals(&prompt.evals, &Place::top(&"prompts").at(key).at(&"evals"));
        }
        self.skills();
        if let Some(governance) =
            pack.metadata.as_ref().and_then(|metadata| metadata.governance.as_ref())
        {
            self.governance(governance, &Place::top(&"metadata").at(&"governance"));
        }
        for (key, agent) in pack.agents.iter().flat_map(|agents| &agents.members) {
            if let Some(governance) = &agent.governance {
                self.governance(
                    governance,
                    &Place::top(&"agents").at(&"members").at(key).at(&"governance"),
                );
            }
        }
    }

    /// A prompt's evaluation may replace the pack's of the same id; within one
    /// list ids differ.
    fn distinct_evals(&mut self, evals: &[Eval], place: &Place<'_>) {
        let mut seen = HashSet::with_capacity(evals.len());
        for (index, eval) in evals.iter().enumerate() {
            if !eval.id.is_empty() && !seen.insert(eval.id.as_str()) {
                self.report(
                    Code::DuplicateName,
                    &place.at(&index).at(&"id"),
                    format!("the evaluation `{}` is in the list twice", excerpt(&eval.id)),
                )
                .expected("each id once");
            }
        }
    }

    fn skills(&mut self) {
        let mut seen = HashSet::new();
        for (index, skill) in self.pack.skills.iter().enumerate() {
            let name = match skill {
                SkillSource::Inline { name, .. } => name,
                SkillSource::Path { path, .. } => path,
            };
            if !name.is_empty() && !seen.insert(name.as_str()) {
                self.report(
                    Code::DuplicateName,
                    &Place::top(&"skills").at(&index),
                    format!("the skill `{}` is in the list twice", excerpt(name)),
                )
                .expected("each skill once");
            }
        }
    }

    pub(super) fn eval(&mut self, id: &str, place: &Place<'_>) {
        if !self.known.evals.contains(id) {
            let known = self.known.evals.clone();
            self.report(
                Code::UnknownEval,
                place,
                format!("the pack has no evaluation `{}`", excerpt(id)),
            )
            .expected("the id of an evaluation")
            .suggest(id, known);
        }
    }

    fn governance(&mut self, governance: &Governance, place: &Place<'_>) {
        let mut obligations: HashSet<&str> = HashSet::new();
        for (index, obligation) in governance.obligations.iter().enumerate() {
            let place = place.at(&"obligations");
            let place = place.at(&index);
            if !obligations.insert(&obligation.id) && !obligation.id.is_empty() {
                self.report(
                    Code::DuplicateName,
                    &place.at(&"id"),
                    format!("the obligation `{}` is in the list twice", excerpt(&obligation.id)),
                )
                .expected("each id once");
            }
            for (control_index, control) in obligation.controls.iter().enumerate() {
                let place = place.at(&"controls");
                let place = place.at(&control_index);
                match control {
                    Control::Eval(id) => self.eval(id, &place.at(&"eval")),
                    Control::Validator(id) if !self.known.validators.contains(id.as_str()) => {
                        let known = self.known.validators.clone();
                        self.report(
                            Code::UnknownValidator,
                            &place.at(&"validator"),
                            format!("no prompt has a validator with the id `{}`", excerpt(id)),
                        )
                        .expected("the id of a validator")
                        .suggest(id, known);
                    }
                    Control::Validator(_) | Control::Field(_) | Control::External(_) => {}
                }
            }
        }
        for (index, review) in governance.reviews.iter().enumerate() {
            let place = place.at(&"reviews");
            let place = place.at(&index);
            if let Some(id) = &review.eval {
                self.eval(id, &place.at(&"eval"));
            }
            for (satisfied, id) in review.satisfies.iter().enumerate() {
                if !obligations.contains(id.as_str()) {
                    self.report(
                        Code::BadReference,
                        &place.at(&"satisfies").at(&satisfied),
                        format!("there is no obligation `{}`", excerpt(id)),
                    )
                    .expected("the id of an obligation")
                    .suggest(id, obligations.iter().copied());
                }
            }
        }
    }
}
