//! When to ask a provider again, and after which pause.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::header::HeaderMap;

use crate::settings::RetryPolicy;

impl RetryPolicy {
    /// The pause before another attempt after `attempts` failed ones; none where it is time to
    /// give up. `asked` is what the provider asks for.
    pub(crate) fn pause(&self, attempts: u32, asked: Option<Duration>) -> Option<Duration> {
        if attempts >= self.attempts {
            return None;
        }
        let doublings = attempts.saturating_sub(1).min(31);
        let most = self.initial_backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        match asked {
            // Coming back earlier than asked would only be refused again.
            Some(asked) if asked > self.max_backoff => None,
            Some(asked) => Some(asked + self.part_of(most.saturating_sub(asked))),
            None if self.jitter => Some(self.part_of(most)),
            None => Some(most),
        }
    }

    fn part_of(&self, most: Duration) -> Duration {
        if self.jitter { most.mul_f64(random_part()) } else { Duration::ZERO }
    }
}

/// A number from 0 to 1. The standard library's hasher keys are random, which is random enough to
/// spread clients and spares a dependency.
fn random_part() -> f64 {
    let bits = RandomState::new().hash_one(0_u8);
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}

/// The longest that anybody can ask for: a hundred years.
const AGES: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long the response asks to be left alone: `retry-after-ms`, as OpenAI and others send it, or
/// `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    // What is too long to be counted is as long as can be; what is negative or no number says
    // nothing.
    let seconds = |value: f64| {
        (value >= 0.0).then(|| Duration::try_from_secs_f64(value).unwrap_or(AGES).min(AGES))
    };
    if let Some(asked) = text("retry-after-ms").and_then(|value| value.parse::<f64>().ok()) {
        return seconds(asked / 1000.0);
    }
    let value = text("retry-after")?;
    if let Ok(asked) = value.parse::<f64>() {
        return seconds(asked);
    }
    let Ok(date) = DateTimeParser::new().parse_timestamp(value) else {
        // The last day of the year 9999, by which some mean "never", is beyond a time stamp.
        return value.contains(" 9999 ").then_some(AGES);
    };
    // A date in the past asks for nothing more.
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO).min(AGES))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 4,
        initial_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_millis(300),
        jitter: false,
    };

    fn ms(milliseconds: u64) -> Option<Duration> {
        Some(Duration::from_millis(milliseconds))
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..=4).map(|failed| POLICY.pause(failed, None)).collect();
        assert_eq!(pauses, [ms(100), ms(200), ms(300), None]);
    }

    #[test]
    fn jitter_takes_a_part() {
        let policy = RetryPolicy { jitter: true, ..POLICY };
        let pauses: Vec<_> = (0..50).map(|_| policy.pause(1, None).unwrap()).collect();
        assert!(pauses.iter().all(|pause| *pause <= ms(100).unwrap()));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "not always the same");
    }

    #[test]
    fn what_the_provider_asks_for_is_the_least_or_too_much() {
        assert_eq!(POLICY.pause(1, ms(250)), ms(250));
        assert_eq!(POLICY.pause(1, ms(301)), None, "longer than we would wait");
        assert_eq!(POLICY.pause(4, ms(1)), None, "no attempt left");
        let policy = RetryPolicy { jitter: true, ..POLICY };
        assert!(policy.pause(1, ms(50)).unwrap() >= ms(50).unwrap());
    }

    fn asked(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let now: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
        retry_after(&headers, now)
    }

    #[test]
    fn reads_every_form_of_retry_after() {
        assert_eq!(asked("retry-after", "7"), ms(7000));
        assert_eq!(asked("retry-after", "0.5"), ms(500));
        assert_eq!(asked("retry-after-ms", "120"), ms(120));
        assert_eq!(asked("retry-after", "Fri, 20 Nov 2026 08:00:30 GMT"), ms(30_000));
        assert_eq!(asked("retry-after", "Fri, 20 Nov 2026 07:00:00 GMT"), ms(0));
        assert_eq!(asked("retry-after", "soon"), None);
        assert_eq!(asked("retry-after", "-3"), None);
        assert_eq!(asked("retry-after", "NaN"), None);
        for ages in ["1e300", "inf", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(asked("retry-after", ages), Some(AGES), "{ages}");
        }
        assert_eq!(asked("retry-after-ms", "1e300"), Some(AGES));
        assert_eq!(asked("x-other", "3"), None);
    }
}
