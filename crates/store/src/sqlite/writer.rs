//! The one connection that writes, and the thread that waits for it.
//!
//! SQLite takes one writer at a time anyway. One connection for all means that nobody waits on a
//! lock inside SQLite, that statements stay prepared and pages stay cached, and that turns which
//! arrive while a commit is under way can share the next one.
//!
//! # Who writes
//!
//! A small write that finds the connection free and nobody waiting is done at once, where it
//! is asked for: without an `fsync` it takes some 50 µs, less than to wake the thread and be
//! woken by it. All else goes to the thread: what finds the connection taken, what is large,
//! what syncs to the disk, and what another program's lock keeps waiting.
//!
//! # Group commit
//!
//! All that waits in the queue is written in one transaction and answered after its commit. This
//! keeps the promise "durable before `Done`": no caller gets an answer before the transaction
//! that holds its write is committed. Each write has a savepoint of its own, so one that is
//! refused (a session deleted meanwhile) undoes itself alone. Where the transaction as a whole
//! fails, each write gets a transaction of its own, so that one which is too large for the disk
//! does not take the others with it.

use std::{
    io, slice,
    sync::{Arc, Mutex, PoisonError, TryLockError},
    thread,
    time::Duration,
};

use bartizan_engine::ports::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    Durability, Options,
    checkpoint::{Bell, Checkpointer},
    directory::Directory,
    error::{same, store_error},
    write::{Write, Written},
};

/// Writes that may wait before those who ask for more wait for room.
const QUEUE: usize = 1024;

/// The most writes in one transaction, which bounds how long the first of them waits.
const BATCH: usize = 64;

/// The way to the connection. The desk is the last field to drop: the last connection to close
/// folds the log a last time, and only then may another process have the directory.
#[derive(Debug)]
pub(super) struct Writer {
    /// Taken when the writer is dropped, which ends the thread.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    _checkpointer: Checkpointer,
    desk: Arc<Mutex<Desk>>,
    /// Whether a commit is quick enough to be waited for in place.
    in_place: bool,
}

/// What whoever writes has in hand.
#[derive(Debug)]
pub(super) struct Desk {
    connection: Connection,
    directory: Directory,
    /// How long the thread waits for another program's lock.
    busy_timeout: Duration,
    /// Rung after each write.
    bell: Arc<Bell>,
}

/// A write and who waits for it.
#[derive(Debug)]
struct Job {
    write: Write,
    answer: oneshot::Sender<Outcome>,
}

/// What was written, or why nothing.
type Outcome = Result<Written, StoreError>;

impl Writer {
    /// Starts the thread, and the one that folds the log on a connection of its own.
    pub(super) fn start(
        connection: Connection,
        checkpoints: Connection,
        directory: Directory,
        options: &Options,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let busy_timeout = options.busy_timeout;
        let bell = Arc::<Bell>::default();
        let desk = Desk { connection, directory, busy_timeout, bell: Arc::clone(&bell) };
        let desk = Arc::new(Mutex::new(desk));
        let checkpointer = Checkpointer::start(checkpoints, Arc::clone(&desk), bell)?;
        let threads_desk = Arc::clone(&desk);
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || work(&threads_desk, queue))?;
        let in_place = options.durability == Durability::Normal;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            _checkpointer: checkpointer,
            desk,
            in_place,
        })
    }

    /// Writes, and returns when it is durable. A caller that stops waiting does not undo it.
    pub(super) async fn write(&self, write: Write) -> Outcome {
        let stopped = || StoreError::Other("the writer has stopped".into());
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        if self.in_place
            && write.is_small()
            && jobs.capacity() == jobs.max_capacity()
            && let Some(outcome) = self.write_in_place(&write)
        {
            return outcome;
        }
        let (answer, answered) = oneshot::channel();
        jobs.send(Job { write, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Writes at once; nothing where that would mean to wait.
    fn write_in_place(&self, write: &Write) -> Option<Outcome> {
        let desk = match self.desk.try_lock() {
            Ok(desk) => desk,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        match desk.write(slice::from_ref(write), Duration::ZERO).pop() {
            Some(Err(StoreError::Locked(_))) | None => None,
            outcome => outcome,
        }
    }
}

impl Drop for Writer {
    /// Waits for what is queued. The desk is cleared after that.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended in a panic");
        }
    }
}

impl Desk {
    /// Writes, if the files are still those that were opened.
    fn write(&self, writes: &[Write], busy_timeout: Duration) -> Vec<Outcome> {
        let able = self
            .directory
            .unmoved()
            .and_then(|()| self.connection.busy_timeout(busy_timeout).map_err(store_error));
        let outcomes = match able {
            Ok(()) => commit(&self.connection, writes),
            Err(error) => all(writes, &error),
        };
        self.bell.written();
        outcomes
    }
}

/// The thread: writes what waits, until nobody can ask for more.
fn work(desk: &Mutex<Desk>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
        // A panic in the middle of a transaction leaves it open; `commit` begins by undoing that.
        let desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
        // What came while the connection was taken goes into the same transaction.
        while jobs.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
        let (writes, answers): (Vec<_>, Vec<_>) =
            jobs.drain(..).map(|job| (job.write, job.answer)).unzip();
        let outcomes = desk.write(&writes, desk.busy_timeout);
        drop(desk);
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Where nobody waits any more, the write stands all the same.
            let _ = answer.send(outcome);
        }
    }
}

/// Writes all in one transaction, and one outcome for each.
fn commit(connection: &Connection, writes: &[Write]) -> Vec<Outcome> {
    // Left open where a write panicked.
    roll_back(connection);
    // Where the transaction cannot even begin (locked), trying again one by one would only
    // multiply the waiting.
    if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
        return all(writes, &error);
    }
    let committed = match writes {
        [write] => write.apply(connection).map(|written| vec![Ok(written)]),
        _ => apply_each(connection, writes),
    }
    .and_then(|outcomes| run(connection, "COMMIT").map(|()| outcomes));
    committed.unwrap_or_else(|error| {
        roll_back(connection);
        match writes {
            [_] => vec![Err(error)],
            _ => {
                writes.iter().flat_map(|write| commit(connection, slice::from_ref(write))).collect()
            }
        }
    })
}

/// Writes each within a savepoint of its own. Fails where the transaction as a whole did.
fn apply_each(connection: &Connection, writes: &[Write]) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        run(connection, "SAVEPOINT one")?;
        let outcome = write.apply(connection);
        if let Err(error) = &outcome {
            // SQLite may have given up the whole transaction (a full disk, an I/O error).
            if connection.is_autocommit() {
                return Err(same(error));
            }
            run(connection, "ROLLBACK TO one")?;
        }
        run(connection, "RELEASE one")?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn run(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
    statement.execute([]).map(drop).map_err(store_error)
}

fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = run(connection, "ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

fn all(writes: &[Write], error: &StoreError) -> Vec<Outcome> {
    writes.iter().map(|_| Err(same(error))).collect()
}

#[cfg(test)]
mod tests {
    use bartizan_engine::{owner::Owner, ports::store::Session};
    use jiff::Timestamp;

    use super::*;
    use crate::sqlite::open;

    fn create(name: &str, metadata: usize) -> Write {
        let session = Session {
            id: name.parse().unwrap(),
            owner: Owner::local(),
            agent: "a/b".into(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            metadata: [("text".to_owned(), "x".repeat(metadata))].into(),
            message_count: 0,
        };
        Write::CreateSession { session, now: 0 }
    }

    /// Writes the batch into a new database of at most a megabyte: its outcomes, and the
    /// sessions that are there afterwards.
    fn outcomes(writes: &[Write]) -> (Vec<Outcome>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.sqlite");
        std::fs::write(&path, "").unwrap();
        let options = Options { max_bytes: Some(1 << 20), ..Options::default() };
        let connection = open::writer(&path, &options, Timestamp::UNIX_EPOCH).unwrap();
        let outcomes = commit(&connection, writes);
        assert!(connection.is_autocommit(), "a transaction was left open");
        let mut statement = connection.prepare("SELECT id FROM sessions ORDER BY id").unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        (outcomes, names.map(Result::unwrap).collect())
    }

    #[test]
    fn a_refused_write_undoes_itself_alone() {
        let (outcomes, names) = outcomes(&[create("a", 9), create("a", 9), create("b", 9)]);
        assert!(matches!(outcomes[..], [Ok(_), Err(StoreError::Exists), Ok(_)]), "{outcomes:?}");
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_write_too_large_takes_no_other_with_it() {
        let (outcomes, names) = outcomes(&[create("a", 9), create("b", 2 << 20), create("c", 9)]);
        assert!(matches!(outcomes[..], [Ok(_), Err(StoreError::Full(_)), Ok(_)]), "{outcomes:?}");
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn a_transaction_left_open_is_undone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.sqlite");
        std::fs::write(&path, "").unwrap();
        let options = Options::default();
        let connection = open::writer(&path, &options, Timestamp::UNIX_EPOCH).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        create("half", 9).apply(&connection).unwrap();
        assert!(matches!(commit(&connection, &[create("whole", 9)])[..], [Ok(_)]));
        let names: String = connection
            .query_row("SELECT group_concat(id) FROM sessions", [], |row| row.get(0))
            .unwrap();
        assert_eq!(names, "whole");
    }
}
