//! SQLite: one file, one writer, readers that never wait for it.
//!
//! # Layout
//!
//! - `directory`: the data directory, its lock and the identity of its files.
//! - `open`: a connection and how it is set up; `schema`: tables and migrations.
//! - `writer`: the one connection that writes, and how it groups commits; `checkpoint`: the
//!   thread that folds the write-ahead log into the file.
//! - `write`: every statement that writes. `read`: every statement that reads.
//! - `row`: how values become columns and back; `log`: how a run's events become one text.
//! - `probe`: whether the store works at this moment.
//! - `error`: what SQLite says in the port's words, and why a store does not open.

mod checkpoint;
mod directory;
mod error;
mod log;
mod open;
mod probe;
mod read;
mod row;
mod schema;
mod write;
mod writer;

use std::{num::NonZero, path::Path, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use bartizan_engine::{
    event::LoggedEvent,
    identity::{RunId, SessionId},
    owner::Owner,
    ports::{
        clock::Clock,
        store::{RunRecord, Session, Store, StoreError, StoredMessage, TurnRecord},
    },
};
use jiff::Timestamp;
use rusqlite::Connection;

pub use self::error::OpenError;
use self::{
    directory::Directory,
    probe::Probe,
    read::Readers,
    row::Turn,
    write::{Write, Written},
    writer::Writer,
};
use crate::rule;

/// Sessions or runs deleted in one transaction of a sweep. Small enough that a turn which
/// waits behind it does not notice.
const SWEEP_STEP: u64 = 200;

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process (`synchronous=NORMAL`). A loss of power may take the turns of
    /// the last moments, but never damages the file.
    #[default]
    Normal,
    /// The loss of power as well (`synchronous=FULL`): one `fsync` per commit.
    Full,
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// How long to wait for a lock that another process holds on the file (a backup, a shell)
    /// before the call fails as locked.
    pub busy_timeout: Duration,
    /// How long the record of a run is kept that no session holds.
    pub run_time_to_live: Duration,
    /// The most bytes that the database may grow to, its write-ahead log not counted; beyond
    /// that, writes fail as on a full disk. `None` for no limit but the disk's.
    pub max_bytes: Option<u64>,
    /// How many turns can read at the same moment: as many as there are threads that run turns,
    /// and at least one.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Normal,
            busy_timeout: Duration::from_secs(5),
            run_time_to_live: Duration::from_secs(7 * 24 * 3600),
            max_bytes: None,
            readers: thread::available_parallelism().map_or(2, NonZero::get),
        }
    }
}

/// The store in one SQLite file.
pub struct Sqlite {
    clock: Arc<dyn Clock>,
    run_time_to_live: Duration,
    probe: Probe,
    // Fields drop in this order, and the order matters: the writer must be the last to close
    // the database, because only it may fold the write-ahead log into the file.
    readers: Arc<Readers>,
    writer: Writer,
}

impl Sqlite {
    /// The database's name within its directory.
    pub const FILE: &str = "bartizan.sqlite";

    /// Opens the store in `directory`, which is made where there is none.
    ///
    /// Runs that a dead process left behind as running are marked as interrupted. While the
    /// store is open, no other can be opened in the same directory.
    ///
    /// # Errors
    /// [`OpenError`], which names the file and says what to do about it.
    pub fn open(
        directory: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let mut directory = Directory::claim(directory)?;
        let connection = open::writer(directory.database(), &options, clock.now())?;
        directory.remember_files()?;
        let reader = || open::reader(directory.database(), &options);
        let others = (1..options.readers).map(|_| reader()).collect::<Result<_, _>>()?;
        let readers = Arc::new(Readers::new(reader()?, others, reader()?));
        let path = directory.database().to_owned();
        let checkpoints = open::checkpointer(&path, &options)?;
        let writer = Writer::start(connection, checkpoints, directory, &options)
            .map_err(|source| OpenError::directory(&path, source))?;
        Ok(Arc::new(Self {
            clock,
            run_time_to_live: options.run_time_to_live,
            probe: Probe::default(),
            readers,
            writer,
        }))
    }

    fn now(&self) -> i64 {
        rule::micros(self.clock.now())
    }

    async fn write(&self, write: Write) -> Result<Written, StoreError> {
        self.probe.hear(self.writer.write(write).await)
    }

    fn here<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.probe.hear(self.readers.here(read))
    }

    async fn aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.probe.hear(self.readers.aside(read).await)
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn create_session(&self, session: Session) -> Result<(), StoreError> {
        let now = self.now();
        self.write(Write::CreateSession { session, now }).await.map(drop)
    }

    async fn session(&self, owner: &Owner, id: &SessionId) -> Result<Option<Session>, StoreError> {
        self.here(|connection| read::session(connection, owner, id, self.now()))
    }

    async fn sessions(
        &self,
        owner: &Owner,
        limit: usize,
        after: Option<&SessionId>,
    ) -> Result<Vec<Session>, StoreError> {
        let (owner, after, now) = (owner.clone(), after.cloned(), self.now());
        self.aside(move |connection| read::sessions(connection, &owner, limit, after.as_ref(), now))
            .await
    }

    async fn delete_session(&self, owner: &Owner, id: &SessionId) -> Result<bool, StoreError> {
        let write = Write::DeleteSession { owner: owner.clone(), id: id.clone(), now: self.now() };
        self.write(write).await.map(|written| written.rows > 0)
    }

    async fn messages(
        &self,
        owner: &Owner,
        id: &SessionId,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let now = self.now();
        self.here(|connection| read::messages(connection, owner, id, limit, now))
    }

    async fn begin_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        self.write(Write::BeginRun(Box::new(row::Run::begun(run)?))).await.map(drop)
    }

    async fn finish_turn(&self, turn: TurnRecord) -> Result<(), StoreError> {
        // Encoding happens here, on the caller's task: the writer is one thread for all.
        let turn = Turn::encode(turn, self.clock.now())?;
        self.write(Write::FinishTurn(Box::new(turn))).await.map(drop)
    }

    async fn run(&self, owner: &Owner, id: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.here(|connection| read::run(connection, owner, id, self.now()))
    }

    async fn run_events(
        &self,
        owner: &Owner,
        id: RunId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let (owner, now) = (owner.clone(), self.now());
        self.aside(move |connection| read::run_events(connection, &owner, id, after, now)).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut sessions = 0;
        // One step at a time, so that turns get in between.
        loop {
            let write = Write::SweepSessions { now: rule::micros(now), limit: SWEEP_STEP };
            let step = self.write(write).await?;
            sessions += step.rows;
            if !step.more {
                break;
            }
        }
        if let Some(ended_by) = rule::before(now, self.run_time_to_live) {
            let ended_by = rule::micros(ended_by);
            while self.write(Write::SweepRuns { ended_by, limit: SWEEP_STEP }).await?.more {}
        }
        Ok(sessions)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.probe.check(&self.writer, &self.readers).await
    }
}
