//! The circuit breaker: a server that keeps failing is left alone for a while.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// After this many failures in a row the tool rests.
const FAILURES: u32 = 5;

/// How long it rests before one call may try again.
const REST: Duration = Duration::from_secs(30);

/// Of one tool.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while open.
    rests_until: Option<Instant>,
    /// Whether a call is out to see if the server is back.
    trying: bool,
}

/// Leave to make one attempt; say how it went. Dropped without a word (the turn was cancelled),
/// it counts as neither.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    breaker: &'a Breaker,
    trial: bool,
}

impl Breaker {
    /// Leave to make an attempt.
    ///
    /// # Errors
    /// How long the tool still rests.
    pub(crate) fn attempt(&self) -> Result<Attempt<'_>, Duration> {
        let mut state = self.state();
        let Some(until) = state.rests_until else {
            return Ok(Attempt { breaker: self, trial: false });
        };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() || state.trying {
            return Err(left);
        }
        state.trying = true;
        Ok(Attempt { breaker: self, trial: true })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics, and the state is sound after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The server is there: it answered, if only that the request was wrong.
    pub(crate) fn succeeded(self) {
        let mut state = self.breaker.state();
        state.failures = 0;
        state.rests_until = None;
    }

    /// The server could not be reached, or failed.
    pub(crate) fn failed(self) {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.rests_until = Some(Instant::now() + REST);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.breaker.state().trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.attempt().unwrap().failed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it() {
        let breaker = Breaker::default();
        fail(&breaker, 4);
        breaker.attempt().unwrap().succeeded();
        fail(&breaker, 4);
        breaker.attempt().unwrap().failed();
        assert_eq!(breaker.attempt().unwrap_err(), REST);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(breaker.attempt().unwrap_err(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_trial_decides() {
        let breaker = Breaker::default();
        fail(&breaker, 5);
        tokio::time::advance(REST).await;
        let trial = breaker.attempt().unwrap();
        breaker.attempt().unwrap_err();
        trial.failed();
        assert_eq!(breaker.attempt().unwrap_err(), REST);
        tokio::time::advance(REST).await;
        breaker.attempt().unwrap().succeeded();
        fail(&breaker, 4);
        breaker.attempt().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_given_up_leaves_room_for_another() {
        let breaker = Breaker::default();
        fail(&breaker, 5);
        tokio::time::advance(REST).await;
        drop(breaker.attempt().unwrap());
        breaker.attempt().unwrap().succeeded();
        breaker.attempt().unwrap();
    }
}
