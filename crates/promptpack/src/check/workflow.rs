//! Workflows: whether every state can be entered and left.

use std::collections::HashSet;

use super::graph::{chain, cycles};
use super::{Checker, Place};
use crate::decode::excerpt;
use crate::finding::Code;
use crate::{Workflow, WorkflowState};

impl<'p> Checker<'p, '_> {
    pub(super) fn workflow(&mut self) {
        let Some(workflow) = &self.pack.workflow else { return };
        self.state(&workflow.entry, &Place::top(&"workflow").at(&"entry"));
        // Before 1.4 a state without events was the end; since then `terminal`
        // says so, and a state without events is probably unfinished.
        let marks_ends = workflow.states.values().any(|state| state.terminal);
        let place = Place::top(&"workflow");
        let states = place.at(&"states");
        for (name, state) in &workflow.states {
            let place = states.at(name);
            self.references(state, &place);
            self.exits(name, state, marks_ends, &place);
        }
        self.visits(workflow);
        if workflow.states.contains_key(&workflow.entry) {
            self.reachable(workflow);
        }
    }

    pub(super) fn state(&mut self, name: &str, place: &Place<'_>) {
        let states = self.pack.workflow.as_ref().map(|workflow| &workflow.states);
        if let Some(states) = states.filter(|states| !name.is_empty() && !states.contains_key(name))
        {
            self.report(
                Code::UnknownState,
                place,
                format!("the workflow has no state `{}`", excerpt(name)),
            )
            .expected("a key of `workflow.states`")
            .suggest(name, states.keys().map(String::as_str));
        }
    }

    fn references(&mut self, state: &WorkflowState, place: &Place<'_>) {
        let pack = self.pack;
        if let Some(key) = &state.prompt_task {
            self.prompt(key, &place.at(&"prompt_task"));
        }
        if let Some(key) =
            state.composition.as_ref().filter(|key| !pack.compositions.contains_key(*key))
        {
            self.report(
                Code::UnknownComposition,
                &place.at(&"composition"),
                format!("the pack has no composition `{}`", excerpt(key)),
            )
            .expected("a key of `compositions`")
            .suggest(key, pack.compositions.keys().map(String::as_str));
        }
        for (event, target) in &state.on_event {
            let place = place.at(&"on_event");
            let place = place.at(event);
            self.state(target, &place);
            if !event.starts_with(|c: char| c.is_ascii_uppercase())
                || event.contains(['_', '-', ' '])
            {
                self.report(
                    Code::Convention,
                    &place,
                    format!(
                        "the event `{}` is not in PascalCase, as the specification has it",
                        excerpt(event)
                    ),
                );
            }
        }
        if let Some(target) = &state.on_max_visits {
            let place = place.at(&"on_max_visits");
            self.state(target, &place);
            if state.max_visits.is_none() {
                self.report(
                    Code::NoEffect,
                    &place,
                    "`on_max_visits` has no effect without `max_visits`",
                );
            }
        }
        if let Some(persistence) = &state.persistence
            && persistence != "persistent"
            && persistence != "transient"
        {
            self.report(
                Code::UnknownKind,
                &place.at(&"persistence"),
                format!("persistence `{}` is not known", excerpt(persistence)),
            )
            .expected("persistent or transient")
            .suggest(persistence, ["persistent", "transient"]);
        }
    }

    fn exits(&mut self, name: &str, state: &WorkflowState, marks_ends: bool, place: &Place<'_>) {
        if state.terminal && !state.on_event.is_empty() {
            self.report(
                Code::StateFlow,
                place,
                format!("the state `{}` is terminal; its events lead nowhere", excerpt(name)),
            );
        }
        if marks_ends && !state.terminal && state.on_event.is_empty() && state.max_visits.is_none()
        {
            self.report(
                Code::StateFlow,
                place,
                format!("the state `{}` can never be left", excerpt(name)),
            )
            .expected("an event, `max_visits` or `terminal: true`");
        }
    }

    /// Where `on_max_visits` leads must end somewhere, and the budget must
    /// leave room for the visits that the states allow.
    fn visits(&mut self, workflow: &Workflow) {
        let names: Vec<&String> = workflow.states.keys().collect();
        let edges: Vec<Vec<usize>> = workflow
            .states
            .values()
            .map(|state| {
                let target = state.on_max_visits.as_deref().filter(|_| state.max_visits.is_some());
                target.and_then(|target| workflow.states.get_index_of(target)).into_iter().collect()
            })
            .collect();
        for circle in cycles(&edges).0 {
            let name = |node: usize| names.get(node).map_or("", |name| name.as_str());
            let first = name(circle.first().copied().unwrap_or_default());
            self.report(
                Code::VisitCycle,
                &Place::top(&"workflow").at(&"states").at(&first).at(&"on_max_visits"),
                format!("used-up visits lead in a circle: {}", chain(&circle, name)),
            )
            .expected("a chain that ends in a state without `max_visits`");
        }
        let allowed: u64 =
            workflow.states.values().filter_map(|state| state.max_visits).map(u64::from).sum();
        if let Some(most) = workflow.budget.and_then(|budget| budget.max_total_visits)
            && u64::from(most) < allowed
        {
            self.report(
                Code::StateFlow,
                &Place::top(&"workflow").at(&"engine").at(&"budget").at(&"max_total_visits"),
                format!("the states allow {allowed} visits together, the budget only {most}"),
            );
        }
    }

    /// Every state should be reachable from the entry or from an agent.
    fn reachable(&mut self, workflow: &'p Workflow) {
        let agents = self.pack.agents.iter().flat_map(|agents| agents.members.values());
        let starts = agents.filter_map(|agent| agent.state.as_ref()).chain([&workflow.entry]);
        let mut open: Vec<&str> = starts.map(String::as_str).collect();
        let mut seen: HashSet<&str> = HashSet::new();
        while let Some(name) = open.pop() {
            let Some(state) = workflow.states.get(name) else { continue };
            if seen.insert(name) {
                open.extend(
                    state.on_event.values().chain(&state.on_max_visits).map(String::as_str),
                );
            }
        }
        for name in workflow.states.keys().filter(|name| !seen.contains(name.as_str())) {
            self.report(
                Code::StateFlow,
                &Place::top(&"workflow").at(&"states").at(name),
                format!("nothing leads to the state `{}`", excerpt(name)),
            );
        }
    }
}
