//! A connection, and how it is set up.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::{Durability, Options, error::OpenError, schema, write};
use crate::rule;

/// Statements kept prepared per connection; more than there are.
const STATEMENTS: usize = 32;

/// When a commit folds the log itself, in pages of 4 KiB: 64 MiB.
const LONGEST_LOG: u32 = 16_384;

/// The connection that writes: sets the file up, brings its schema up to date, and marks runs
/// whose process died.
pub(super) fn writer(
    path: &Path,
    options: &Options,
    now: Timestamp,
) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::sqlite(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = common(path, flags, options).map_err(failed)?;
    let found = schema::check(&connection, path)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::Other {
            path: path.to_owned(),
            detail: format!("write-ahead logging is not possible here (journal mode {mode})"),
        });
    }
    set_up_writing(&connection, options).map_err(failed)?;
    schema::migrate(&mut connection, found).map_err(failed)?;
    // In a transaction that always writes, so that the write-ahead log exists from here on.
    write::interrupt_runs(&mut connection, rule::micros(now)).map_err(failed)?;
    Ok(connection)
}

/// A connection that can only read.
pub(super) fn reader(path: &Path, options: &Options) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    common(path, flags, options).map_err(|error| OpenError::sqlite(path, error))
}

/// The connection of the checkpointer, which writes what others have committed.
pub(super) fn checkpointer(path: &Path, options: &Options) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = common(path, flags, options)?;
        set_up_writing(&connection, options)?;
        Ok(connection)
    };
    open().map_err(|error| OpenError::sqlite(path, error))
}

fn common(path: &Path, flags: OpenFlags, options: &Options) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Functions and views of a file that somebody tampered with must not run.
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn set_up_writing(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    let synchronous = match options.durability {
        Durability::Normal => "NORMAL",
        Durability::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Savepoints keep the pages they may have to restore; in memory, not in a file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The checkpointer folds the log long before; this is for a disk too slow for it.
    connection.pragma_update(None, "wal_autocheckpoint", LONGEST_LOG)?;
    // What is deleted is overwritten, not merely forgotten.
    connection.pragma_update(None, "secure_delete", true)?;
    if let Some(bytes) = options.max_bytes {
        let page: u64 =
            connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?.into();
        let pages = i64::try_from((bytes / page).max(1)).unwrap_or(i64::MAX);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}
