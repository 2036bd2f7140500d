//! When to try again, and how long to wait before.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::header::HeaderMap;

/// A tool's retry policy. Without one in the tool file there is one attempt.
///
/// Requests are repeated as the file says, whatever the method: only its writer knows whether
/// doing something twice does harm.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How many attempts at most, the first included.
    pub max_attempts: u32,
    /// The wait before the second attempt.
    pub initial_backoff: Duration,
    /// What each further wait is multiplied by.
    pub backoff_multiplier: f64,
    /// The longest wait, whoever asks for it.
    pub max_backoff: Duration,
    /// The statuses that are tried again.
    pub retry_on: Vec<u16>,
    /// Whether connections that fail, break off or time out are tried again.
    pub retry_on_network_error: bool,
    /// Whether a `Retry-After` header sets the wait.
    pub respect_retry_after: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            initial_backoff: Duration::from_millis(100),
            backoff_multiplier: 2.0,
            max_backoff: Duration::from_secs(30),
            retry_on: vec![408, 429, 500, 502, 503, 504],
            retry_on_network_error: true,
            respect_retry_after: true,
        }
    }
}

impl RetryPolicy {
    /// How long to wait after `attempt` (from 1) failed, where the server asked for
    /// `retry_after`.
    pub(crate) fn wait(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        if let Some(asked) = retry_after.filter(|_| self.respect_retry_after) {
            return asked.min(self.max_backoff);
        }
        let steps = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial_backoff.as_secs_f64() * self.backoff_multiplier.powi(steps);
        let capped = seconds.min(self.max_backoff.as_secs_f64());
        Duration::try_from_secs_f64(capped * (0.9 + 0.2 * random())).unwrap_or(self.max_backoff)
    }
}

/// Between 0 and 1, from the random keys that the standard library seeds its hash maps with:
/// enough to keep waits from falling into step.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX)
}

/// How long a server asks to be left alone (RFC 9110, section 10.2.3): seconds or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::parse(text).ok()?.timestamp();
    let left = at.duration_since(Timestamp::now());
    // A time that is past asks for no wait.
    Some(Duration::try_from(left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_a_little_noise_up_to_the_cap() {
        let policy = RetryPolicy {
            max_backoff: Duration::from_secs(1),
            initial_backoff: Duration::from_millis(100),
            ..RetryPolicy::default()
        };
        for (attempt, milliseconds) in
            [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (900, 1000)]
        {
            let (low, high) = (milliseconds * 9 / 10, milliseconds * 11 / 10);
            for _ in 0..100 {
                let wait = policy.wait(attempt, None).as_millis();
                assert!((low..=high).contains(&wait), "{attempt}: {wait}");
            }
        }
    }

    #[test]
    fn the_servers_wish_counts_up_to_the_cap() {
        let policy = RetryPolicy::default();
        let asked = Some(Duration::from_secs(7));
        assert_eq!(policy.wait(1, asked), Duration::from_secs(7));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(999))), policy.max_backoff);
        let deaf = RetryPolicy { respect_retry_after: false, ..policy };
        assert!(deaf.wait(1, asked) < Duration::from_secs(1));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let header = |text: &str| {
            let value = reqwest::header::HeaderValue::from_str(text).unwrap();
            retry_after(&[(reqwest::header::RETRY_AFTER, value)].into_iter().collect())
        };
        assert_eq!(header("12"), Some(Duration::from_secs(12)));
        assert_eq!(header("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = Timestamp::now() + Duration::from_secs(100);
        let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&soon).unwrap();
        let left = header(&date).unwrap();
        assert!((95..=100).contains(&left.as_secs()), "{date}: {left:?}");
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(header(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
