//! Folding the write-ahead log into the database, beside the writer.
//!
//! SQLite on its own does this within a commit, which then takes tens of milliseconds for
//! everybody who waits. A thread with a connection of its own can do it while the writer goes
//! on. It runs a moment after a write and sleeps while nothing is written.
//!
//! The log starts over only when all of it is folded at the instant of a write. Where turns
//! come without a pause that instant does not come by itself, and so the writer folds the rest
//! when the log is as long as [`LONGEST_LOG`].

use std::{
    io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread,
    time::Duration,
};

use rusqlite::Connection;

/// Between the first write to a log that was folded and the next folding. A loss of power costs
/// no more than about this, because folding makes the log durable first.
const PAUSE: Duration = Duration::from_secs(1);

/// In pages of 4 KiB, so 64 MiB.
pub(super) const LONGEST_LOG: u32 = 16_384;

/// The thread that folds.
#[derive(Debug)]
pub(super) struct Checkpointer {
    written: SyncSender<()>,
    /// Never sent to: that it is gone tells the thread to end, even in its pause.
    open: SyncSender<()>,
    thread: thread::JoinHandle<()>,
}

impl Checkpointer {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let (written, writes) = mpsc::sync_channel(1);
        let (open, closed) = mpsc::sync_channel(0);
        let thread = thread::Builder::new()
            .name("store-fold".into())
            .spawn(move || work(&connection, &writes, &closed))?;
        Ok(Self { written, open, thread })
    }

    /// Tells that something was written. Costs next to nothing and never waits.
    pub(super) fn written(&self) {
        // Full means that it is told already.
        let _ = self.written.try_send(());
    }

    /// Ends the thread and closes its connection.
    pub(super) fn stop(self) {
        drop((self.written, self.open));
        if self.thread.join().is_err() {
            tracing::error!("the store's checkpointer ended in a panic");
        }
    }
}

fn work(connection: &Connection, writes: &Receiver<()>, closed: &Receiver<()>) {
    let mut failing = false;
    while writes.recv().is_ok() && closed.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        // Passive: waits for nobody, and folds as much as readers allow.
        let folded = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        // Nothing is lost while this fails, but the log grows; said once until it works again.
        match &folded {
            Err(error) if !failing => tracing::warn!(%error, "the log could not be folded"),
            Ok(()) if failing => tracing::info!("the log can be folded again"),
            _ => {}
        }
        failing = folded.is_err();
    }
}
