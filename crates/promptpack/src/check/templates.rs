//! Templates: the fragments, variables and artifacts that they name.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::graph::{chain, cycles};
use super::{Checker, Place};
use crate::decode::excerpt;
use crate::finding::Code;
use crate::template::{PathStep, Placeholder, Position, Template, TemplateLimits};
use crate::{FragmentStyle, Prompt, VariableType};

/// What one template names.
#[derive(Default)]
struct Uses<'t> {
    /// The variables, each once with and once without a way into its value.
    variables: Vec<(&'t str, &'t [PathStep], Position)>,
    /// The fragments, as often as they are named.
    fragments: Vec<usize>,
    /// Length without fragments, in bytes.
    length: usize,
}

/// What is known about the pack's fragments, by their place in it.
#[derive(Default)]
struct Fragments<'t> {
    uses: Vec<Uses<'t>>,
    /// Length with everything included, in bytes; how many lie inside each other.
    sizes: Vec<(usize, usize)>,
}

/// What the templates of the pack may refer to, and how they do.
struct Scope<'p> {
    /// The variables that any prompt declares.
    declared: HashSet<&'p str>,
    /// The artifacts that any workflow state declares.
    artifacts: HashSet<&'p str>,
    styles: BTreeSet<FragmentStyle>,
}

impl<'p> Checker<'p, '_> {
    /// Checks every template; gives the styles in which they name fragments.
    pub(super) fn templates(&mut self) -> Vec<FragmentStyle> {
        let pack = self.pack;
        let variables = pack.prompts.values().flat_map(|prompt| &prompt.variables);
        let states = pack.workflow.iter().flat_map(|workflow| workflow.states.values());
        let mut scope = Scope {
            declared: variables.map(|variable| variable.name.as_str()).collect(),
            artifacts: states
                .flat_map(|state| state.artifacts.keys())
                .map(String::as_str)
                .collect(),
            styles: BTreeSet::new(),
        };
        let parsed: Vec<Template> =
            pack.fragments.values().map(|text| Template::take_apart(text.as_str())).collect();
        let place = Place::top(&"fragments");
        let mut uses = Vec::with_capacity(parsed.len());
        for (name, template) in pack.fragments.keys().zip(&parsed) {
            uses.push(self.uses(template, None, &place.at(name), &mut scope));
        }
        let fragments = self.follow(uses);
        let place = Place::top(&"prompts");
        for (key, prompt) in &pack.prompts {
            self.templates_of(key, prompt, &fragments, &place.at(key), &mut scope);
        }
        let styles: Vec<FragmentStyle> = scope.styles.into_iter().collect();
        if styles.len() > 1 {
            let examples: Vec<&str> = styles.iter().map(|style| style.example()).collect();
            let message = format!(
                "fragments are named in {} styles ({}); no other implementation reads them all",
                styles.len(),
                examples.join(", ")
            );
            self.report(Code::MixedFragmentStyles, &Place::ROOT, message).expected("one style");
        }
        styles
    }

    /// What a template names. `declared` are the variables of its prompt; a
    /// fragment has none of its own, so there any prompt's count.
    fn uses<'t>(
        &mut self,
        template: &'t Template,
        declared: Option<&HashMap<&str, &VariableType>>,
        place: &Place<'_>,
        scope: &mut Scope<'p>,
    ) -> Uses<'t> {
        let pack = self.pack;
        let is_variable = |name: &str| match declared {
            Some(declared) => declared.contains_key(name),
            None => scope.declared.contains(name),
        };
        let mut uses = Uses { length: template.text().len(), ..Uses::default() };
        let mut seen = HashSet::new();
        let mut missing = HashSet::new();
        for (placeholder, position) in template.placeholders() {
            let (name, style) = match placeholder {
                Placeholder::Fragment { name, style } => (name, *style),
                Placeholder::Name { root, steps } => {
                    if !steps.is_empty() || is_variable(root) || !pack.fragments.contains_key(root)
                    {
                        if root == "artifacts" || seen.insert((root, steps.is_empty())) {
                            uses.variables.push((root, steps, position));
                        }
                        continue;
                    }
                    (root, FragmentStyle::Bare)
                }
            };
            scope.styles.insert(style);
            match pack.fragments.get_index_of(name) {
                Some(index) => uses.fragments.push(index),
                None if missing.insert(name) => self
                    .report(
                        Code::UnknownFragment,
                        place,
                        format!("the pack has no fragment `{}` ({position})", excerpt(name)),
                    )
                    .expected("a key of `fragments`")
                    .suggest(name, pack.fragments.keys().map(String::as_str)),
                None => {}
            }
        }
        let mut oddities = template.oddities();
        if let Some((position, text)) = oddities.next() {
            let others = match oddities.count() {
                0 => String::new(),
                more => format!(", and {more} more like it"),
            };
            self.report(
                Code::NotAPlaceholder,
                place,
                format!("`{text}` ({position}) is no placeholder and stays as it is{others}"),
            )
            .expected("`{{name}}`, or `\\{{` for braces that are meant as text");
        }
        uses
    }

    /// Follows every fragment once, the included before the including.
    fn follow<'t>(&mut self, uses: Vec<Uses<'t>>) -> Fragments<'t> {
        let pack = self.pack;
        let edges: Vec<Vec<usize>> = uses
            .iter()
            .map(|uses| {
                uses.fragments.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
            })
            .collect();
        let (circles, order) = cycles(&edges);
        let name =
            |index: usize| pack.fragments.get_index(index).map_or("", |(name, _)| name.as_str());
        let place = Place::top(&"fragments");
        for circle in &circles {
            let first = name(circle.first().copied().unwrap_or_default());
            self.report(
                Code::FragmentCycle,
                &place.at(&first),
                format!("fragments include each other in a circle: {}", chain(circle, name)),
            );
        }
        let mut fragments = Fragments { sizes: vec![(0, 0); uses.len()], uses };
        for index in order {
            let size = fragments.uses.get(index).map_or((0, 0), |uses| fragments.size(uses));
            if let Some(slot) = fragments.sizes.get_mut(index) {
                *slot = (size.0, size.1 + 1);
            }
        }
        fragments
    }

    fn templates_of(
        &mut self,
        key: &str,
        prompt: &'p Prompt,
        fragments: &Fragments<'_>,
        place: &Place<'_>,
        scope: &mut Scope<'p>,
    ) {
        let declared: HashMap<&str, &VariableType> = prompt
            .variables
            .iter()
            .map(|variable| (variable.name.as_str(), &variable.type_))
            .collect();
        let mut needed =
            Needed { key, declared: &declared, reported: HashSet::new(), visited: HashSet::new() };
        self.template(
            &prompt.system_template,
            fragments,
            &place.at(&"system_template"),
            scope,
            &mut needed,
        );
        let place = place.at(&"model_overrides");
        for (model, change) in &prompt.model_overrides {
            let place = place.at(model);
            let replaced = change.system_template.as_ref().is_some_and(|text| !text.is_empty());
            if change.system_template.as_ref().is_some_and(String::is_empty) {
                self.report(
                    Code::EmptyOverride,
                    &place.at(&"system_template"),
                    "an empty replacement is ignored; the prompt's own template is used",
                );
            }
            if let Some(text) = &change.system_template {
                self.template(text, fragments, &place.at(&"system_template"), scope, &mut needed);
            }
            for (field, text) in [
                ("system_template_prefix", &change.system_template_prefix),
                ("system_template_suffix", &change.system_template_suffix),
            ] {
                let Some(text) = text else { continue };
                let place = place.at(&field);
                if replaced {
                    let message =
                        format!("`{field}` has no effect beside a replacement `system_template`");
                    self.report(Code::NoEffect, &place, message);
                }
                self.template(text, fragments, &place, scope, &mut needed);
            }
        }
    }

    /// Checks one text of a prompt and the fragments that it includes.
    fn template(
        &mut self,
        text: &str,
        fragments: &Fragments<'_>,
        place: &Place<'_>,
        scope: &mut Scope<'p>,
        needed: &mut Needed<'_>,
    ) {
        let template = Template::take_apart(text);
        let uses = self.uses(&template, Some(needed.declared), place, scope);
        let limits = TemplateLimits::default();
        let (length, depth) = fragments.size(&uses);
        if length > limits.max_bytes || depth > limits.max_depth {
            let message = format!(
                "with its fragments the text is {length} bytes long, and {depth} lie inside each other"
            );
            self.report(Code::FragmentTooLarge, place, message).expected(format!(
                "at most {} bytes and {} fragments",
                limits.max_bytes, limits.max_depth
            ));
        }
        self.variables_of(&uses, place, scope, needed);
        let pack = self.pack;
        let mut open = uses.fragments;
        let above = Place::top(&"fragments");
        while let Some(index) = open.pop() {
            if !needed.visited.insert(index) {
                continue;
            }
            let (Some(uses), Some((name, _))) =
                (fragments.uses.get(index), pack.fragments.get_index(index))
            else {
                continue;
            };
            if !self.afford(1 + uses.variables.len() + uses.fragments.len()) {
                return;
            }
            self.variables_of(uses, &above.at(name), scope, needed);
            open.extend(&uses.fragments);
        }
    }

    /// Checks that the variables named are declared by the prompt.
    fn variables_of(
        &mut self,
        uses: &Uses<'_>,
        place: &Place<'_>,
        scope: &Scope<'p>,
        needed: &mut Needed<'_>,
    ) {
        for (name, steps, position) in &uses.variables {
            if let Some(type_) = needed.declared.get(name) {
                let fits = match steps.first() {
                    Some(PathStep::Field(_)) => {
                        matches!(type_, VariableType::Object | VariableType::Other(_))
                    }
                    Some(PathStep::Index(_)) => {
                        matches!(type_, VariableType::Array | VariableType::Other(_))
                    }
                    None => true,
                };
                if !fits && needed.reported.insert((*name).to_owned()) {
                    let message = format!(
                        "the template reads into `{name}` ({position}), which is {}",
                        type_.with_article()
                    );
                    self.report(Code::Contradiction, place, message);
                }
            } else if *name == "artifacts" {
                self.artifact(steps, *position, place, scope, needed);
            } else if steps.is_empty() && self.pack.fragments.contains_key(*name) {
                // A fragment for this prompt, though a variable for another.
            } else if needed.reported.insert((*name).to_owned()) {
                let message = format!(
                    "`{}` ({position}) is not a variable of the prompt `{}`",
                    excerpt(name),
                    excerpt(needed.key)
                );
                self.report(Code::UndeclaredVariable, place, message)
                    .expected("a declared variable")
                    .suggest(name, needed.declared.keys().copied());
            }
        }
    }

    fn artifact(
        &mut self,
        steps: &[PathStep],
        position: Position,
        place: &Place<'_>,
        scope: &Scope<'p>,
        needed: &mut Needed<'_>,
    ) {
        let Some(PathStep::Field(name)) = steps.first() else { return };
        if !scope.artifacts.contains(name.as_str())
            && needed.reported.insert(format!("artifacts.{name}"))
        {
            let message =
                format!("no workflow state declares the artifact `{}` ({position})", excerpt(name));
            self.report(Code::UnknownArtifact, place, message)
                .expected("a key of a state's `artifacts`")
                .suggest(name, scope.artifacts.iter().copied());
        }
    }
}

/// What has been seen of one prompt.
struct Needed<'n> {
    key: &'n str,
    declared: &'n HashMap<&'n str, &'n VariableType>,
    /// Names already reported: each once for a prompt.
    reported: HashSet<String>,
    /// Fragments already followed.
    visited: HashSet<usize>,
}

impl Fragments<'_> {
    /// Length of a template with everything included, and how many fragments
    /// lie inside each other in it.
    fn size(&self, uses: &Uses<'_>) -> (usize, usize) {
        let included = uses.fragments.iter().filter_map(|index| self.sizes.get(*index));
        included.fold((uses.length, 0), |(length, depth), size| {
            (length.saturating_add(size.0), depth.max(size.1))
        })
    }
}
