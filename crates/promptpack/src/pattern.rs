//! Regular expressions of variables.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 4096;

/// Largest compiled pattern, in bytes: the `regex` crate's own usual bound.
/// `^\w{1,100}$` needs 8 MiB, because `\w` knows every script.
const MAX_COMPILED: usize = 10 << 20;

/// A regular expression in the syntax of the `regex` crate: linear time, no
/// look-around, no back-references. It is compiled on first use.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Result<Regex, PatternError>>,
}

/// A regular expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Pattern {
    /// A pattern that has not been looked at yet.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches anywhere in `text` (search, as in JSON Schema).
    ///
    /// # Errors
    ///
    /// When the pattern is not a regular expression, is longer than 4096
    /// bytes, or needs more than 10 MiB when compiled.
    pub fn is_match(&self, text: &str) -> Result<bool, PatternError> {
        self.compile().map(|regex| regex.is_match(text))
    }

    /// The compiled form.
    ///
    /// # Errors
    ///
    /// As [`Pattern::is_match`].
    pub fn compile(&self) -> Result<&Regex, PatternError> {
        let compile = || {
            self.check_length()?;
            RegexBuilder::new(&self.text)
                .size_limit(MAX_COMPILED)
                .build()
                .map_err(|error| PatternError(brief(&error.to_string())))
        };
        self.compiled.get_or_init(compile).as_ref().map_err(Clone::clone)
    }

    /// Whether the pattern is well formed. Cheaper than compiling it: classes
    /// are not expanded and repetitions not unrolled.
    pub(crate) fn check_syntax(&self) -> Result<(), PatternError> {
        self.check_length()?;
        regex_syntax::ast::parse::Parser::new()
            .parse(&self.text)
            .map(drop)
            .map_err(|error| PatternError(error.kind().to_string()))
    }

    fn check_length(&self) -> Result<(), PatternError> {
        if self.text.len() > MAX_PATTERN {
            return Err(PatternError(format!("the pattern is longer than {MAX_PATTERN} bytes")));
        }
        Ok(())
    }
}

/// The last line of the regex crate's drawing, which says what is wrong.
fn brief(message: &str) -> String {
    let last = message.lines().last().unwrap_or(message);
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.to_owned())
    }

    #[test]
    fn patterns_search() {
        assert_eq!(pattern("b+").is_match("abbc"), Ok(true));
        assert_eq!(pattern("^b+$").is_match("abbc"), Ok(false));
        assert_eq!(pattern(r"^[\w\s]{1,100}$").is_match("Ærø 7"), Ok(true));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for bad in ["(", "a{2,1}", "(?=x)", r"(a)\1", "[z-a]"] {
            assert!(pattern(bad).check_syntax().is_err(), "{bad}");
            assert!(pattern(bad).compile().is_err(), "{bad}");
        }
        assert!(pattern(&"a".repeat(5000)).check_syntax().is_err());
        let error = pattern(r"(\w{100}){100}").compile().unwrap_err().to_string();
        assert!(error.contains("size limit"), "{error}");
    }

    #[test]
    fn a_nested_quantifier_takes_linear_time() {
        let text = "a".repeat(50_000) + "!";
        assert_eq!(pattern("^(a+)+$").is_match(&text), Ok(false));
    }
}
