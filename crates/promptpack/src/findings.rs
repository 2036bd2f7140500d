//! Collecting findings, in bounded number.

use crate::finding::{Class, Code, Finding, Severity};
use crate::read::Mode;

/// Findings beyond this are counted, not kept.
pub(crate) const MAX_FINDINGS: usize = 1000;

/// Looking for the nearest name compares with every candidate, so it is done
/// for so many findings, so many candidates and names so long.
const MAX_SUGGESTIONS: usize = 100;
const MAX_CANDIDATES: usize = 1000;
const MAX_NAME: usize = 80;

/// Most bytes of pointers kept: one key may be megabytes long and stand in the
/// pointers of a thousand findings.
const MAX_POINTER_BYTES: usize = 1 << 20;

/// Longest message, in bytes.
const MAX_MESSAGE: usize = 600;

/// A name further away than this is no near miss.
const NEAR: f64 = 0.72;

#[derive(Debug)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
    dropped: usize,
    dropped_error: bool,
    pointer_bytes: usize,
    suggestions: usize,
    mode: Mode,
    references_are_errors: bool,
}

impl Findings {
    pub(crate) fn new(mode: Mode, references_are_errors: bool) -> Self {
        Self {
            kept: Vec::new(),
            dropped: 0,
            dropped_error: false,
            pointer_bytes: 0,
            suggestions: 0,
            mode,
            references_are_errors,
        }
    }

    fn severity(&self, code: Code) -> Severity {
        match code.class() {
            Class::Structure if code == Code::UnknownKey && self.mode == Mode::Lenient => {
                Severity::Warning
            }
            Class::Structure => Severity::Error,
            Class::Reference if self.references_are_errors => Severity::Error,
            Class::Reference | Class::Advice => Severity::Warning,
            Class::Note => Severity::Info,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= MAX_FINDINGS || self.pointer_bytes > MAX_POINTER_BYTES
    }

    /// Notes a fault; `pointer` is asked for only if the finding is kept.
    pub(crate) fn report(
        &mut self,
        code: Code,
        pointer: impl FnOnce() -> String,
        message: impl Into<String>,
    ) -> Reported<'_> {
        let severity = self.severity(code);
        if self.is_full() {
            self.dropped += 1;
            self.dropped_error |= severity == Severity::Error;
            return Reported { finding: None, suggestions: &mut self.suggestions };
        }
        let pointer = pointer();
        self.pointer_bytes += pointer.len();
        let message = shortened(message.into());
        self.kept.push(Finding {
            code,
            severity,
            pointer,
            message,
            expected: None,
            suggestion: None,
        });
        Reported { finding: self.kept.last_mut(), suggestions: &mut self.suggestions }
    }

    /// Everything found; the last one says how much was left out.
    pub(crate) fn into_vec(mut self) -> Vec<Finding> {
        if self.dropped > 0 {
            let severity = if self.dropped_error { Severity::Error } else { Severity::Warning };
            self.kept.push(Finding {
                code: Code::CheckLimit,
                severity,
                pointer: String::new(),
                message: format!("{} further findings are left out", self.dropped),
                expected: None,
                suggestion: None,
            });
        }
        self.kept
    }
}

/// A finding just reported, to which more can be added.
pub(crate) struct Reported<'f> {
    finding: Option<&'f mut Finding>,
    suggestions: &'f mut usize,
}

impl Reported<'_> {
    pub(crate) fn expected(self, expected: impl Into<String>) -> Self {
        let Self { mut finding, suggestions } = self;
        if let Some(finding) = &mut finding {
            finding.expected = Some(shortened(expected.into()));
        }
        Self { finding, suggestions }
    }

    /// Adds the candidate nearest to `name`, if one is near.
    pub(crate) fn suggest<'c>(self, name: &str, candidates: impl IntoIterator<Item = &'c str>) {
        let Some(finding) = self.finding else { return };
        if *self.suggestions >= MAX_SUGGESTIONS || name.len() > MAX_NAME {
            return;
        }
        *self.suggestions += 1;
        finding.suggestion = nearest(name, candidates).map(str::to_owned);
    }
}

/// A name from the pack may be megabytes long; a message is not.
fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    message
}

/// The candidate nearest to `name`, if one is near ("did you mean").
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|candidate| candidate.len() <= MAX_NAME)
        .map(|candidate| (closeness(name, candidate), candidate))
        .filter(|(closeness, _)| *closeness >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// 1 for equal names; case, `-` and `_` hardly count.
fn closeness(name: &str, candidate: &str) -> f64 {
    let fold = |text: &str| text.to_lowercase().replace('-', "_");
    strsim::normalized_damerau_levenshtein(&fold(name), &fold(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["system_template", "tool_policy", "tools"];
        assert_eq!(nearest("systemTemplate", names), Some("system_template"));
        assert_eq!(nearest("tool-policy", names), Some("tool_policy"));
        assert_eq!(nearest("tool", names), Some("tools"));
        assert_eq!(nearest("weather", names), None);
    }

    #[test]
    fn the_number_of_findings_is_bounded_and_an_error_is_never_lost() {
        let mut findings = Findings::new(Mode::Strict, false);
        for _ in 0..MAX_FINDINGS {
            findings.report(Code::UnknownTool, String::new, "x");
        }
        findings.report(Code::WrongType, String::new, "x");
        let all = findings.into_vec();
        assert_eq!(all.len(), MAX_FINDINGS + 1);
        assert_eq!(all.last().map(|last| last.severity), Some(Severity::Error));
    }
}
