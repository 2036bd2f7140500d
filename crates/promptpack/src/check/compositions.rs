//! Compositions: whether every step can be run, and in some order.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::graph::{chain, cycles};
use super::{Checker, Place};
use crate::decode::excerpt;
use crate::finding::Code;
use crate::grammar::IDENTIFIER;
use crate::{Composition, Predicate, Step, StepAction};

/// The name by which steps refer to the composition's input.
const INPUT: &str = "input";

/// The steps of one composition, nested ones among them, numbered in the
/// order in which they are written.
struct Steps<'p> {
    ids: Vec<&'p str>,
    by_id: HashMap<&'p str, usize>,
    /// The names that parallel steps put their results under.
    results: HashSet<&'p str>,
    /// What each step waits for.
    waits: Vec<Vec<usize>>,
    /// How many steps have been checked.
    checked: usize,
}

impl<'p> Checker<'p, '_> {
    pub(super) fn compositions(&mut self) {
        let place = Place::top(&"compositions");
        for (key, composition) in &self.pack.compositions {
            self.composition(composition, &place.at(key));
        }
    }

    fn composition(&mut self, composition: &'p Composition, place: &Place<'_>) {
        let mut steps = Steps {
            ids: Vec::new(),
            by_id: HashMap::new(),
            results: HashSet::new(),
            waits: Vec::new(),
            checked: 0,
        };
        let place_of_steps = place.at(&"steps");
        self.list(&composition.steps, &place_of_steps, &mut steps);
        self.steps(&composition.steps, &place_of_steps, None, &mut steps);
        if let Some(output) = &composition.output {
            self.step_id(output, &place.at(&"output"), &steps);
        }
        for circle in cycles(&steps.waits).0 {
            let id = |step: usize| steps.ids.get(step).copied().unwrap_or_default();
            let message = format!("steps wait for each other: {}", chain(&circle, id));
            self.report(Code::StepCycle, &place_of_steps, message);
        }
    }

    /// Lists `steps` and their branches. The depth is bounded by that of the JSON.
    fn list(&mut self, steps: &'p [Step], place: &Place<'_>, into: &mut Steps<'p>) {
        for (index, step) in steps.iter().enumerate() {
            let place = place.at(&index);
            if step.id == INPUT {
                self.report(
                    Code::ReservedName,
                    &place.at(&"id"),
                    format!("`{INPUT}` is the composition's input, not a step"),
                );
            }
            let number = into.ids.len();
            if !step.id.is_empty() && *into.by_id.entry(&step.id).or_insert(number) != number {
                self.report(
                    Code::DuplicateName,
                    &place.at(&"id"),
                    format!("the step `{}` is in the composition twice", excerpt(&step.id)),
                )
                .expected("each id once, in branches too");
            }
            into.ids.push(&step.id);
            into.waits.push(Vec::new());
            if let StepAction::Parallel { branches, reduce } = &step.action {
                into.results.insert(&reduce.into);
                self.list(branches, &place.at(&"branches"), into);
            }
        }
    }

    /// Checks `steps` and their branches, in the order of [`Self::list`].
    fn steps(
        &mut self,
        steps: &'p [Step],
        place: &Place<'_>,
        parent: Option<usize>,
        all: &mut Steps<'p>,
    ) {
        for (index, step) in steps.iter().enumerate() {
            let number = all.checked;
            all.checked += 1;
            // A parallel step is done when its branches are.
            if let Some(parent) = parent {
                all.wait(parent, number);
            }
            self.step(step, number, &place.at(&index), all);
        }
    }

    fn step(&mut self, step: &'p Step, number: usize, place: &Place<'_>, all: &mut Steps<'p>) {
        let depends_on = place.at(&"depends_on");
        for (index, id) in step.depends_on.iter().enumerate() {
            if let Some(other) = self.step_id(id, &depends_on.at(&index), all) {
                all.wait(number, other);
            }
        }
        let modifiers = place.at(&"modifiers");
        let evals = modifiers.at(&"eval");
        for (index, id) in step.modifiers.evals.iter().enumerate() {
            self.eval(id, &evals.at(&index));
        }
        let of_prompt = |this: &mut Self,
                         all: &mut Steps<'p>,
                         key: &str,
                         input: &'p Option<Value>,
                         provider: &Option<String>| {
            this.prompt(key, &place.at(&"prompt_task"));
            if let Some(input) = input {
                this.value(input, &place.at(&"input"), number, all);
            }
            if let Some(provider) = provider {
                this.provider(provider, &place.at(&"provider"));
            }
        };
        match &step.action {
            StepAction::Prompt { prompt_task, input, provider, .. } => {
                of_prompt(self, all, prompt_task, input, provider);
            }
            StepAction::Agent { prompt_task, input, tools, termination, provider, .. } => {
                of_prompt(self, all, prompt_task, input, provider);
                let place_of_tools = place.at(&"tools");
                for (index, tool) in tools.iter().enumerate() {
                    self.tool(tool, &place_of_tools.at(&index));
                }
                if let Some(tool) = &termination.tool_called {
                    self.tool(tool, &place.at(&"termination").at(&"tool_called"));
                }
            }
            StepAction::Tool { tool, args } => {
                if !tool.is_empty() {
                    self.tool(tool, &place.at(&"tool"));
                }
                let place = place.at(&"args");
                for (name, value) in args {
                    self.value(value, &place.at(name), number, all);
                }
            }
            StepAction::Branch { predicate, then, otherwise } => {
                self.predicate(predicate, &place.at(&"predicate"), number, all);
                for (field, target) in [("then", Some(then)), ("else", otherwise.as_ref())] {
                    let Some(target) = target.filter(|target| !target.is_empty()) else { continue };
                    if let Some(target) = self.step_id(target, &place.at(&field), all) {
                        all.wait(target, number);
                    }
                }
            }
            StepAction::Parallel { branches, .. } => {
                self.steps(branches, &place.at(&"branches"), Some(number), all);
            }
            StepAction::Extension { .. } => {}
        }
    }

    fn step_id(&mut self, id: &str, place: &Place<'_>, all: &Steps<'p>) -> Option<usize> {
        let found = all.by_id.get(id).copied();
        if found.is_none() {
            self.report(
                Code::UnknownStep,
                place,
                format!("the composition has no step `{}`", excerpt(id)),
            )
            .expected("the id of a step")
            .suggest(id, all.ids.iter().copied());
        }
        found
    }

    fn predicate(
        &mut self,
        predicate: &'p Predicate,
        place: &Place<'_>,
        number: usize,
        all: &mut Steps<'p>,
    ) {
        let parts =
            |this: &mut Self, all: &mut Steps<'p>, form: &'static str, parts: &'p [Predicate]| {
                let place = place.at(&form);
                for (index, part) in parts.iter().enumerate() {
                    this.predicate(part, &place.at(&index), number, all);
                }
            };
        match predicate {
            Predicate::Compare { path, .. } | Predicate::Exists { path, .. } => {
                let place = place.at(&"path");
                if references(path).next().is_none() && !path.is_empty() {
                    self.report(
                        Code::BadReference,
                        &place,
                        format!("`{}` is no reference", excerpt(path)),
                    )
                    .expected("a reference such as `${step.output.field}`");
                }
                self.references_in(path, &place, number, all);
            }
            Predicate::AllOf(all_of) => parts(self, all, "all_of", all_of),
            Predicate::AnyOf(any_of) => parts(self, all, "any_of", any_of),
            Predicate::Not(part) => self.predicate(part, &place.at(&"not"), number, all),
        }
    }

    /// Checks the references in every text of a value.
    fn value(&mut self, value: &'p Value, place: &Place<'_>, number: usize, all: &mut Steps<'p>) {
        match value {
            Value::String(text) => self.references_in(text, place, number, all),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &place.at(&index), number, all);
                }
            }
            Value::Object(fields) => {
                for (name, item) in fields {
                    self.value(item, &place.at(name), number, all);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn references_in(
        &mut self,
        text: &'p str,
        place: &Place<'_>,
        number: usize,
        all: &mut Steps<'p>,
    ) {
        for reference in references(text) {
            let (root, rest) = reference.split_once('.').unwrap_or((reference, ""));
            if root == INPUT || all.results.contains(root) {
                continue;
            }
            if let Some(other) = all.by_id.get(root).copied() {
                all.wait(number, other);
                if rest != "output" && !rest.starts_with("output.") {
                    self.report(
                        Code::BadReference,
                        place,
                        format!("`${{{}}}` does not name the step's output", excerpt(reference)),
                    )
                    .expected(format!("`${{{root}.output}}` or a field of it"));
                }
            } else {
                let expected = if IDENTIFIER.matches(root) {
                    "`input` or the id of a step"
                } else {
                    "a reference such as `${input.field}`; there are no expressions"
                };
                self.report(
                    Code::BadReference,
                    place,
                    format!("`${{{}}}` refers to nothing", excerpt(reference)),
                )
                .expected(expected)
                .suggest(root, all.ids.iter().copied().chain([INPUT]));
            }
        }
    }
}

impl Steps<'_> {
    /// Notes that `step` can only run after `other`.
    fn wait(&mut self, step: usize, other: usize) {
        if let Some(waits) = self.waits.get_mut(step) {
            waits.push(other);
        }
    }
}

/// What stands between `${` and `}` in a text.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|after| after.split_once('}').map(|(inside, _)| inside))
}
