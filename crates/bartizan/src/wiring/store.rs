//! Where sessions are kept.

use std::sync::Arc;

use bartizan_engine::ports::{clock::Clock, store::Store};
use bartizan_store::{Memory, OpenError, Sqlite, memory, sqlite};

use crate::{
    config::settings::{Durability, SessionStore, Settings},
    refusal::{Exit, Refusal},
};

/// Opens the store.
///
/// # Errors
/// Where the data directory cannot be used.
pub fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, Refusal> {
    if settings.sessions.store == SessionStore::Memory {
        return Ok(Memory::new(clock, memory::Options::default()));
    }
    let durability = match settings.store.durability {
        Durability::Normal => sqlite::Durability::Normal,
        Durability::Full => sqlite::Durability::Full,
    };
    let options = sqlite::Options { durability, ..sqlite::Options::default() };
    let store = Sqlite::open(&settings.data.dir.0, options, clock).map_err(|error| {
        let exit = match error {
            OpenError::InUse { .. } => Exit::Unavailable,
            _ => Exit::Input,
        };
        Refusal::new(exit, error)
    })?;
    Ok(store)
}
