//! Names of runs and sessions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// The name of one run: a version 7 UUID (RFC 9562), so that runs sort by the time they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// A name nobody has had yet.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for RunId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for RunId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self).map_err(|_| IdentityError::Run)
    }
}

/// The name of one session, chosen by the client or made here.
///
/// 1 to 128 printable ASCII characters without spaces or slashes: it travels in URLs, metadata
/// and logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// The longest name taken, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// A name nobody has had yet (a version 4 UUID: 122 random bits, nothing to guess from).
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for SessionId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(IdentityError::Session) }
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A name that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a UUID.
    #[error("a run id is a UUID such as 0190b6f0-8d3a-7c1e-9f4e-2b1c5d6e7f80")]
    Run,
    /// Empty, too long, or with characters that do not travel well.
    #[error("a session id is 1 to 128 printable ASCII characters without spaces or slashes")]
    Session,
}
