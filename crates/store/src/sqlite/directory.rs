//! The data directory, its lock, and the identity of the files in it.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use bartizan_engine::ports::store::StoreError;

use super::{Sqlite, error::OpenError};

/// The lock's name within the directory.
const LOCK: &str = "bartizan.lock";

/// A data directory that is ours alone for as long as this lives.
#[derive(Debug)]
pub(super) struct Directory {
    database: PathBuf,
    log: PathBuf,
    /// What the two names meant when they were opened.
    opened: Option<(FileId, FileId)>,
    /// Held, never read: closing it gives the directory back.
    _lock: File,
}

/// Device and inode: what a name stood for at some moment.
type FileId = (u64, u64);

impl Directory {
    /// Makes the directory (mode 0700) and the database file (0600) where there are none, and
    /// takes the directory's lock.
    ///
    /// SQLite itself would let several processes in, but turns of one session queue up in the
    /// process that runs them; a second server would break that order.
    pub(super) fn claim(directory: &Path) -> Result<Self, OpenError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| OpenError::directory(directory, source))?;
        let lock = take_lock(directory)?;
        let database = directory.join(Sqlite::FILE);
        make_private(&database).map_err(|source| OpenError::directory(&database, source))?;
        let mut log = OsString::from(&database);
        log.push("-wal");
        Ok(Self { database, log: log.into(), opened: None, _lock: lock })
    }

    /// The database's path.
    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    /// Notes which files SQLite has opened, for [`Self::unmoved`].
    pub(super) fn remember_files(&mut self) -> Result<(), OpenError> {
        let ids = self.file_ids().map_err(|source| OpenError::directory(&self.database, source))?;
        self.opened = Some(ids);
        Ok(())
    }

    /// Whether the names still stand for the files that are open. Whoever writes into a file
    /// that was deleted is told that all is well and keeps nothing.
    ///
    /// Looks at names only: opening and closing the database file here would drop the locks
    /// that SQLite holds on it (POSIX locks belong to the process, not to the descriptor).
    pub(super) fn unmoved(&self) -> Result<(), StoreError> {
        match self.file_ids() {
            Ok(ids) if Some(ids) == self.opened => Ok(()),
            Ok(_) => Err(StoreError::Damaged(
                "the database file was replaced while it was open; restart the server".into(),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::Damaged(
                "the database file was deleted or moved while it was open; put it back, or \
                 restart the server to begin with an empty one"
                    .into(),
            )),
            Err(error) => Err(StoreError::Other(format!("the database file: {error}"))),
        }
    }

    fn file_ids(&self) -> io::Result<(FileId, FileId)> {
        Ok((file_id(&self.database)?, file_id(&self.log)?))
    }
}

fn file_id(path: &Path) -> io::Result<FileId> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Makes the file with mode 0600, or takes away what an existing one allows to others. SQLite
/// gives its side files the mode of this one.
fn make_private(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// An advisory lock (`flock`), which the system gives back when the process dies, however it
/// dies. The file's text only tells people who holds it.
fn take_lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK);
    let failed = |source| OpenError::directory(&path, source);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Only for the message; who cannot be named is "another process".
            let _ = file.read_to_string(&mut text);
            let process = text.trim().parse().ok();
            return Err(OpenError::InUse { path: directory.to_owned(), process });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
