//! What outlives a turn.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    event::{LoggedEvent, StopReason},
    failure::{Failure, FailureCode},
    identity::{RunId, SessionId},
    message::Message,
    owner::Owner,
    usage::Usage,
};

/// What outlives a turn: sessions, their messages, runs, their events and what they used.
///
/// Ownership is part of every key: there is no read without an owner, and what belongs to
/// another is answered like what does not exist. A call that returns `Ok` after a write is
/// durable against the death of the process. An expired session does not exist.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a session.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where the owner has a session of that name.
    async fn create_session(&self, session: Session) -> Result<(), StoreError>;

    /// A session, if the owner has one of that name. Does not prolong its life.
    async fn session(&self, owner: &Owner, id: &SessionId) -> Result<Option<Session>, StoreError>;

    /// The owner's sessions, the last used first: at most `limit` of those last used before
    /// the one named by `after`.
    async fn sessions(
        &self,
        owner: &Owner,
        limit: usize,
        after: Option<&SessionId>,
    ) -> Result<Vec<Session>, StoreError>;

    /// Deletes a session with its messages, runs and events. False where there was none.
    async fn delete_session(&self, owner: &Owner, id: &SessionId) -> Result<bool, StoreError>;

    /// The session's last `limit` messages, oldest first; empty where there is no such session.
    async fn messages(
        &self,
        owner: &Owner,
        id: &SessionId,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError>;

    /// Records a run that has begun and whose name its caller knows, so that it is found again,
    /// as interrupted, should the process die in the middle.
    async fn begin_run(&self, run: &RunRecord) -> Result<(), StoreError>;

    /// Records a finished turn in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] where the session was deleted meanwhile; nothing is written.
    async fn finish_turn(&self, turn: TurnRecord) -> Result<(), StoreError>;

    /// A run, if the owner has one of that name.
    async fn run(&self, owner: &Owner, id: RunId) -> Result<Option<RunRecord>, StoreError>;

    /// The run's events after the one with id `after` (0 for all). Empty for a run whose events
    /// are not kept.
    async fn run_events(
        &self,
        owner: &Owner,
        id: RunId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, StoreError>;

    /// Deletes what has expired by `now`; tells how many sessions that were.
    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Whether the store can be read and written at this moment.
    async fn ready(&self) -> Result<(), StoreError>;
}

/// A conversation that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its name, unique within the owner.
    pub id: SessionId,
    /// Whose it is.
    pub owner: Owner,
    /// The agent it began with, as `pack/prompt`.
    pub agent: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a turn last ended in it.
    pub updated_at: Timestamp,
    /// When it ceases to exist unless used before; none for never.
    pub expires_at: Option<Timestamp>,
    /// The caller's own words about it.
    pub metadata: BTreeMap<String, String>,
    /// How many messages it holds. Kept by the store; ignored when a session is made.
    pub message_count: u64,
}

/// A message with its place in a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// 1 for the first of the session, then one more each.
    pub sequence: u64,
    /// The run that wrote it.
    pub run_id: RunId,
    /// When it was written.
    pub created_at: Timestamp,
    /// The message.
    #[serde(flatten)]
    pub message: Message,
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its name.
    pub id: RunId,
    /// Whose it is.
    pub owner: Owner,
    /// The session it belongs to, where the conversation is kept.
    pub session_id: Option<SessionId>,
    /// The agent, as `pack/prompt`.
    pub agent: String,
    /// The version of the pack that ran.
    pub pack_version: String,
    /// SHA-256 of the pack's bytes, in hexadecimal.
    pub pack_digest: String,
    /// Provider and model that answered, as `provider/model`.
    pub model: String,
    /// How it stands.
    pub status: RunStatus,
    /// Why it ended well, if it did.
    pub stop_reason: Option<StopReason>,
    /// Why it ended badly, if it did: code and public message.
    pub failure: Option<(FailureCode, String)>,
    /// What it used.
    pub usage: Usage,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting for the session, or at work.
    Running,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Cancelled.
    Cancelled,
    /// The process died in the middle of it.
    Interrupted,
}

/// A finished turn.
#[derive(Clone, Debug)]
pub struct TurnRecord {
    /// The run.
    pub run: RunRecord,
    /// What becomes of the session; none where the conversation is not kept.
    pub session: Option<SessionChange>,
    /// The messages that the turn adds to the session, in order. Empty without a session.
    pub messages: Vec<Message>,
    /// The run's events. Empty where the conversation is not kept: a caller who wants nothing
    /// remembered leaves only the fact and the use of the run behind.
    pub events: Vec<Arc<LoggedEvent>>,
}

/// What a turn does to its session.
#[derive(Clone, Debug)]
pub struct SessionChange {
    /// The session. Its `updated_at` and `expires_at` are the new ones. Unless the turn makes it,
    /// it is the one that was made at `created_at`: what was deleted meanwhile and made anew
    /// under the same name is another, and the turn fails with [`StoreError::NoSession`].
    pub session: Session,
    /// Whether the turn makes the session, where there is none yet.
    pub create: bool,
}

/// When a session expires that is used now.
pub fn expiry(now: Timestamp, time_to_live: Option<Duration>) -> Option<Timestamp> {
    let time_to_live = jiff::SignedDuration::try_from(time_to_live?).ok()?;
    now.checked_add(time_to_live).ok()
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A session of that name exists.
    #[error("a session of that name exists")]
    Exists,
    /// The session was deleted or has expired.
    #[error("the session does not exist any more")]
    NoSession,
    /// No room.
    #[error("the disk or its quota is full: {0}")]
    Full(String),
    /// Somebody else holds it for too long.
    #[error("the database is locked: {0}")]
    Locked(String),
    /// The file is not what it should be.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Other(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists => Self::new(
                FailureCode::SessionExists,
                "a session of that name exists; choose another or leave the id out",
            )
            .param("id"),
            StoreError::NoSession => {
                Self::new(FailureCode::UnknownSession, "there is no such session")
            }
            other => Self::new(
                FailureCode::StoreUnavailable,
                "the server cannot store the conversation at the moment; try again later",
            )
            .detail(other),
        }
    }
}
