//! Every statement that writes.
//!
//! Nothing here begins or ends a transaction but [`interrupt_runs`]; the writer does.

use bartizan_engine::{
    identity::SessionId,
    owner::Owner,
    ports::store::{Session, SessionChange, StoreError},
};
use rusqlite::{Connection, OptionalExtension, Params, TransactionBehavior, named_params, params};

use super::{
    error::store_error,
    row::{EncodedMessage, Run, Turn, count, encode, status_name},
};
use crate::rule::micros;

/// Four pages: about what a turn takes.
const FILL_PROBE: &str = "INSERT OR REPLACE INTO probe (one, filling) VALUES (1, zeroblob(16000))";

const CLEAR_PROBE: &str = "DELETE FROM probe";

/// Something to write. `now` decides what has expired.
#[derive(Debug)]
pub(super) enum Write {
    /// Makes a session.
    CreateSession { session: Session, now: i64 },
    /// Deletes a session.
    DeleteSession { owner: Owner, id: SessionId, now: i64 },
    /// Records a run that has begun.
    BeginRun(Box<Run>),
    /// Records a turn that has ended.
    FinishTurn(Box<Turn>),
    /// Looks at up to `limit` sessions whose time may have come and deletes those expired.
    SweepSessions { now: i64, limit: u64 },
    /// Deletes up to `limit` runs that no session holds and that ended by then.
    SweepRuns { ended_by: i64, limit: u64 },
    /// Writes the probe's row.
    FillProbe,
    /// Takes it away.
    ClearProbe,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// How many of the things that the write is about: sessions or runs.
    pub(super) rows: u64,
    /// Whether a sweep stopped at its limit.
    pub(super) more: bool,
}

/// Bytes of messages and events that are written in the time it takes to wake a thread.
const SMALL: usize = 64 << 10;

impl Write {
    /// Whether it is sure to take no longer than to hand it to another thread.
    pub(super) fn is_small(&self) -> bool {
        match self {
            Self::CreateSession { .. } | Self::BeginRun(_) => true,
            Self::FinishTurn(turn) => turn.bytes() <= SMALL,
            // Take as long as what they find is large.
            Self::DeleteSession { .. } | Self::SweepSessions { .. } | Self::SweepRuns { .. } => {
                false
            }
            Self::FillProbe | Self::ClearProbe => false,
        }
    }

    /// Writes, within a transaction that is open.
    pub(super) fn apply(&self, connection: &Connection) -> Result<Written, StoreError> {
        let rows = |rows| Written { rows, more: false };
        match self {
            Self::CreateSession { session, now } => {
                make_session(connection, session, 0, *now).map(|()| rows(1))
            }
            Self::DeleteSession { owner, id, now } => {
                delete_session(connection, owner, id, *now).map(rows)
            }
            Self::BeginRun(run) => begin_run(connection, run).map(rows),
            Self::FinishTurn(turn) => finish_turn(connection, turn).map(|()| rows(1)),
            Self::SweepSessions { now, limit } => sweep_sessions(connection, *now, *limit),
            Self::SweepRuns { ended_by, limit } => execute(
                connection,
                "DELETE FROM runs WHERE (tenant, subject, id) IN (
                     SELECT tenant, subject, id FROM runs
                     WHERE kept = 0 AND finished_at IS NOT NULL AND finished_at <= ?1 LIMIT ?2)",
                params![ended_by, count(*limit)],
            )
            .map(|rows| Written { rows, more: rows >= *limit }),
            Self::FillProbe => execute(connection, FILL_PROBE, []).map(rows),
            Self::ClearProbe => execute(connection, CLEAR_PROBE, []).map(rows),
        }
    }
}

/// Marks runs whose process died.
pub(super) fn interrupt_runs(connection: &mut Connection, now: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let runs = transaction.execute(
        "UPDATE runs SET status = 'interrupted', finished_at = ?1 WHERE status = 'running'",
        [now],
    )?;
    // Always a write, so that the write-ahead log is there from here on. The row may be left
    // over from a process that died while probing.
    transaction.execute(FILL_PROBE, [])?;
    transaction.execute(CLEAR_PROBE, [])?;
    transaction.commit()?;
    if runs > 0 {
        tracing::warn!(runs, "runs were interrupted when the process before this one ended");
    }
    Ok(())
}

/// Makes a session with that many messages. One of the same name that has expired makes room.
fn make_session(
    connection: &Connection,
    session: &Session,
    messages: usize,
    now: i64,
) -> Result<(), StoreError> {
    delete_expired(connection, &session.owner, &session.id, now)?;
    let made = execute(
        connection,
        "INSERT INTO sessions (tenant, subject, id, agent, created_at, updated_at, expires_at,
             look_at, metadata, message_count)
         VALUES (:tenant, :subject, :id, :agent, :created_at, :updated_at, :expires_at,
             :expires_at, :metadata, :message_count)
         ON CONFLICT DO NOTHING",
        named_params! {
            ":tenant": session.owner.tenant,
            ":subject": session.owner.subject,
            ":id": session.id.as_str(),
            ":agent": session.agent,
            ":created_at": micros(session.created_at),
            ":updated_at": micros(session.updated_at),
            ":expires_at": session.expires_at.map(micros),
            ":metadata": encode("metadata", &session.metadata)?,
            ":message_count": sequence(messages),
        },
    )?;
    if made == 0 { Err(StoreError::Exists) } else { Ok(()) }
}

fn delete_session(
    connection: &Connection,
    owner: &Owner,
    id: &SessionId,
    now: i64,
) -> Result<u64, StoreError> {
    // An expired session goes as well, but was not there.
    delete_expired(connection, owner, id, now)?;
    purge(connection, &owner.tenant, &owner.subject, id.as_str())
}

fn delete_expired(
    connection: &Connection,
    owner: &Owner,
    id: &SessionId,
    now: i64,
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT 1 FROM sessions
             WHERE tenant = ?1 AND subject = ?2 AND id = ?3 AND expires_at <= ?4",
        )
        .map_err(store_error)?;
    let expired = statement
        .exists(params![owner.tenant, owner.subject, id.as_str(), now])
        .map_err(store_error)?;
    if expired {
        purge(connection, &owner.tenant, &owner.subject, id.as_str())?;
    }
    Ok(())
}

/// The one way in which sessions go: with their runs and events, and (by the foreign key) their
/// messages. 1 where there was one.
fn purge(
    connection: &Connection,
    tenant: &str,
    subject: &str,
    id: &str,
) -> Result<u64, StoreError> {
    let key = [tenant, subject, id];
    let mut statement = connection
        .prepare_cached("SELECT 1 FROM sessions WHERE tenant = ?1 AND subject = ?2 AND id = ?3")
        .map_err(store_error)?;
    if !statement.exists(key).map_err(store_error)? {
        return Ok(0);
    }
    // Runs that wrote messages are found through these, the others by their own index: an index
    // over all would cost every turn one more page.
    execute(
        connection,
        "DELETE FROM runs WHERE tenant = ?1 AND subject = ?2 AND session_id = ?3 AND id IN (
             SELECT run_id FROM messages
             WHERE tenant = ?1 AND subject = ?2 AND session_id = ?3)",
        key,
    )?;
    execute(
        connection,
        "DELETE FROM runs
         WHERE tenant = ?1 AND subject = ?2 AND session_id = ?3 AND kept = 0",
        key,
    )?;
    execute(connection, "DELETE FROM sessions WHERE tenant = ?1 AND subject = ?2 AND id = ?3", key)
}

fn sweep_sessions(connection: &Connection, now: i64, limit: u64) -> Result<Written, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT tenant, subject, id, expires_at FROM sessions
             WHERE look_at IS NOT NULL AND look_at <= ?1 LIMIT ?2",
        )
        .map_err(store_error)?;
    type Found = (String, String, String, Option<i64>);
    let found: Vec<Found> = statement
        .query_map(params![now, count(limit)], |row| row.try_into())
        .and_then(Iterator::collect)
        .map_err(store_error)?;
    let mut written = Written { rows: 0, more: count(limit) == sequence(found.len()) };
    for (tenant, subject, id, expires_at) in found {
        if expires_at.is_some_and(|end| end <= now) {
            written.rows += purge(connection, &tenant, &subject, &id)?;
        } else {
            look_at(connection, &tenant, &subject, &id, expires_at)?;
        }
    }
    Ok(written)
}

/// Sets when the sweep looks at a session.
fn look_at(
    connection: &Connection,
    tenant: &str,
    subject: &str,
    id: &str,
    time: Option<i64>,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE sessions SET look_at = ?4 WHERE tenant = ?1 AND subject = ?2 AND id = ?3",
        params![tenant, subject, id, time],
    )
    .map(drop)
}

/// A run that is there already has begun already.
fn begin_run(connection: &Connection, run: &Run) -> Result<u64, StoreError> {
    insert_run(connection, run, "INSERT OR IGNORE")
}

fn finish_turn(connection: &Connection, turn: &Turn) -> Result<(), StoreError> {
    if let Some(change) = &turn.session {
        let first = take_sequences(connection, change, turn)?;
        for (sequence, message) in (first..).zip(&turn.messages) {
            insert_message(connection, turn, change, sequence, message)?;
        }
    }
    insert_run(connection, &turn.run, "INSERT OR REPLACE").map(drop)
}

/// Prolongs the session, or makes it, and counts the turn's messages in. The sequence of the
/// first of them.
fn take_sequences(
    connection: &Connection,
    change: &SessionChange,
    turn: &Turn,
) -> Result<i64, StoreError> {
    let session = &change.session;
    let added = sequence(turn.messages.len());
    let mut statement = connection
        .prepare_cached(
            "UPDATE sessions SET updated_at = :updated_at, expires_at = :expires_at,
                 message_count = message_count + :added
             WHERE tenant = :tenant AND subject = :subject AND id = :id
                 AND (expires_at IS NULL OR expires_at > :now)
                 AND (:create OR created_at = :created_at)
             RETURNING message_count, look_at",
        )
        .map_err(store_error)?;
    let expires_at = session.expires_at.map(micros);
    let found: Option<(i64, Option<i64>)> = statement
        .query_row(
            named_params! {
                ":tenant": session.owner.tenant,
                ":subject": session.owner.subject,
                ":id": session.id.as_str(),
                ":updated_at": micros(session.updated_at),
                ":expires_at": expires_at,
                ":added": added,
                ":now": turn.now,
                // A session made anew under the name of one that was deleted is another one.
                ":create": change.create,
                ":created_at": micros(session.created_at),
            },
            |row| row.try_into(),
        )
        .optional()
        .map_err(store_error)?;
    match found {
        Some((last, look)) => {
            // Never later than the session's end, or it would outlive that.
            if let Some(end) = expires_at.filter(|end| look.is_none_or(|look| look > *end)) {
                let Session { id, owner, .. } = session;
                look_at(connection, &owner.tenant, &owner.subject, id.as_str(), Some(end))?;
            }
            Ok(last - added + 1)
        }
        None if change.create => {
            make_session(connection, session, turn.messages.len(), turn.now).map(|()| 1)
        }
        None => Err(StoreError::NoSession),
    }
}

fn insert_message(
    connection: &Connection,
    turn: &Turn,
    change: &SessionChange,
    sequence: i64,
    message: &EncodedMessage,
) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO messages (tenant, subject, session_id, sequence, run_id, created_at, role,
             complete, parts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            change.session.owner.tenant,
            change.session.owner.subject,
            change.session.id.as_str(),
            sequence,
            turn.run.id,
            turn.written_at,
            message.role,
            message.complete,
            message.parts,
        ],
    )
    .map(drop)
}

/// `verb` is one of two words of ours and decides about a run that is there already.
fn insert_run(connection: &Connection, run: &Run, verb: &'static str) -> Result<u64, StoreError> {
    let record = &run.record;
    let failure = record.failure.as_ref();
    execute(
        connection,
        &format!(
            "{verb} INTO runs (tenant, subject, id, session_id, kept, agent, pack_version,
                 pack_digest, model, status, stop_reason, failure_code, failure_message,
                 input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_usd,
                 started_at, finished_at, events)
             VALUES (:tenant, :subject, :id, :session_id, :kept, :agent, :pack_version,
                 :pack_digest, :model, :status, :stop_reason, :failure_code, :failure_message,
                 :input_tokens, :output_tokens, :cached_tokens, :reasoning_tokens, :cost_usd,
                 :started_at, :finished_at, :events)"
        ),
        named_params! {
            ":tenant": record.owner.tenant,
            ":subject": record.owner.subject,
            ":id": run.id,
            ":session_id": record.session_id.as_ref().map(SessionId::as_str),
            ":kept": run.kept,
            ":agent": record.agent,
            ":pack_version": record.pack_version,
            ":pack_digest": record.pack_digest,
            ":model": record.model,
            ":status": status_name(record.status),
            ":stop_reason": run.stop_reason,
            ":failure_code": failure.map(|(code, _)| code.as_str()),
            ":failure_message": failure.map(|(_, message)| message),
            ":input_tokens": count(record.usage.input_tokens),
            ":output_tokens": count(record.usage.output_tokens),
            ":cached_tokens": count(record.usage.cached_tokens),
            ":reasoning_tokens": count(record.usage.reasoning_tokens),
            ":cost_usd": record.usage.cost_usd,
            ":started_at": micros(record.started_at),
            ":finished_at": record.finished_at.map(micros),
            ":events": run.events,
        },
    )
}

fn execute(connection: &Connection, sql: &str, params: impl Params) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
    let rows = statement.execute(params).map_err(store_error)?;
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

fn sequence(messages: usize) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}
