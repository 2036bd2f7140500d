//! What a check has to say: one finding per fault, with a place in the file.

use std::fmt;

use serde::{Serialize, Serializer};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// The pack can be used, but something in it will not work as written.
    Warning,
    /// The pack is refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What decides the severity of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The bytes or the published schema are broken: always an error.
    Structure,
    /// Two parts of the pack contradict each other: a warning, or an error
    /// when [`ReadOptions::references_are_errors`](crate::ReadOptions) is set.
    Reference,
    /// Allowed, but probably not what the author meant: always a warning.
    Advice,
    /// A remark.
    Note,
}

macro_rules! codes {
    ($($class:ident { $($(#[$doc:meta])+ $name:ident = $text:literal,)+ })+) => {
        /// What kind of fault a [`Finding`] is; written in kebab case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($($(#[$doc])+ $name,)+)+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)+)+];

            /// The code as it is printed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$name => $text,)+)+ }
            }

            pub(crate) const fn class(self) -> Class {
                match self { $($(Self::$name => Class::$class,)+)+ }
            }
        }
    };
}

codes! {
    Structure {
        /// The input is longer than [`ReadOptions::max_bytes`](crate::ReadOptions).
        InputTooLarge = "input-too-large",
        /// The input begins with a byte-order mark.
        ByteOrderMark = "byte-order-mark",
        /// The input is not UTF-8.
        InvalidUtf8 = "invalid-utf8",
        /// The input is not JSON.
        InvalidJson = "invalid-json",
        /// Arrays and objects are nested deeper than [`ReadOptions::max_depth`](crate::ReadOptions).
        TooDeep = "too-deep",
        /// The input holds more values than [`MAX_VALUES`](crate::MAX_VALUES).
        TooManyValues = "too-many-values",
        /// An object has the same key twice.
        DuplicateKey = "duplicate-key",
        /// A value has the wrong JSON type.
        WrongType = "wrong-type",
        /// A required field is absent.
        MissingField = "missing-field",
        /// A closed object has a key that no version defines (a warning in lenient mode).
        UnknownKey = "unknown-key",
        /// A text does not have the form that its field demands.
        BadForm = "bad-form",
        /// A number is outside its range.
        OutOfRange = "out-of-range",
        /// A text is not one of the allowed values.
        NotAllowed = "not-allowed",
        /// A text, list or map is empty and may not be.
        Empty = "empty",
        /// A text is longer than its field allows.
        TooLong = "too-long",
        /// A feature is newer than [`ReadOptions::max_version`](crate::ReadOptions).
        VersionTooNew = "version-too-new",
    }
    Reference {
        /// A tool name is not in the pack's `tools`.
        UnknownTool = "unknown-tool",
        /// A template names a fragment that does not exist.
        UnknownFragment = "unknown-fragment",
        /// Fragments include each other in a circle.
        FragmentCycle = "fragment-cycle",
        /// Fragments nest too deep or expand to too much text.
        FragmentTooLarge = "fragment-too-large",
        /// A template uses a variable that its prompt does not declare.
        UndeclaredVariable = "undeclared-variable",
        /// A prompt key does not exist.
        UnknownPrompt = "unknown-prompt",
        /// A workflow state does not exist.
        UnknownState = "unknown-state",
        /// An artifact is used that no workflow state declares.
        UnknownArtifact = "unknown-artifact",
        /// A composition does not exist.
        UnknownComposition = "unknown-composition",
        /// A composition step does not exist.
        UnknownStep = "unknown-step",
        /// A `${...}` reference cannot be resolved.
        BadReference = "bad-reference",
        /// An evaluation id does not exist.
        UnknownEval = "unknown-eval",
        /// A validator id does not exist.
        UnknownValidator = "unknown-validator",
        /// An agent entry is not a member.
        UnknownAgent = "unknown-agent",
        /// A provider key is not among the pack's required providers.
        UnknownProvider = "unknown-provider",
        /// Steps of a composition wait for each other.
        StepCycle = "step-cycle",
        /// The states that `on_max_visits` leads to never end.
        VisitCycle = "visit-cycle",
        /// A name is used twice where names must differ.
        DuplicateName = "duplicate-name",
        /// A name is reserved by the specification.
        ReservedName = "reserved-name",
        /// A lower bound is above its upper bound.
        MinAboveMax = "min-above-max",
        /// A regular expression cannot be used.
        InvalidPattern = "invalid-pattern",
        /// A default breaks the type or the rules of its own variable.
        BadDefault = "bad-default",
        /// Something is used that needs another part of the pack, which is absent.
        MissingPart = "missing-part",
        /// Two fields contradict each other.
        Contradiction = "contradiction",
    }
    Advice {
        /// A required variable has a default, so it can never be missing.
        RequiredWithDefault = "required-with-default",
        /// The key of an entry differs from the name inside it.
        KeyDiffers = "key-differs",
        /// Fragments are written in more than one style.
        MixedFragmentStyles = "mixed-fragment-styles",
        /// Text in double braces is no placeholder and stays as it is.
        NotAPlaceholder = "not-a-placeholder",
        /// `template_engine` asks for something that has no defined grammar.
        UnknownSyntax = "unknown-syntax",
        /// A model override replaces the template by nothing and is ignored.
        EmptyOverride = "empty-override",
        /// A field has no effect any more.
        Deprecated = "deprecated",
        /// A key is allowed here but nothing reads it.
        IgnoredKey = "ignored-key",
        /// A type name that no runtime is known to understand.
        UnknownKind = "unknown-kind",
        /// A validator lacks the parameters that its type needs.
        ValidatorParams = "validator-params",
        /// A date, time or address does not have its usual form.
        BadFormat = "bad-format",
        /// A workflow state can never be left or never be reached.
        StateFlow = "state-flow",
        /// A check was cut short because the pack is too large for it.
        CheckLimit = "check-limit",
    }
    Note {
        /// A name does not follow the specification's convention.
        Convention = "convention",
        /// A field has no effect beside the others.
        NoEffect = "no-effect",
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of fault it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is: a JSON pointer (RFC 6901); the empty pointer is the whole file.
    pub pointer: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What would have been right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The nearest name that exists ("did you mean").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl fmt::Display for Finding {
    /// One line: `error missing-field at /prompts/a: ...`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the top" } else { &self.pointer };
        write!(formatter, "{} {} at {place}: {}", self.severity, self.code, self.message)?;
        if let Some(expected) = &self.expected {
            write!(formatter, "; expected {expected}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(formatter, "; did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}
