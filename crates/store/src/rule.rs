//! What every store must decide alike.

use std::time::Duration;

use bartizan_engine::ports::store::{StoreError, TurnRecord};
use jiff::{SignedDuration, Timestamp};

/// A time as it is stored: whole microseconds since 1970, which reach over all years that a
/// timestamp can name, and are what PostgreSQL keeps.
pub(crate) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// The time that was stored. Numbers beyond what a timestamp can name become its ends.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// The time as a store gives it back.
pub(crate) fn rounded(time: Timestamp) -> Timestamp {
    timestamp(micros(time))
}

/// Whether something that ends at `expires_at` has ended.
pub(crate) fn expired(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|end| end <= now)
}

/// The moment that lies `span` before `now`; none where that is before all time.
pub(crate) fn before(now: Timestamp, span: Duration) -> Option<Timestamp> {
    now.checked_sub(SignedDuration::try_from(span).ok()?).ok()
}

/// When the messages of a turn were written.
pub(crate) fn written_at(turn: &TurnRecord, now: Timestamp) -> Timestamp {
    turn.run.finished_at.unwrap_or(now)
}

/// Refuses a turn that makes no sense: its run and its session must name the same owner and the
/// same session, or it would write into another's, and the ids of its events must count from 1,
/// because that is how readers ask for the rest.
pub(crate) fn well_formed(turn: &TurnRecord) -> Result<(), StoreError> {
    let together = turn.session.as_ref().is_none_or(|change| {
        change.session.owner == turn.run.owner
            && turn.run.session_id.as_ref() == Some(&change.session.id)
    });
    if !together {
        return Err(StoreError::Other("a turn's run and session do not belong together".into()));
    }
    if (1..).zip(&turn.events).any(|(id, event)| event.id != id) {
        return Err(StoreError::Other("the events of a turn do not count from 1".into()));
    }
    Ok(())
}
