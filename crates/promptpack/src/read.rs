//! Reading a pack: bytes in, a pack and findings out.

use serde::Serialize;

use crate::decode::Decoder;
use crate::finding::{Finding, Severity};
use crate::{FragmentStyle, Pack, SpecVersion, check, json};

/// What to do about keys that no version defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They are errors.
    #[default]
    Strict,
    /// They are warnings, and kept in [`Pack::unknown`].
    Lenient,
}

/// How a pack is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// What to do about unknown keys.
    pub mode: Mode,
    /// Whether parts of the pack that contradict each other (an unknown tool,
    /// a fragment cycle, a default outside its own range) are errors instead
    /// of warnings.
    pub references_are_errors: bool,
    /// Longest input, in bytes.
    pub max_bytes: usize,
    /// Deepest nesting of arrays and objects; more than 127 counts as 127.
    pub max_depth: usize,
    /// The newest version of the specification whose features are accepted.
    pub max_version: Option<SpecVersion>,
}

impl Default for ReadOptions {
    /// Strict, contradictions are warnings, 8 MiB, 64 levels, every version.
    fn default() -> Self {
        Self {
            mode: Mode::Strict,
            references_are_errors: false,
            max_bytes: 8 << 20,
            max_depth: 64,
            max_version: None,
        }
    }
}

/// What reading a pack gave.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// The pack; there is one exactly when no finding is an error.
    pub pack: Option<Pack>,
    /// Everything found, in the order of the checks.
    pub findings: Vec<Finding>,
    /// The oldest version of the specification that has every feature used.
    pub needs: SpecVersion,
    /// Where the feature is that needs this version; none for 1.0.
    pub needs_pointer: Option<String>,
    /// The ways in which the pack's templates name fragments; no other
    /// implementation reads more than one of them.
    pub fragment_styles: Vec<FragmentStyle>,
}

impl Report {
    /// Whether the pack can be used: no finding is an error.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.pack.is_some()
    }

    /// How many findings have the severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Reads and checks a pack. Nothing but `bytes` is looked at.
#[must_use]
pub fn read(bytes: &[u8], options: &ReadOptions) -> Report {
    let tree = match json::parse(bytes, options.max_bytes, options.max_depth) {
        Ok(tree) => tree,
        Err(error) => {
            let finding = Finding {
                code: error.code,
                severity: Severity::Error,
                pointer: error.pointer,
                message: error.message,
                expected: error.expected,
                suggestion: None,
            };
            return Report { findings: vec![finding], ..Report::default() };
        }
    };
    let mut decoder = Decoder::new(options);
    if tree.has_duplicates {
        // What the rest means depends on which of the two values is meant.
        let (mut findings, ..) = decoder.finish();
        json::report_duplicates(&tree.root, &mut findings);
        return Report { findings: findings.into_vec(), ..Report::default() };
    }
    let pack = Pack::decode(&mut decoder, &tree.root);
    let complete = decoder.is_complete();
    let (mut findings, needs, needs_pointer) = decoder.finish();
    // An item that could not be read shifts those after it, and a check could
    // no longer point to them.
    let fragment_styles = match &pack {
        Some(pack) if complete => check::run(pack, &mut findings),
        _ => Vec::new(),
    };
    let findings = findings.into_vec();
    let usable = findings.iter().all(|finding| finding.severity < Severity::Error);
    Report { pack: pack.filter(|_| usable), findings, needs, needs_pointer, fragment_styles }
}
