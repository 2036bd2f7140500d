//! The tables and how they change from release to release.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::OpenError;

/// Marks the file as ours (SQLite's `application_id`): "Btzn".
const APPLICATION_ID: i32 = 0x4274_7a6e;

/// One step per schema version, the first leading from an empty file to version 1.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_start.sql")];

/// Brings the file to the newest schema, each step in a transaction of its own, so that a step
/// which fails or is killed leaves the version before it.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let opened = |error| OpenError::sqlite(path, error);
    // The newest version's number; a handful of steps always fits.
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(opened)?;
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(opened)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(opened)?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    for (version, step) in (1_i64..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(opened)?;
        transaction.execute_batch(step).map_err(opened)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(opened)?;
        transaction.pragma_update(None, "user_version", version).map_err(opened)?;
        transaction.commit().map_err(opened)?;
    }
    Ok(())
}
