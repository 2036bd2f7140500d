//! Compiling: one prompt with everything that the pack says about it, ready to render.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::Value;

use crate::findings::nearest;
use crate::template::{
    Part, PathStep, Placeholder, Position, Template, TemplateError, TemplateLimits, TemplateSource,
};
use crate::{
    MediaConfig, ModelOverride, Pack, Parameters, Pattern, PatternError, Tool, ToolPolicy,
    Validator, Variable,
};

/// Why a prompt cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The pack has no such prompt.
    #[error("the pack has no prompt `{key}`{}", did_you_mean(suggestion.as_deref()))]
    UnknownPrompt {
        /// The key asked for.
        key: String,
        /// The nearest key that exists.
        suggestion: Option<String>,
    },
    /// The prompt's text cannot be put together.
    #[error("prompt `{key}`: {error}")]
    Template {
        /// The prompt.
        key: String,
        /// Why.
        error: TemplateError,
    },
    /// A variable's pattern is not a usable regular expression, so no value
    /// could be checked.
    #[error("prompt `{key}`: the pattern of the variable `{variable}` cannot be used: {error}")]
    Pattern {
        /// The prompt.
        key: String,
        /// The variable.
        variable: String,
        /// Why.
        error: PatternError,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// One prompt with everything that the pack says about it: the model's
/// override applied, fragments in place, tools chosen.
///
/// It owns what it holds; share it behind an `Arc`.
#[derive(Debug, Clone)]
pub struct CompiledPrompt {
    /// The prompt's key in the pack.
    pub key: String,
    /// The prompt's id.
    pub id: String,
    /// The prompt's name.
    pub name: String,
    /// The prompt's version.
    pub version: String,
    /// What the prompt does.
    pub description: Option<String>,
    /// The model whose override was applied; none when the pack has none for it.
    pub overridden_for: Option<String>,
    /// The parameters, the override's merged over the prompt's.
    pub parameters: Parameters,
    /// The tools to offer, in the prompt's order: those it lists that the pack
    /// has and its policy does not block.
    pub tools: Vec<Tool>,
    /// Names that the prompt lists and the pack's `tools` lacks (agents of the
    /// pack among them), blocked ones left out.
    pub missing_tools: Vec<String>,
    /// How tools may be used; the specification's defaults when the prompt says nothing.
    pub tool_policy: ToolPolicy,
    /// Which media messages may carry; none when the prompt says nothing.
    pub media: Option<MediaConfig>,
    /// The values that the template takes.
    pub variables: Vec<Variable>,
    /// The guardrails, enabled or not.
    pub validators: Vec<Validator>,
    /// The key of the required provider to use.
    pub provider: Option<String>,
    pub(crate) program: Program,
}

/// The text of a prompt, flattened: literal text and slots for values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) text: String,
    pub(crate) segments: Vec<Segment>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) sources: Vec<TemplateSource>,
    pub(crate) max_bytes: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Segment {
    Text(Range<usize>),
    Slot(usize),
}

/// Where a value goes.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) root: String,
    /// The variable's place in `variables`; none for an undeclared one.
    pub(crate) variable: Option<usize>,
    pub(crate) steps: Vec<PathStep>,
    /// The placeholder's place, for errors: which of `sources`, and where in it.
    pub(crate) source: usize,
    pub(crate) position: Position,
}

impl CompiledPrompt {
    /// The names of all values that a rendering looks at: the declared variables, and what the
    /// template uses without declaring it. A name may come more than once.
    pub fn value_names(&self) -> impl Iterator<Item = &str> + Clone {
        let declared = self.variables.iter().map(|variable| variable.name.as_str());
        declared.chain(self.program.slots.iter().map(|slot| slot.root.as_str()))
    }
}

impl Pack {
    /// Compiles the prompt with the key `key` for `model`, within the usual
    /// [`TemplateLimits`].
    ///
    /// A model override applies when its name is exactly `model`. Its
    /// replacement template, unless empty, wins over its prefix and suffix;
    /// its parameters replace the prompt's field by field.
    ///
    /// # Errors
    ///
    /// See [`CompileError`].
    pub fn compile(&self, key: &str, model: Option<&str>) -> Result<CompiledPrompt, CompileError> {
        self.compile_within(key, model, TemplateLimits::default())
    }

    /// As [`Pack::compile`], with other limits.
    ///
    /// # Errors
    ///
    /// See [`CompileError`].
    pub fn compile_within(
        &self,
        key: &str,
        model: Option<&str>,
        limits: TemplateLimits,
    ) -> Result<CompiledPrompt, CompileError> {
        let prompt = self.prompts.get(key).ok_or_else(|| CompileError::UnknownPrompt {
            key: key.to_owned(),
            suggestion: nearest(key, self.prompts.keys().map(String::as_str)).map(str::to_owned),
        })?;
        for variable in &prompt.variables {
            let pattern = variable.validation.as_ref().and_then(|rules| rules.pattern.as_ref());
            if let Some(Err(error)) = pattern.map(Pattern::compile) {
                return Err(CompileError::Pattern {
                    key: key.to_owned(),
                    variable: variable.name.clone(),
                    error,
                });
            }
        }
        let change = model.and_then(|model| prompt.model_overrides.get_key_value(model));
        let mut linker = Linker::new(self, &prompt.variables, limits);
        for (source, text) in texts(&prompt.system_template, change.map(|(_, change)| change)) {
            linker
                .append(source, text)
                .map_err(|error| CompileError::Template { key: key.to_owned(), error })?;
        }
        let tool_policy = prompt.tool_policy.clone().unwrap_or_default();
        let (tools, missing_tools) = self.choose_tools(&prompt.tools, &tool_policy.blocklist);
        Ok(CompiledPrompt {
            key: key.to_owned(),
            id: prompt.id.clone(),
            name: prompt.name.clone(),
            version: prompt.version.clone(),
            description: prompt.description.clone(),
            overridden_for: change.map(|(model, _)| model.clone()),
            parameters: prompt
                .parameters
                .merged(change.map(|(_, change)| change.parameters).unwrap_or_default()),
            tools,
            missing_tools,
            tool_policy,
            media: prompt.media.clone(),
            variables: prompt.variables.clone(),
            validators: prompt.validators.clone(),
            provider: prompt.provider.clone(),
            program: linker.program,
        })
    }
}

impl Pack {
    /// The tools that `names` lists and the pack has, and the names that it
    /// lacks, each once and in order. A tool is blocked by its key as well as
    /// by its name.
    fn choose_tools(&self, names: &[String], blocklist: &[String]) -> (Vec<Tool>, Vec<String>) {
        let blocked: HashSet<&str> = blocklist.iter().map(String::as_str).collect();
        let mut seen = HashSet::new();
        let (mut tools, mut missing) = (Vec::new(), Vec::new());
        for name in names.iter().map(String::as_str) {
            if blocked.contains(name) || !seen.insert(name) {
                continue;
            }
            match self.tools.get(name) {
                Some(tool) if blocked.contains(tool.name.as_str()) => {}
                Some(tool) => tools.push(tool.clone()),
                None => missing.push(name.to_owned()),
            }
        }
        (tools, missing)
    }
}

/// The texts that make up a prompt, in order.
pub(crate) fn texts<'p>(
    system: &'p str,
    change: Option<&'p ModelOverride>,
) -> Vec<(TemplateSource, &'p str)> {
    let Some(change) = change else { return vec![(TemplateSource::System, system)] };
    if let Some(replacement) = change.system_template.as_deref().filter(|text| !text.is_empty()) {
        return vec![(TemplateSource::Override, replacement)];
    }
    let prefix =
        change.system_template_prefix.as_deref().map(|text| (TemplateSource::Prefix, text));
    let suffix =
        change.system_template_suffix.as_deref().map(|text| (TemplateSource::Suffix, text));
    prefix.into_iter().chain([(TemplateSource::System, system)]).chain(suffix).collect()
}

/// Puts templates and their fragments together into one program.
struct Linker<'p> {
    pack: &'p Pack,
    variables: HashMap<&'p str, usize>,
    limits: TemplateLimits,
    /// Fragments taken apart already.
    fragments: HashMap<&'p str, std::rc::Rc<Template>>,
    /// The fragments that lie around the present one.
    chain: Vec<String>,
    /// Bytes of every text put in so far, placeholders included: this bounds
    /// the number of slots as well as the length of the text.
    cost: usize,
    program: Program,
}

impl<'p> Linker<'p> {
    fn new(pack: &'p Pack, variables: &'p [Variable], limits: TemplateLimits) -> Self {
        Self {
            pack,
            variables: variables
                .iter()
                .enumerate()
                .map(|(index, variable)| (variable.name.as_str(), index))
                .collect(),
            limits,
            fragments: HashMap::new(),
            chain: Vec::new(),
            cost: 0,
            program: Program { max_bytes: limits.max_bytes, ..Program::default() },
        }
    }

    fn append(&mut self, source: TemplateSource, text: &str) -> Result<(), TemplateError> {
        let template = Template::parse(text)?;
        self.link(source, &template)
    }

    fn link(&mut self, source: TemplateSource, template: &Template) -> Result<(), TemplateError> {
        let source_index = self.program.sources.len();
        self.program.sources.push(source);
        for part in &template.parts {
            let span = match part {
                Part::Text(span) | Part::Placeholder { span, .. } => span,
            };
            self.cost += span.len();
            if self.cost > self.limits.max_bytes {
                return Err(TemplateError::TooLarge {
                    chain: self.chain.clone(),
                    max: self.limits.max_bytes,
                });
            }
            match part {
                Part::Text(span) => self.push_text(template.slice(span)),
                Part::Placeholder {
                    placeholder: Placeholder::Fragment { name, .. },
                    position,
                    ..
                } => {
                    self.include(name, source_index, *position)?;
                }
                Part::Placeholder {
                    placeholder: Placeholder::Name { root, steps },
                    position,
                    ..
                } => {
                    let variable = self.variables.get(root.as_str()).copied();
                    if variable.is_none()
                        && steps.is_empty()
                        && self.pack.fragments.contains_key(root)
                    {
                        self.include(root, source_index, *position)?;
                    } else {
                        self.program.segments.push(Segment::Slot(self.program.slots.len()));
                        self.program.slots.push(Slot {
                            root: root.clone(),
                            variable,
                            steps: steps.clone(),
                            source: source_index,
                            position: *position,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Neighbouring literal texts become one.
    fn push_text(&mut self, text: &str) {
        let start = self.program.text.len();
        self.program.text.push_str(text);
        let end = self.program.text.len();
        match self.program.segments.last_mut() {
            Some(Segment::Text(last)) => last.end = end,
            _ => self.program.segments.push(Segment::Text(start..end)),
        }
    }

    fn include(
        &mut self,
        name: &str,
        source: usize,
        position: Position,
    ) -> Result<(), TemplateError> {
        let Some((name, text)) = self.pack.fragments.get_key_value(name) else {
            let source_text =
                self.program.sources.get(source).cloned().unwrap_or(TemplateSource::System);
            return Err(TemplateError::UnknownFragment {
                name: name.to_owned(),
                source_text,
                position,
            });
        };
        let in_circle = self.chain.contains(name);
        self.chain.push(name.clone());
        if in_circle {
            return Err(TemplateError::FragmentCycle { chain: self.chain.clone() });
        }
        if self.chain.len() > self.limits.max_depth {
            return Err(TemplateError::FragmentDepth {
                chain: self.chain.clone(),
                max: self.limits.max_depth,
            });
        }
        let template = match self.fragments.get(name.as_str()) {
            Some(template) => template.clone(),
            None => {
                let template = std::rc::Rc::new(Template::parse(text)?);
                self.fragments.insert(name, template.clone());
                template
            }
        };
        self.link(TemplateSource::Fragment(name.clone()), &template)?;
        self.chain.pop();
        Ok(())
    }
}

/// A value that counts as given: `null` does not.
pub(crate) fn given(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}
