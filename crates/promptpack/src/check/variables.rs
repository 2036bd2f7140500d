//! Variables: their rules and their defaults.

use std::collections::HashSet;

use super::{Checker, Place};
use crate::decode::excerpt;
use crate::finding::Code;
use crate::{Validation, Variable, VariableType, render};

/// What compiling a pattern costs, next to following one fragment.
const PATTERN_EFFORT: usize = 10_000;

impl Checker<'_, '_> {
    pub(super) fn variables(&mut self) {
        let prompts = Place::top(&"prompts");
        for (key, prompt) in &self.pack.prompts {
            let place = prompts.at(key);
            let variables = place.at(&"variables");
            let mut seen = HashSet::with_capacity(prompt.variables.len());
            for (index, variable) in prompt.variables.iter().enumerate() {
                let place = variables.at(&index);
                if !variable.name.is_empty() && !seen.insert(variable.name.as_str()) {
                    self.report(
                        Code::DuplicateName,
                        &place.at(&"name"),
                        format!("the variable `{}` is declared twice", excerpt(&variable.name)),
                    )
                    .expected("each name once");
                }
                self.variable(variable, &place);
            }
        }
    }

    fn variable(&mut self, variable: &Variable, place: &Place<'_>) {
        let name = excerpt(&variable.name);
        if variable.name == "fragments" {
            self.report(
                Code::ReservedName,
                &place.at(&"name"),
                "`{{fragments.name}}` is a fragment; nothing can read into a variable of this name",
            );
        }
        if variable.required && variable.default.is_some() {
            self.report(
                Code::RequiredWithDefault,
                &place.at(&"default"),
                format!("the required variable `{name}` has a default, so it is never missing"),
            )
            .expected("no default, or `required: false`");
        }
        if let Some(rules) = &variable.validation {
            self.rules(variable, rules, &place.at(&"validation"));
        }
        let patterned = variable.validation.as_ref().is_some_and(|rules| rules.pattern.is_some());
        if let Some(default) = variable.default.as_ref().filter(|default| !default.is_null())
            && (!patterned || self.afford(PATTERN_EFFORT))
            && let Err((_, expected)) = render::check(variable, default)
        {
            self.report(
                Code::BadDefault,
                &place.at(&"default"),
                format!("the default of `{name}` breaks the variable's own declaration"),
            )
            .expected(expected);
        }
    }

    fn rules(&mut self, variable: &Variable, rules: &Validation, place: &Place<'_>) {
        if let (Some(least), Some(most)) = (rules.min_length, rules.max_length)
            && least > most
        {
            self.report(
                Code::MinAboveMax,
                &place.at(&"min_length"),
                format!("no text has at least {least} and at most {most} characters"),
            )
            .expected("`min_length` at most `max_length`");
        }
        if let (Some(least), Some(most)) = (rules.minimum, rules.maximum)
            && least > most
        {
            self.report(
                Code::MinAboveMax,
                &place.at(&"minimum"),
                format!("no number is at least {least} and at most {most}"),
            )
            .expected("`minimum` at most `maximum`");
        }
        if let Some(Err(error)) = rules.pattern.as_ref().map(|pattern| pattern.check_syntax()) {
            self.report(
                Code::InvalidPattern,
                &place.at(&"pattern"),
                format!("the pattern cannot be used: {error}"),
            )
            .expected("a regular expression without look-around and back-references");
        }
        let is_text = variable.type_ == VariableType::String;
        let is_number = variable.type_ == VariableType::Number;
        let is_known = !matches!(variable.type_, VariableType::Other(_));
        let unfit = [
            ("pattern", rules.pattern.is_some() && !is_text),
            ("min_length", rules.min_length.is_some() && !is_text),
            ("max_length", rules.max_length.is_some() && !is_text),
            ("minimum", rules.minimum.is_some() && !is_number),
            ("maximum", rules.maximum.is_some() && !is_number),
        ];
        for (rule, _) in unfit.iter().filter(|(_, unfit)| *unfit && is_known) {
            let type_ = variable.type_.with_article();
            self.report(
                Code::NoEffect,
                &place.at(rule),
                format!("`{rule}` has no effect on {type_}"),
            );
        }
        for (index, value) in rules.enum_.iter().flatten().enumerate() {
            if !variable.type_.accepts(value) {
                let type_ = variable.type_.with_article();
                self.report(
                    Code::Contradiction,
                    &place.at(&"enum").at(&index),
                    format!("this value is not {type_}"),
                )
                .expected(type_);
            }
        }
    }
}
