//! The one thread that writes.
//!
//! SQLite takes one writer at a time anyway. Giving it a thread of its own, fed by a queue,
//! means that nobody ever waits on a lock inside SQLite, that statements stay prepared and pages
//! stay cached on one connection, and that turns which arrive while a commit is under way can
//! share the next one.
//!
//! # Group commit
//!
//! All that waits in the queue is written in one transaction and answered after its commit. This
//! keeps the promise "durable before `Done`": no caller gets an answer before the transaction
//! that holds its write is committed. Each write has a savepoint of its own, so one that is
//! refused (a session deleted meanwhile) undoes itself alone. Where the transaction as a whole
//! fails, each write gets a transaction of its own, so that one which is too large for the disk
//! does not take the others with it.

use std::{io, slice, thread};

use bartizan_engine::ports::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    checkpoint::Checkpointer,
    directory::Directory,
    error::{same, store_error},
    write::{Write, Written},
};

/// Writes that may wait before those who ask for more wait for room.
const QUEUE: usize = 1024;

/// The most writes in one transaction, which bounds how long the first of them waits.
const BATCH: usize = 64;

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    /// Taken when the writer is dropped, which ends the thread.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
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
    /// Starts the thread.
    pub(super) fn start(
        connection: Connection,
        directory: Directory,
        checkpointer: Checkpointer,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || {
            work(&connection, &directory, &checkpointer, queue);
            checkpointer.stop();
            // The last connection to close folds the log a last time; only then may
            // another process have the directory.
            drop(connection);
            drop(directory);
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Writes, and returns when it is durable. A caller that stops waiting does not undo it.
    pub(super) async fn write(&self, write: Write) -> Outcome {
        let stopped = || StoreError::Other("the writer has stopped".into());
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        let (answer, answered) = oneshot::channel();
        jobs.send(Job { write, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    /// Waits for what is queued, and until the database is closed and its directory free again.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended in a panic");
        }
    }
}

fn work(
    connection: &Connection,
    directory: &Directory,
    checkpointer: &Checkpointer,
    mut queue: mpsc::Receiver<Job>,
) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
        let (writes, answers): (Vec<_>, Vec<_>) =
            jobs.drain(..).map(|job| (job.write, job.answer)).unzip();
        let outcomes = match directory.unmoved() {
            Ok(()) => commit(connection, &writes),
            Err(error) => all(&writes, &error),
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Nobody waits any more: the write stands all the same.
            let _ = answer.send(outcome);
        }
        checkpointer.written();
    }
}

/// Writes all in one transaction, and one outcome for each.
fn commit(connection: &Connection, writes: &[Write]) -> Vec<Outcome> {
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
