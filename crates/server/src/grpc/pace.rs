//! When text leaves: often enough to look fluent, seldom enough to stay few.
//!
//! Models send a word at a time; a frame for each would cost more than the words, and a client
//! that reads a bounded number of frames would not see a short turn's end. So the first text of
//! a turn leaves at once and what follows is gathered, for a span that grows from 20 ms to a
//! quarter of a second. A turn of up to two seconds takes at most 13 frames this way, however
//! its text is cut. Nothing is held back when the turn ends.

use std::time::Duration;

use tokio::time::Instant;

/// How long text is gathered after the first frame, the second, and so on; the last for ever.
const SPANS: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(250),
];

/// The most text that is gathered, in bytes; more leaves at once.
const MOST_GATHERED: usize = 16 * 1024;

/// Text on its way to the client.
#[derive(Debug, Default)]
pub(super) struct Pace {
    gathered: String,
    /// When text last left; none before the first.
    left_at: Option<Instant>,
    /// How many times text has left.
    frames: usize,
}

impl Pace {
    /// Adds text.
    pub(super) fn gather(&mut self, text: &str) {
        self.gathered.push_str(text);
    }

    /// When what is gathered must leave; none where nothing is.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.gathered.is_empty() {
            return None;
        }
        match self.left_at {
            Some(left_at) if self.gathered.len() < MOST_GATHERED => {
                let span = self.frames.saturating_sub(1).min(SPANS.len() - 1);
                Some(left_at + SPANS[span])
            }
            _ => Some(now),
        }
    }

    /// What is gathered, if it is time.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<String> {
        if self.due(now)? <= now { self.take(now) } else { None }
    }

    /// What is gathered, time or not; none where nothing is.
    pub(super) fn take(&mut self, now: Instant) -> Option<String> {
        if self.gathered.is_empty() {
            return None;
        }
        self.left_at = Some(now);
        self.frames += 1;
        Some(std::mem::take(&mut self.gathered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a turn of `count` words, `gap` apart, on a clock of its own, and returns the frames
    /// that it takes.
    fn frames(count: u32, gap: Duration) -> Vec<String> {
        let mut pace = Pace::default();
        let mut frames = Vec::new();
        let mut now = Instant::now();
        for index in 0..count {
            pace.gather(&format!("{index} "));
            frames.extend(pace.take_due(now));
            let next = now + gap;
            if let Some(due) = pace.due(now).filter(|due| *due < next) {
                frames.extend(pace.take_due(due));
            }
            now = next;
        }
        frames.extend(pace.take(now));
        frames
    }

    #[test]
    fn short_turns_take_few_frames_and_lose_nothing() {
        for milliseconds in [0, 1, 10, 20, 33, 50, 77, 99, 100] {
            for count in 1..=20 {
                let frames = frames(count, Duration::from_millis(milliseconds));
                let whole: String = (0..count).map(|index| format!("{index} ")).collect();
                assert_eq!(frames.concat(), whole);
                assert_eq!(frames[0], "0 ", "the first word leaves at once");
                assert!(frames.len() <= 13, "{count}x{milliseconds} ms: {} frames", frames.len());
            }
        }
    }

    #[test]
    fn many_small_words_take_as_few_frames_as_the_time_allows() {
        assert!(frames(1_000, Duration::from_millis(2)).len() <= 13);
        assert_eq!(frames(1_000, Duration::ZERO).len(), 2);
    }

    #[test]
    fn much_text_does_not_wait() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.gather("a");
        assert!(pace.take_due(now).is_some());
        pace.gather("b");
        assert!(pace.take_due(now).is_none(), "it is not time yet");
        pace.gather(&"c".repeat(MOST_GATHERED));
        assert_eq!(pace.take_due(now).map(|text| text.len()), Some(MOST_GATHERED + 1));
        assert!(pace.due(now).is_none());
    }
}
