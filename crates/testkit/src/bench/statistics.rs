//! Percentiles and medians of what was measured.

use std::time::Duration;

use serde::Serialize;

/// The percentiles that every latency row shows, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
}

impl Percentiles {
    /// Of so many latencies, in any order.
    pub(super) fn of(latencies: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = latencies.into_iter().collect();
        sorted.sort_unstable();
        let at = |share: f64| milliseconds(nearest_rank(&sorted, share));
        Self { p50: at(0.50), p95: at(0.95), p99: at(0.99) }
    }

    /// The median of each percentile over repeats of one measurement: one repeat that something else
    /// disturbed does not move it.
    pub(super) fn median(repeats: &[Self]) -> Self {
        let of = |field: fn(&Self) -> f64| median(repeats.iter().map(field));
        Self {
            p50: of(|repeat| repeat.p50),
            p95: of(|repeat| repeat.p95),
            p99: of(|repeat| repeat.p99),
        }
    }

    /// What this adds to `base`.
    pub(super) fn over(&self, base: &Self) -> Self {
        Self { p50: self.p50 - base.p50, p95: self.p95 - base.p95, p99: self.p99 - base.p99 }
    }
}

/// The smallest value that at least this share of the values does not exceed.
fn nearest_rank(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let value = sorted.get(rank.saturating_sub(1)).or(sorted.last());
    value.copied().unwrap_or_default()
}

/// The middle value; of an even number, the mean of the two in the middle; of none, zero.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let latencies = (1..=200).rev().map(Duration::from_millis);
        let percentiles = Percentiles::of(latencies);
        assert_eq!(percentiles, Percentiles { p50: 100.0, p95: 190.0, p99: 198.0 });
        let one = Percentiles::of([Duration::from_millis(7)]);
        assert_eq!(one, Percentiles { p50: 7.0, p95: 7.0, p99: 7.0 });
    }

    #[test]
    fn a_median_ignores_one_outlier() {
        assert_eq!(median([1.0, 900.0, 2.0]), 2.0);
        assert_eq!(median([1.0, 3.0]), 2.0);
        assert_eq!(median([]), 0.0);
    }
}
