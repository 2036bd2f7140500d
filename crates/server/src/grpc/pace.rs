//! When text leaves: often enough to look fluent, seldom enough to stay few.
//!
//! Models send a word at a time; a frame for each would cost more than the words, and a client
//! that reads a bounded number of frames would not see a short turn's end. So the first text of
//! a turn leaves at once and what follows is gathered, for a span that grows from 20 ms to a
//! quarter of a second. A turn of up to two seconds takes at most 13 frames this way, however
//! its text is cut. Nothing is held back when the turn ends.
//!
//! And never so seldom that the turn looks dead: a facade gives up on a turn that sends nothing
//! for 120 s, which tools and models that think may well do. After half of that an empty text
//! leaves as a sign of life.

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

/// The longest time without a frame.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// Text on its way to the client.
#[derive(Debug)]
pub(super) struct Pace {
    gathered: String,
    /// When anything last left.
    left_at: Instant,
    /// How many times text has left.
    frames: usize,
}

impl Pace {
    /// The pace of a turn that begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self { gathered: String::new(), left_at: now, frames: 0 }
    }

    /// Adds text.
    pub(super) fn gather(&mut self, text: &str) {
        self.gathered.push_str(text);
    }

    /// When something must leave.
    pub(super) fn due(&self, now: Instant) -> Instant {
        if self.gathered.is_empty() {
            return self.left_at + LONGEST_SILENCE;
        }
        if self.gathered.len() >= MOST_GATHERED {
            return now;
        }
        match self.frames.checked_sub(1) {
            None => now,
            Some(span) => self.left_at + SPANS[span.min(SPANS.len() - 1)],
        }
    }

    /// What must leave now: what is gathered, or an empty text as a sign of life.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<String> {
        if self.due(now) > now {
            return None;
        }
        self.take(now).or_else(|| {
            self.spoke(now);
            Some(String::new())
        })
    }

    /// What is gathered, time or not; none where nothing is.
    pub(super) fn take(&mut self, now: Instant) -> Option<String> {
        if self.gathered.is_empty() {
            return None;
        }
        self.spoke(now);
        self.frames += 1;
        Some(std::mem::take(&mut self.gathered))
    }

    /// Notes that something other than text left.
    pub(super) fn spoke(&mut self, now: Instant) {
        self.left_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a turn of `count` words, `gap` apart, on a clock of its own, and returns the frames
    /// that it takes.
    fn frames(count: u32, gap: Duration) -> Vec<String> {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let mut frames = Vec::new();
        for index in 0..count {
            pace.gather(&format!("{index} "));
            frames.extend(pace.take_due(now));
            let next = now + gap;
            let due = pace.due(now);
            if due < next {
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
        let mut pace = Pace::new(now);
        pace.gather("a");
        assert!(pace.take_due(now).is_some());
        pace.gather("b");
        assert!(pace.take_due(now).is_none(), "it is not time yet");
        pace.gather(&"c".repeat(MOST_GATHERED));
        assert_eq!(pace.take_due(now).map(|text| text.len()), Some(MOST_GATHERED + 1));
        assert!(pace.due(now) > now);
    }

    #[test]
    fn a_long_silence_is_broken() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        assert_eq!(pace.take_due(began + LONGEST_SILENCE / 2), None);
        pace.spoke(began + LONGEST_SILENCE / 2);
        assert_eq!(pace.take_due(began + LONGEST_SILENCE), None);
        assert_eq!(pace.take_due(began + LONGEST_SILENCE * 3 / 2), Some(String::new()));
        assert_eq!(pace.take_due(began + LONGEST_SILENCE * 3 / 2), None);
    }
}
