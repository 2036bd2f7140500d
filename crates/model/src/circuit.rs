//! The circuit breaker: a provider that keeps failing is left alone for a while, so that callers
//! fail, or go elsewhere, at once instead of waiting for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bartizan_engine::ports::model::ModelErrorKind;

use crate::settings::CircuitPolicy;

/// The breaker of one provider.
#[derive(Debug)]
pub(crate) struct Circuit {
    policy: CircuitPolicy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// Until when nobody is let through.
    open_until: Option<Instant>,
    /// Whether the one trial after an opening is under way.
    trying: bool,
}

impl Circuit {
    pub(crate) fn new(policy: CircuitPolicy) -> Arc<Self> {
        Arc::new(Self { policy, state: Mutex::default() })
    }

    /// Asks to make an attempt. The error is how long to stay away.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Pass, Duration> {
        let mut state = self.state();
        let mut trial = false;
        if let Some(until) = state.open_until {
            let now = Instant::now();
            if now < until {
                return Err(until - now);
            }
            if state.trying {
                return Err(self.policy.open_for);
            }
            state.trying = true;
            trial = true;
        }
        Ok(Pass { circuit: Arc::clone(self), trial })
    }

    /// Whether another attempt would be refused.
    pub(crate) fn is_open(&self) -> bool {
        self.state().open_until.is_some_and(|until| Instant::now() < until)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole at every moment, so another task's panic does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to make one attempt. Dropped without a verdict it counts as none: the caller went away.
#[derive(Debug)]
pub(crate) struct Pass {
    circuit: Arc<Circuit>,
    trial: bool,
}

impl Pass {
    /// The answer began: a trial is passed and others may come. The failures in a row still count
    /// until the answer is whole, or a provider that always breaks off would never be left alone.
    pub(crate) fn began(&mut self) {
        if std::mem::take(&mut self.trial) {
            let mut state = self.circuit.state();
            state.trying = false;
            state.open_until = None;
        }
    }

    /// The answer is whole.
    pub(crate) fn succeeded(mut self) {
        self.began();
        self.circuit.state().failures = 0;
    }

    /// The attempt failed. Only failures that say the provider is unwell count; one that refuses a
    /// request, or a key, is there and works.
    pub(crate) fn failed(mut self, kind: ModelErrorKind) {
        use ModelErrorKind as Kind;
        match kind {
            Kind::Unavailable | Kind::TimedOut | Kind::Interrupted | Kind::Malformed => {}
            Kind::RateLimited => return,
            Kind::Unauthorized | Kind::Rejected | Kind::ContextTooLong | Kind::Unsupported => {
                return self.succeeded();
            }
        }
        let trial = std::mem::take(&mut self.trial);
        let policy = self.circuit.policy;
        let mut state = self.circuit.state();
        state.failures = state.failures.saturating_add(1);
        if trial {
            state.trying = false;
        }
        if policy.failures > 0 && state.failures >= policy.failures {
            state.open_until = Some(Instant::now() + policy.open_for);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.trial {
            self.circuit.state().trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit(failures: u32, open_for: Duration) -> Arc<Circuit> {
        Circuit::new(CircuitPolicy { failures, open_for })
    }

    fn fail(circuit: &Arc<Circuit>) {
        circuit.enter().unwrap().failed(ModelErrorKind::Unavailable);
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let circuit = circuit(2, LONG);
        fail(&circuit);
        circuit.enter().unwrap().succeeded();
        fail(&circuit);
        assert!(circuit.enter().is_ok(), "one in a row");
        fail(&circuit);
        assert!(circuit.enter().is_err(), "two in a row");
    }

    #[test]
    fn one_trial_at_a_time_after_the_opening() {
        let circuit = circuit(1, Duration::ZERO);
        fail(&circuit);
        let trial = circuit.enter().unwrap();
        assert!(circuit.enter().is_err(), "a second trial");
        drop(trial);
        let mut trial = circuit.enter().expect("an abandoned trial frees its place");
        trial.began();
        assert!(circuit.enter().is_ok(), "others may come once a trial's answer began");
        trial.failed(ModelErrorKind::Interrupted);
        let trial = circuit.enter().expect("a trial again");
        assert!(circuit.enter().is_err(), "an answer that broke off opens it again");
        trial.succeeded();
        assert_eq!(circuit.state().failures, 0);
    }

    #[test]
    fn a_refusal_is_no_failure_of_the_provider() {
        let circuit = circuit(1, LONG);
        for kind in [ModelErrorKind::Rejected, ModelErrorKind::RateLimited] {
            circuit.enter().unwrap().failed(kind);
            assert!(circuit.enter().is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn zero_failures_turn_it_off() {
        let circuit = circuit(0, LONG);
        for _ in 0..100 {
            fail(&circuit);
        }
        assert!(circuit.enter().is_ok());
    }
}
