//! Folding the write-ahead log into the database, beside those who write.
//!
//! SQLite on its own does this within a commit, which then takes tens of milliseconds for
//! everybody who waits. A thread with a connection of its own can do it while others write. It
//! runs a moment after a write and sleeps while nothing is written.
//!
//! The log starts over only when all of it is folded at the instant of a write. Where turns
//! come without a pause that instant does not come by itself. So when the log is long, the
//! thread holds the writing back for the few pages that came while it folded the rest.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rusqlite::Connection;

use super::writer::Desk;

/// Between the first write to a log that was folded and the next folding. A loss of power costs
/// no more than about this, because folding makes the log durable first.
const PAUSE: Duration = Duration::from_secs(1);

/// From here on the log is made to start over. In pages of 4 KiB, so 16 MiB.
const LONG_LOG: i64 = 4096;

/// The thread that folds.
#[derive(Debug)]
pub(super) struct Checkpointer {
    bell: Arc<Bell>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What the thread sleeps for.
#[derive(Debug, Default)]
pub(super) struct Bell {
    news: Mutex<News>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct News {
    written: bool,
    closing: bool,
}

impl Checkpointer {
    pub(super) fn start(
        connection: Connection,
        desk: Arc<Mutex<Desk>>,
        bell: Arc<Bell>,
    ) -> io::Result<Self> {
        let its_bell = Arc::clone(&bell);
        let thread = thread::Builder::new()
            .name("store-fold".into())
            .spawn(move || work(&connection, &desk, &its_bell))?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    /// Ends the thread and closes its connection.
    fn drop(&mut self) {
        self.bell.ring(|news| &mut news.closing);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpointer ended in a panic");
        }
    }
}

impl Bell {
    /// Tells that something was written. Costs next to nothing when that is known already.
    pub(super) fn written(&self) {
        self.ring(|news| &mut news.written);
    }

    fn ring(&self, what: impl FnOnce(&mut News) -> &mut bool) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(what(&mut news), true) {
            self.rung.notify_one();
        }
    }

    /// Sleeps until something is written and for a pause after that; false at the end.
    fn wait(&self) -> bool {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let news = self
            .rung
            .wait_while(news, |news| !news.written && !news.closing)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut news, _) = self
            .rung
            .wait_timeout_while(news, PAUSE, |news| !news.closing)
            .unwrap_or_else(PoisonError::into_inner);
        news.written = false;
        !news.closing
    }
}

fn work(connection: &Connection, desk: &Mutex<Desk>, bell: &Bell) {
    let mut failing = false;
    while bell.wait() {
        let folded = fold(connection).and_then(|length| {
            if length < LONG_LOG {
                return Ok(length);
            }
            let _held_back = desk.lock().unwrap_or_else(PoisonError::into_inner);
            fold(connection)
        });
        // Nothing is lost while this fails, but the log grows; said once until it works again.
        match &folded {
            Err(error) if !failing => tracing::warn!(%error, "the log could not be folded"),
            Ok(_) if failing => tracing::info!("the log can be folded again"),
            _ => {}
        }
        failing = folded.is_err();
    }
}

/// Folds as much as readers allow, waiting for nobody; the log's length in pages.
fn fold(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
}
