//! How eagerly the relay may publish: normally as fast as it can, and after a failure ever more patiently.

use std::time::Duration;

/// Messages under way while nothing is wrong.
const MOST_UNDER_WAY: usize = 1_000;

/// What librdkafka keeps for brokers that are slow or away. What is beyond it is refused at once.
pub const BUFFERED_MESSAGES: usize = 100_000;
pub const BUFFERED_KIBIBYTES: usize = 32_768;

const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct Publishing {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    pause: Duration,
    /// On the monotonic clock.
    try_again_at: Duration,
}

/// What waits in the producer, or is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffered {
    pub messages: usize,
    pub bytes: usize,
}

impl Publishing {
    /// A publication failed at `now`. Returns whether this is news.
    pub fn failed(&mut self, now: Duration) -> bool {
        let Some(failing) = &mut self.failing else {
            self.failing = Some(Failing { pause: SHORTEST_PAUSE, try_again_at: now + SHORTEST_PAUSE });
            return true;
        };
        // What was handed over before the pause fails within it, and says nothing new.
        if now >= failing.try_again_at {
            failing.pause = (failing.pause * 2).min(LONGEST_PAUSE);
            failing.try_again_at = now + failing.pause;
        }
        false
    }

    /// A publication succeeded. Returns whether this is news.
    pub fn succeeded(&mut self) -> bool {
        self.failing.take().is_some()
    }

    /// How many messages may be handed over at `now`.
    pub fn free_capacity(&self, now: Duration, buffered: Buffered) -> usize {
        match &self.failing {
            Some(failing) if now < failing.try_again_at => 0,
            // A single one, to see whether it works again; its report is waited for.
            Some(_) => usize::from(buffered.messages == 0),
            None => buffered.free_capacity(),
        }
    }
}

impl Buffered {
    /// Everything up to half full, and from there less and less: callers who wait for an answer come first.
    fn free_capacity(self) -> usize {
        let free_of = |used: usize, limit: usize| MOST_UNDER_WAY * 2 * limit.saturating_sub(used) / limit;
        let free = free_of(self.messages, BUFFERED_MESSAGES).min(free_of(self.bytes, BUFFERED_KIBIBYTES * 1024));
        free.min(MOST_UNDER_WAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Buffered = Buffered { messages: 0, bytes: 0 };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn less_is_free_when_the_buffer_is_more_than_half_full() {
        let free = |messages, bytes| Publishing::default().free_capacity(seconds(0), Buffered { messages, bytes });
        assert_eq!(free(0, 0), 1_000);
        assert_eq!(free(50_000, 0), 1_000);
        assert_eq!(free(75_000, 0), 500);
        assert_eq!(free(200_000, 0), 0);
        assert_eq!(free(100, 24 * 1024 * 1024), 500);
        assert_eq!(free(100, 40 * 1024 * 1024), 0);
    }

    #[test]
    fn a_failure_makes_the_relay_wait_longer_each_time_up_to_five_seconds() {
        let mut publishing = Publishing::default();
        let mut now = seconds(100);
        assert!(publishing.failed(now));
        for pause in [1, 2, 4, 5, 5] {
            assert_eq!(publishing.free_capacity(now + seconds(pause) - Duration::from_millis(1), EMPTY), 0);
            now += seconds(pause);
            assert_eq!(publishing.free_capacity(now, EMPTY), 1);
            assert_eq!(publishing.free_capacity(now, Buffered { messages: 1, bytes: 100 }), 0);
            assert!(!publishing.failed(now));
            assert!(!publishing.failed(now));
        }
        assert!(publishing.succeeded());
        assert!(!publishing.succeeded());
        assert_eq!(publishing.free_capacity(now, EMPTY), 1_000);
        assert!(publishing.failed(now));
        assert_eq!(publishing.free_capacity(now + seconds(1), EMPTY), 1);
    }
}
