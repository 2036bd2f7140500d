//! Whether the store works at this moment.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bartizan_engine::ports::store::StoreError;
use tokio::sync::Mutex;

use super::{
    error::same,
    read::{self, Readers},
    write::Write,
    writer::Writer,
};

/// How long an answer holds: readiness is asked for by whoever can reach the port, and each
/// answer costs two writes.
const HOLDS_FOR: Duration = Duration::from_secs(1);

/// The last answer and when it was found.
#[derive(Debug, Default)]
pub(super) struct Probe {
    last: Mutex<Option<(Instant, Result<(), StoreError>)>>,
    /// Whether something else came upon damage, which may be where the probe's row is not.
    heard_of_damage: AtomicBool,
    /// What is wrong with the file, once that is certain. It does not heal.
    damage: OnceLock<String>,
}

impl Probe {
    /// Hears how a read or write went.
    pub(super) fn hear<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Damaged(_)) = &outcome {
            self.heard_of_damage.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Writes a row of some pages, reads it, and takes it away again. An update in place would
    /// still succeed on a disk that has no room for a turn.
    ///
    /// Where damage was met elsewhere the whole file is looked at: the probe's pages may be sound
    /// and not speak for the rest.
    ///
    /// Those who ask while the answer is being found wait for that one answer.
    pub(super) async fn check(
        &self,
        writer: &Writer,
        readers: &Arc<Readers>,
    ) -> Result<(), StoreError> {
        let mut last = self.last.lock().await;
        if let Some((found, outcome)) = &*last
            && found.elapsed() < HOLDS_FOR
        {
            return outcome.as_ref().map_err(same).copied();
        }
        let mut outcome = match self.damage.get() {
            Some(text) => Err(StoreError::Damaged(text.clone())),
            None => probe(writer, readers).await,
        };
        if outcome.is_ok() && self.heard_of_damage.swap(false, Ordering::Relaxed) {
            outcome = readers.aside(read::sound).await;
            if let Err(error) = &outcome {
                self.heard_of_damage.store(true, Ordering::Relaxed);
                if let StoreError::Damaged(text) = error {
                    self.damage.get_or_init(|| text.clone());
                }
            }
        }
        *last = Some((Instant::now(), outcome.as_ref().map_err(same).copied()));
        outcome
    }
}

async fn probe(writer: &Writer, readers: &Readers) -> Result<(), StoreError> {
    writer.write(Write::FillProbe).await?;
    let written = readers.here(read::probe);
    writer.write(Write::ClearProbe).await?;
    if written? {
        Ok(())
    } else {
        Err(StoreError::Damaged("what was written could not be read again".into()))
    }
}
