//! How values become columns and back.

use bartizan_engine::{
    event::{LoggedEvent, StopReason},
    failure::FailureCode,
    identity::{RunId, SessionId},
    message::{Message, Part, Role},
    owner::Owner,
    ports::store::{
        RunRecord, RunStatus, Session, SessionChange, StoreError, StoredMessage, TurnRecord,
    },
    usage::Usage,
};
use jiff::Timestamp;
use rusqlite::{Row, types::FromSql};
use serde::{Serialize, de::DeserializeOwned};

use super::{error::store_error, log};
use crate::rule::{self, timestamp};

/// A finished turn, encoded.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) run: Run,
    pub(super) session: Option<SessionChange>,
    pub(super) messages: Vec<EncodedMessage>,
    /// When the messages were written.
    pub(super) written_at: i64,
    /// The present, for what has expired.
    pub(super) now: i64,
}

/// A run, encoded.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) record: RunRecord,
    pub(super) id: String,
    /// Whether the run wrote messages and lives as long as they, or for a set time.
    pub(super) kept: bool,
    pub(super) stop_reason: Option<String>,
    pub(super) events: Option<String>,
}

/// A message, encoded.
#[derive(Debug)]
pub(super) struct EncodedMessage {
    pub(super) role: &'static str,
    pub(super) complete: bool,
    pub(super) parts: String,
}

impl Turn {
    pub(super) fn encode(turn: TurnRecord, now: Timestamp) -> Result<Self, StoreError> {
        rule::well_formed(&turn)?;
        let written_at = rule::micros(rule::written_at(&turn, now));
        // Without a session there is nothing that could hold messages.
        let messages = if turn.session.is_some() { turn.messages } else { Vec::new() };
        let messages: Vec<_> =
            messages.iter().map(EncodedMessage::encode).collect::<Result<_, _>>()?;
        let events = match turn.events.as_slice() {
            [] => None,
            events => Some(log::encode(events)?),
        };
        let run = Run { kept: !messages.is_empty(), events, ..Run::encode(turn.run)? };
        Ok(Self { run, session: turn.session, messages, written_at, now: rule::micros(now) })
    }
}

impl Turn {
    /// How much there is to write, but for the small columns.
    pub(super) fn bytes(&self) -> usize {
        let messages = self.messages.iter().map(|message| message.parts.len());
        messages.sum::<usize>() + self.run.events.as_ref().map_or(0, String::len)
    }
}

impl Run {
    /// A run that has begun.
    pub(super) fn begun(record: &RunRecord) -> Result<Self, StoreError> {
        Self::encode(record.clone())
    }

    fn encode(record: RunRecord) -> Result<Self, StoreError> {
        let stop_reason =
            record.stop_reason.as_ref().map(|reason| encode("stop_reason", reason)).transpose()?;
        Ok(Self { id: record.id.to_string(), record, kept: false, stop_reason, events: None })
    }
}

impl EncodedMessage {
    fn encode(message: &Message) -> Result<Self, StoreError> {
        Ok(Self {
            role: role_name(message.role),
            complete: message.complete,
            parts: encode("parts", &message.parts)?,
        })
    }
}

/// A count as SQLite can hold it; what no provider ever counted to becomes the most it can.
pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn status_name(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Completed => "completed",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
        RunStatus::Interrupted => "interrupted",
    }
}

fn status(name: &str) -> Option<RunStatus> {
    Some(match name {
        "running" => RunStatus::Running,
        "completed" => RunStatus::Completed,
        "failed" => RunStatus::Failed,
        "cancelled" => RunStatus::Cancelled,
        "interrupted" => RunStatus::Interrupted,
        _ => return None,
    })
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn role(name: &str) -> Option<Role> {
    Some(match name {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return None,
    })
}

/// From the columns of the `SELECT`s in `read`, in their order.
pub(super) fn session(row: &Row<'_>, owner: &Owner) -> Result<Session, StoreError> {
    Ok(Session {
        id: session_id(text(row, 0)?)?,
        owner: owner.clone(),
        agent: get(row, 1)?,
        created_at: timestamp(get(row, 2)?),
        updated_at: timestamp(get(row, 3)?),
        expires_at: get::<Option<i64>>(row, 4)?.map(timestamp),
        metadata: decode("metadata", text(row, 5)?)?,
        message_count: number(row, 6)?,
    })
}

/// From the columns of the `SELECT`s in `read`, in their order.
pub(super) fn message(row: &Row<'_>) -> Result<StoredMessage, StoreError> {
    Ok(StoredMessage {
        sequence: number(row, 0)?,
        run_id: run_id(text(row, 1)?)?,
        created_at: timestamp(get(row, 2)?),
        message: Message {
            role: role(text(row, 3)?).ok_or_else(|| strange("role"))?,
            complete: get(row, 4)?,
            parts: decode::<Vec<Part>>("parts", text(row, 5)?)?,
        },
    })
}

/// From the columns of the `SELECT`s in `read`, in their order.
pub(super) fn run(row: &Row<'_>, owner: &Owner) -> Result<RunRecord, StoreError> {
    let failure_code: Option<String> = get(row, 8)?;
    let failure_message: Option<String> = get(row, 9)?;
    Ok(RunRecord {
        id: run_id(text(row, 0)?)?,
        owner: owner.clone(),
        session_id: get::<Option<String>>(row, 1)?.map(|id| session_id(&id)).transpose()?,
        agent: get(row, 2)?,
        pack_version: get(row, 3)?,
        pack_digest: get(row, 4)?,
        model: get(row, 5)?,
        status: status(text(row, 6)?).ok_or_else(|| strange("status"))?,
        stop_reason: get::<Option<String>>(row, 7)?
            .map(|reason| decode::<StopReason>("stop_reason", &reason))
            .transpose()?,
        failure: failure_code.zip(failure_message).map(|(code, message)| {
            // A code that this release does not know is still a failure.
            let code = serde_json::from_value::<FailureCode>(code.into());
            (code.unwrap_or(FailureCode::Internal), message)
        }),
        usage: Usage {
            input_tokens: number(row, 10)?,
            output_tokens: number(row, 11)?,
            cached_tokens: number(row, 12)?,
            reasoning_tokens: number(row, 13)?,
            cost_usd: get(row, 14)?,
        },
        started_at: timestamp(get(row, 15)?),
        finished_at: get::<Option<i64>>(row, 16)?.map(timestamp),
    })
}

/// The events of a run after the one with id `after`.
pub(super) fn events(row: &Row<'_>, after: u64) -> Result<Vec<LoggedEvent>, StoreError> {
    match get::<Option<String>>(row, 0)? {
        None => Ok(Vec::new()),
        Some(text) => log::decode(&text, after),
    }
}

/// A value as JSON.
pub(super) fn encode<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Other(format!("{what} cannot be written as JSON: {error}")))
}

/// A value from JSON. The error tells the place and not the text: that is people's words.
pub(super) fn decode<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| {
        StoreError::Damaged(format!("a stored {what} does not read at column {}", error.column()))
    })
}

fn get<T: FromSql>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    row.get(column).map_err(store_error)
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str, StoreError> {
    let value = row.get_ref(column).map_err(store_error)?;
    value.as_str().map_err(|error| store_error(error.into()))
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| strange("number"))
}

fn run_id(text: &str) -> Result<RunId, StoreError> {
    text.parse().map_err(|_| strange("run id"))
}

fn session_id(text: &str) -> Result<SessionId, StoreError> {
    text.parse().map_err(|_| strange("session id"))
}

fn strange(what: &str) -> StoreError {
    StoreError::Damaged(format!("a stored {what} is none"))
}
