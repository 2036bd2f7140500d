//! What SQLite says in the port's words, and why a store does not open.

use std::{
    io,
    path::{Path, PathBuf},
};

use bartizan_engine::ports::store::StoreError;
use rusqlite::{Error, ErrorCode, ffi};

/// Why a store does not open: what is wrong, with which file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be made or used.
    #[error(
        "cannot use {}: {source}; make it a directory that this user owns, or choose another \
         with data.dir", path.display()
    )]
    Directory {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the data directory {} is in use by {}; stop that process or choose another \
         directory with data.dir", path.display(), holder(*process)
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, where it said who it is.
        process: Option<u32>,
    },
    /// A newer release wrote it.
    #[error(
        "{} has schema version {found} and this release knows versions up to {known}: a newer \
         Bartizan wrote it; run that release, or restore a backup from before the upgrade",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// It is a database, but not Bartizan's.
    #[error(
        "{} is a SQLite database that Bartizan did not make; move it away or choose another \
         directory with data.dir", path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// It is no database, or a broken one.
    #[error(
        "{} is damaged: {detail}; restore a backup, or move the file with its -wal and -shm \
         files away to start empty", path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// No room.
    #[error("no room for {}: {detail}; free some disk space or raise the quota", path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// What the system or SQLite says.
        detail: String,
    },
    /// A process that takes no notice of the directory's lock, such as a shell or a backup, holds the file.
    #[error(
        "{} is locked: {detail}; end the shell, backup or other program that has it open",
        path.display()
    )]
    Locked {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// Anything else.
    #[error(
        "cannot open {}: {detail}; check that the file and its directory can be written and \
         are on a local file system", path.display()
    )]
    Other {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
}

impl OpenError {
    /// What the system says about a file or directory.
    pub(super) fn directory(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, detail: source.to_string() }
            }
            _ => Self::Directory { path, source },
        }
    }

    /// What SQLite says about the database.
    pub(super) fn sqlite(path: &Path, error: Error) -> Self {
        let path = path.to_owned();
        match store_error(error) {
            StoreError::Full(detail) => Self::Full { path, detail },
            StoreError::Locked(detail) => Self::Locked { path, detail },
            StoreError::Damaged(detail) => Self::Damaged { path, detail },
            other => Self::Other { path, detail: other.to_string() },
        }
    }
}

fn holder(process: Option<u32>) -> String {
    process.map_or_else(|| "another process".into(), |id| format!("process {id}"))
}

/// What SQLite says, in the port's words. SQLite's messages name tables and columns, never
/// values.
pub(super) fn store_error(error: Error) -> StoreError {
    let text = error.to_string();
    match error {
        Error::SqliteFailure(failure, _) => match (failure.code, failure.extended_code) {
            // The index of the write-ahead log cannot grow, which is a full disk by another name.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full(text),
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => StoreError::Locked(text),
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _)
            | (_, ffi::SQLITE_READONLY_DBMOVED | ffi::SQLITE_IOERR_SHORT_READ) => {
                StoreError::Damaged(text)
            }
            _ => StoreError::Other(text),
        },
        // A column that holds what we never wrote.
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..) => StoreError::Damaged(text),
        _ => StoreError::Other(text),
    }
}

/// The same error once more, for everybody who waited for the same thing.
pub(super) fn same(error: &StoreError) -> StoreError {
    match error {
        StoreError::Exists => StoreError::Exists,
        StoreError::NoSession => StoreError::NoSession,
        StoreError::Full(text) => StoreError::Full(text.clone()),
        StoreError::Locked(text) => StoreError::Locked(text.clone()),
        StoreError::Damaged(text) => StoreError::Damaged(text.clone()),
        StoreError::Other(text) => StoreError::Other(text.clone()),
    }
}
