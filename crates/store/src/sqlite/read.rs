//! Every statement that reads.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use bartizan_engine::{
    event::LoggedEvent,
    identity::{RunId, SessionId},
    owner::Owner,
    ports::store::{RunRecord, Session, StoreError, StoredMessage},
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{error::store_error, row};

/// The connections that read.
#[derive(Debug)]
pub(super) struct Readers {
    /// For what a turn reads.
    first: Mutex<Connection>,
    others: Vec<Mutex<Connection>>,
    /// For what may be much, so that a turn never waits behind it.
    large: Mutex<Connection>,
}

impl Readers {
    pub(super) fn new(first: Connection, others: Vec<Connection>, large: Connection) -> Self {
        let others = others.into_iter().map(Mutex::new).collect();
        Self { first: Mutex::new(first), others, large: Mutex::new(large) }
    }

    /// Reads a few rows, on the caller's own thread.
    ///
    /// Measured on two cores, the last messages of a short session cost 20 µs of CPU this way
    /// and 60 µs by way of a blocking thread, most of it for waking threads up. Readers of a
    /// write-ahead log wait for nobody, and what a turn reads was written a short while ago and
    /// is in memory.
    pub(super) fn here<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for connection in std::iter::once(&self.first).chain(&self.others) {
            match connection.try_lock() {
                Ok(connection) => return read(&connection),
                Err(TryLockError::Poisoned(poisoned)) => return read(&poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        // All are at work: wait for any of them, which is as good as another.
        read(&self.first.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what may be much, on a thread where it holds nobody up.
    pub(super) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            read(&readers.large.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|error| StoreError::Other(format!("a read did not finish: {error}")))?
    }
}

pub(super) fn session(
    connection: &Connection,
    owner: &Owner,
    id: &SessionId,
    now: i64,
) -> Result<Option<Session>, StoreError> {
    one(
        connection,
        "SELECT id, agent, created_at, updated_at, expires_at, metadata, message_count
         FROM sessions
         WHERE tenant = ?1 AND subject = ?2 AND id = ?3
             AND (expires_at IS NULL OR expires_at > ?4)",
        params![owner.tenant, owner.subject, id.as_str(), now],
        |row| row::session(row, owner),
    )
}

pub(super) fn sessions(
    connection: &Connection,
    owner: &Owner,
    limit: usize,
    after: Option<&SessionId>,
    now: i64,
) -> Result<Vec<Session>, StoreError> {
    let (used, name) = match after {
        None => (i64::MAX, String::new()),
        Some(id) => match session(connection, owner, id, now)? {
            Some(session) => (crate::rule::micros(session.updated_at), id.to_string()),
            None => return Ok(Vec::new()),
        },
    };
    all(
        connection,
        "SELECT id, agent, created_at, updated_at, expires_at, metadata, message_count
         FROM sessions
         WHERE tenant = ?1 AND subject = ?2 AND (expires_at IS NULL OR expires_at > ?3)
             AND (updated_at, id) < (?4, ?5)
         ORDER BY updated_at DESC, id DESC LIMIT ?6",
        params![owner.tenant, owner.subject, now, used, name, most(limit)],
        |row| row::session(row, owner),
    )
}

pub(super) fn messages(
    connection: &Connection,
    owner: &Owner,
    id: &SessionId,
    limit: usize,
    now: i64,
) -> Result<Vec<StoredMessage>, StoreError> {
    let mut messages = all(
        connection,
        "SELECT sequence, run_id, created_at, role, complete, parts
         FROM messages
         WHERE tenant = ?1 AND subject = ?2 AND session_id = ?3 AND EXISTS (
             SELECT 1 FROM sessions WHERE tenant = ?1 AND subject = ?2 AND id = ?3
                 AND (expires_at IS NULL OR expires_at > ?4))
         ORDER BY sequence DESC LIMIT ?5",
        params![owner.tenant, owner.subject, id.as_str(), now, most(limit)],
        row::message,
    )?;
    messages.reverse();
    Ok(messages)
}

/// A run of a session that has expired is gone with it.
pub(super) fn run(
    connection: &Connection,
    owner: &Owner,
    id: RunId,
    now: i64,
) -> Result<Option<RunRecord>, StoreError> {
    one(
        connection,
        "SELECT id, session_id, agent, pack_version, pack_digest, model, status, stop_reason,
             failure_code, failure_message, input_tokens, output_tokens, cached_tokens,
             reasoning_tokens, cost_usd, started_at, finished_at
         FROM runs
         WHERE tenant = ?1 AND subject = ?2 AND id = ?3 AND NOT EXISTS (
             SELECT 1 FROM sessions WHERE sessions.tenant = ?1 AND sessions.subject = ?2
                 AND sessions.id = runs.session_id AND sessions.expires_at <= ?4)",
        params![owner.tenant, owner.subject, id.to_string(), now],
        |row| row::run(row, owner),
    )
}

pub(super) fn run_events(
    connection: &Connection,
    owner: &Owner,
    id: RunId,
    after: u64,
    now: i64,
) -> Result<Vec<LoggedEvent>, StoreError> {
    let events = one(
        connection,
        "SELECT events
         FROM runs
         WHERE tenant = ?1 AND subject = ?2 AND id = ?3 AND NOT EXISTS (
             SELECT 1 FROM sessions WHERE sessions.tenant = ?1 AND sessions.subject = ?2
                 AND sessions.id = runs.session_id AND sessions.expires_at <= ?4)",
        params![owner.tenant, owner.subject, id.to_string(), now],
        |row| row::events(row, after),
    )?;
    Ok(events.unwrap_or_default())
}

/// Whether every page of the file is what it should be. Reads all of it.
pub(super) fn sound(connection: &Connection) -> Result<(), StoreError> {
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(store_error)?;
    // What is wrong is about pages and cells, and the log says as much already.
    if found == "ok" { Ok(()) } else { Err(StoreError::Damaged("its pages do not fit".into())) }
}

/// Whether the probe's row can be read.
pub(super) fn probe(connection: &Connection) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT length(filling) FROM probe").map_err(store_error)?;
    let length: Option<i64> =
        statement.query_row([], |row| row.get(0)).optional().map_err(store_error)?;
    Ok(length.is_some_and(|length| length > 0))
}

fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    decode: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
    let mut rows = statement.query(params).map_err(store_error)?;
    rows.next().map_err(store_error)?.map(decode).transpose()
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    decode: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
    let mut rows = statement.query(params).map_err(store_error)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(store_error)? {
        found.push(decode(row)?);
    }
    Ok(found)
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
