//! One turn at a time per session.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::{
    failure::{Failure, FailureCode},
    identity::SessionId,
    limits::WhenBusy,
    owner::Owner,
};

/// The name of a session among those of all owners.
type Key = (Owner, SessionId);

/// Where turns queue for their session. A session nobody waits for takes no memory for long.
#[derive(Debug, Default)]
pub(crate) struct SessionLocks {
    locks: Mutex<HashMap<Key, Weak<AsyncMutex<()>>>>,
}

/// A place in a session's queue.
#[derive(Debug)]
pub(crate) enum Seat {
    /// Others are before.
    Queued(Arc<AsyncMutex<()>>),
    /// Nobody is.
    Held(OwnedMutexGuard<()>),
}

impl SessionLocks {
    /// A place in this session's queue.
    ///
    /// # Errors
    /// [`FailureCode::SessionBusy`] where others are before and that is to be refused.
    pub(crate) fn seat(
        &self,
        owner: &Owner,
        id: &SessionId,
        when_busy: WhenBusy,
    ) -> Result<Seat, Failure> {
        let lock = self.lock(owner, id);
        match (Arc::clone(&lock).try_lock_owned(), when_busy) {
            (Ok(guard), _) => Ok(Seat::Held(guard)),
            (Err(_), WhenBusy::Wait) => Ok(Seat::Queued(lock)),
            (Err(_), WhenBusy::Refuse) => Err(Failure::new(
                FailureCode::SessionBusy,
                "another turn of this session is running; wait for it to end",
            )
            .param("session_id")),
        }
    }

    fn lock(&self, owner: &Owner, id: &SessionId) -> Arc<AsyncMutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (owner.clone(), id.clone());
        if let Some(lock) = locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        // Locks that nobody holds are dropped when the map would grow, which costs each
        // insertion a constant on average.
        if locks.len() == locks.capacity() {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(key, Arc::downgrade(&lock));
        lock
    }
}

impl Seat {
    /// Waits for those before; first come, first served.
    pub(crate) async fn take(self) -> OwnedMutexGuard<()> {
        match self {
            Self::Queued(lock) => lock.lock_owned().await,
            Self::Held(guard) => guard,
        }
    }
}
