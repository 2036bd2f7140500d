//! The tables and how they change from release to release.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::OpenError;

/// Marks the file as ours (SQLite's `application_id`): "Btzn".
const APPLICATION_ID: i64 = 0x4274_7a6e;

/// One step per schema version, the first leading from an empty file to version 1.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_start.sql")];

/// The schema version found, where the file is ours, or empty, and not too new. Changes nothing.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let opened = |error| OpenError::sqlite(path, error);
    let pragma = |name| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(opened)
    };
    let (found, known) = (pragma("user_version")?, newest());
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(opened)?;
    if tables > 0 && pragma("application_id")? != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Brings the file from the version found to the newest, each step in a transaction of its own,
/// so that a step which fails or is killed leaves the version before it.
pub(super) fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    for (version, step) in (1..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn newest() -> i64 {
    // A handful of steps always fits.
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}
