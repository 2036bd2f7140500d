//! The versions of the PromptPack specification.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A published version of the PromptPack specification.
///
/// A pack never says which version it needs (`$schema` is always the latest
/// address), so the version is inferred from the features that the pack uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SpecVersion {
    /// The base format.
    #[default]
    V1_0,
    /// Media configuration, open variable and validator types, bindings.
    V1_1,
    /// Evaluations.
    V1_2,
    /// Workflow and agents.
    V1_3,
    /// Skills.
    V1_3_1,
    /// Terminal states, visit limits, artifacts and budgets (RFC 0009).
    V1_4,
    /// Agents that run a workflow state (RFC 0011).
    V1_4_1,
    /// Compositions (RFC 0010).
    V1_5,
    /// Required providers (RFC 0012).
    V1_5_1,
    /// Governance and action scopes (RFC 0013).
    V1_6,
    /// Agent-controlled states, validators that always enforce (RFC 0014, 0015).
    V1_7,
    /// Governance obligations and reviews, extensions (RFC 0016).
    V1_8,
    /// Provider selection and extension steps (RFC 0017).
    V1_9,
}

impl SpecVersion {
    /// Every known version, oldest first.
    pub const ALL: [Self; 13] = [
        Self::V1_0,
        Self::V1_1,
        Self::V1_2,
        Self::V1_3,
        Self::V1_3_1,
        Self::V1_4,
        Self::V1_4_1,
        Self::V1_5,
        Self::V1_5_1,
        Self::V1_6,
        Self::V1_7,
        Self::V1_8,
        Self::V1_9,
    ];

    /// The newest version that this library reads.
    pub const NEWEST: Self = Self::V1_9;

    /// The version as it is written, without trailing zeros: `1.4`, `1.3.1`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
            Self::V1_3_1 => "1.3.1",
            Self::V1_4 => "1.4",
            Self::V1_4_1 => "1.4.1",
            Self::V1_5 => "1.5",
            Self::V1_5_1 => "1.5.1",
            Self::V1_6 => "1.6",
            Self::V1_7 => "1.7",
            Self::V1_8 => "1.8",
            Self::V1_9 => "1.9",
        }
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for SpecVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The text is not a version of the PromptPack specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a PromptPack specification version; known versions are 1.0 to 1.9")]
pub struct UnknownSpecVersion(String);

impl FromStr for SpecVersion {
    type Err = UnknownSpecVersion;

    /// Reads `1.4`, `1.4.0` and `v1.4`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|version| {
                bare == version.as_str() || bare.strip_suffix(".0") == Some(version.as_str())
            })
            .ok_or_else(|| UnknownSpecVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_back_as_they_are_written() {
        for version in SpecVersion::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert_eq!("v1.4.0".parse(), Ok(SpecVersion::V1_4));
        assert_eq!("1.0".parse(), Ok(SpecVersion::V1_0));
        assert!("2.0".parse::<SpecVersion>().is_err());
        assert!("1".parse::<SpecVersion>().is_err());
    }

    #[test]
    fn versions_are_ordered() {
        assert!(SpecVersion::ALL.is_sorted());
        assert!(SpecVersion::V1_3_1 < SpecVersion::V1_4);
    }
}
