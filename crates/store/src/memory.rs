//! A store that forgets with the process: for tests, and for who wants nothing on disk.
//!
//! It answers like [`Sqlite`](crate::Sqlite), with one difference: it is bounded. Beyond
//! [`Options::max_bytes`] it forgets, first the records of runs that no session holds, the
//! oldest first, then whole sessions, the one longest unused first. A turn that alone is larger
//! than the bound fails as on a full disk.

mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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

use self::state::State;
use crate::rule;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most bytes that sessions and runs may take, by an estimate of their text.
    pub max_bytes: usize,
    /// How long the record of a run is kept that no session holds.
    pub run_time_to_live: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_bytes: 256 << 20, run_time_to_live: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// The store in memory.
pub struct Memory {
    clock: Arc<dyn Clock>,
    run_time_to_live: Duration,
    // Never held across an await.
    state: Mutex<State>,
}

impl Memory {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>, options: Options) -> Arc<Self> {
        Arc::new(Self {
            clock,
            run_time_to_live: options.run_time_to_live,
            state: Mutex::new(State::new(options.max_bytes)),
        })
    }

    /// The state as of now: what has expired is not in it.
    fn state(&self) -> (MutexGuard<'_, State>, Timestamp) {
        // Each change is whole before anything in it can panic, so a poisoned state is a good one.
        (self.state.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now())
    }
}

#[async_trait]
impl Store for Memory {
    async fn create_session(&self, session: Session) -> Result<(), StoreError> {
        let (mut state, now) = self.state();
        state.create_session(session, now)
    }

    async fn session(&self, owner: &Owner, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let (state, now) = self.state();
        Ok(state.session(owner, id, now).cloned())
    }

    async fn sessions(
        &self,
        owner: &Owner,
        limit: usize,
        after: Option<&SessionId>,
    ) -> Result<Vec<Session>, StoreError> {
        let (state, now) = self.state();
        Ok(state.sessions(owner, limit, after, now))
    }

    async fn delete_session(&self, owner: &Owner, id: &SessionId) -> Result<bool, StoreError> {
        let (mut state, now) = self.state();
        Ok(state.delete_session(owner, id, now))
    }

    async fn messages(
        &self,
        owner: &Owner,
        id: &SessionId,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let (state, now) = self.state();
        Ok(state.messages(owner, id, limit, now))
    }

    async fn begin_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        let (mut state, _) = self.state();
        state.begin_run(run.clone())
    }

    async fn finish_turn(&self, turn: TurnRecord) -> Result<(), StoreError> {
        rule::well_formed(&turn)?;
        let (mut state, now) = self.state();
        state.finish_turn(turn, now)
    }

    async fn run(&self, owner: &Owner, id: RunId) -> Result<Option<RunRecord>, StoreError> {
        let (state, now) = self.state();
        Ok(state.run(owner, id, now).cloned())
    }

    async fn run_events(
        &self,
        owner: &Owner,
        id: RunId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let (state, now) = self.state();
        Ok(state.run_events(owner, id, after, now))
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (mut state, _) = self.state();
        Ok(state.sweep(now, rule::before(now, self.run_time_to_live)))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
