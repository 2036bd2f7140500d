//! Whether the store works at this moment.

use std::time::{Duration, Instant};

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
}

impl Probe {
    /// Writes a row of some pages, reads it, and takes it away again. An update in place would
    /// still succeed on a disk that has no room for a turn.
    ///
    /// Those who ask while the answer is being found wait for that one answer.
    pub(super) async fn check(&self, writer: &Writer, readers: &Readers) -> Result<(), StoreError> {
        let mut last = self.last.lock().await;
        if let Some((found, outcome)) = &*last
            && found.elapsed() < HOLDS_FOR
        {
            return outcome.as_ref().map_err(same).copied();
        }
        let outcome = probe(writer, readers).await;
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
