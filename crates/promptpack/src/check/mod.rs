//! Whether the parts of a pack fit each other: one file per part.

mod compositions;
mod evals;
mod graph;
mod prompts;
mod templates;
mod variables;
mod workflow;

use std::collections::HashSet;
use std::fmt::Display;

use crate::finding::Code;
use crate::findings::{Findings, Reported};
use crate::pointer::Pointer;
use crate::{FragmentStyle, Pack};

/// Work that the checks may do beyond one look at everything: following
/// fragments from every prompt, compiling patterns to try defaults on.
const EFFORT: usize = 1_000_000;

/// Checks every cross-reference of `pack`; gives the fragment styles in use.
pub(crate) fn run(pack: &Pack, findings: &mut Findings) -> Vec<FragmentStyle> {
    let mut checker = Checker { pack, findings, known: Known::of(pack), effort: EFFORT };
    checker.prompts();
    checker.variables();
    let styles = checker.templates();
    checker.evals();
    checker.workflow();
    checker.agents();
    checker.compositions();
    checker.requires();
    if checker.effort == 0 {
        checker.report(
            Code::CheckLimit,
            &Place::ROOT,
            "the pack is too large to follow every fragment and try every default",
        );
    }
    styles
}

/// A pack under check.
struct Checker<'p, 'f> {
    pack: &'p Pack,
    findings: &'f mut Findings,
    known: Known<'p>,
    /// What is left of [`EFFORT`].
    effort: usize,
}

/// Names that are listed in more than one place.
struct Known<'p> {
    /// The evaluations of the pack and its prompts.
    evals: HashSet<&'p str>,
    /// The validators that have an id.
    validators: HashSet<&'p str>,
    /// The required providers.
    providers: HashSet<&'p str>,
}

impl<'p> Known<'p> {
    fn of(pack: &'p Pack) -> Self {
        let prompts = || pack.prompts.values();
        let evals = pack.evals.iter().chain(prompts().flat_map(|prompt| &prompt.evals));
        let validators = prompts().flat_map(|prompt| &prompt.validators);
        let providers = pack.requires.iter().flat_map(|requires| &requires.providers);
        Self {
            evals: evals.map(|eval| eval.id.as_str()).collect(),
            validators: validators.filter_map(|validator| validator.id.as_deref()).collect(),
            providers: providers.map(|provider| provider.key.as_str()).collect(),
        }
    }
}

impl Checker<'_, '_> {
    fn report(
        &mut self,
        code: Code,
        place: &Place<'_>,
        message: impl Into<String>,
    ) -> Reported<'_> {
        self.findings.report(code, || place.pointer(), message)
    }

    /// Takes `units` from the effort left; false when there is not enough.
    fn afford(&mut self, units: usize) -> bool {
        self.effort = self.effort.saturating_sub(units);
        self.effort > 0
    }
}

/// A place in the pack, written out as a pointer only when something is found there.
#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Option<&'a dyn Display>,
}

impl<'a> Place<'a> {
    const ROOT: Self = Self { above: None, step: None };

    fn top(step: &'a dyn Display) -> Self {
        Self { above: None, step: Some(step) }
    }

    fn at(&'a self, step: &'a dyn Display) -> Self {
        Self { above: Some(self), step: Some(step) }
    }

    fn pointer(&self) -> String {
        let mut place = Some(self);
        let mut steps = Vec::new();
        while let Some(Self { above, step }) = place {
            steps.extend(step.map(ToString::to_string));
            place = *above;
        }
        let mut pointer = Pointer::default();
        for step in steps.iter().rev() {
            pointer.push(step);
        }
        pointer.into_string()
    }
}
