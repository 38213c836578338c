use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The ends of the steps in which durations are counted, in milliseconds.
pub const BOUNDS: [u64; 13] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

/// What this process has done with events since it started. Copies are the same tally.
#[derive(Clone, Default)]
pub struct EventTally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    processed: AtomicU64,
    failed: AtomicU64,
    /// Of durations up to each bound, and beyond the last.
    durations: [AtomicU64; BOUNDS.len() + 1],
    milliseconds: AtomicU64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTallySnapshot {
    pub received: u64,
    pub processed: u64,
    /// For good.
    pub failed: u64,
    /// How many took no longer than each of [`BOUNDS`].
    pub within: [u64; BOUNDS.len()],
    /// How many durations there are, and their sum.
    pub ended: u64,
    pub took: Duration,
}

impl EventTally {
    pub fn received(&self) {
        self.0.received.fetch_add(1, Ordering::Relaxed);
    }

    pub fn processed(&self, took: Duration) {
        self.0.processed.fetch_add(1, Ordering::Relaxed);
        self.took(took);
    }

    /// For good.
    pub fn failed(&self, took: Duration) {
        self.0.failed.fetch_add(1, Ordering::Relaxed);
        self.took(took);
    }

    fn took(&self, duration: Duration) {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| *bound < milliseconds);
        self.0.durations[place].fetch_add(1, Ordering::Relaxed);
        self.0.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> EventTallySnapshot {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (mut within, mut ended) = ([0; BOUNDS.len()], 0);
        for (place, count) in self.0.durations.iter().enumerate() {
            ended += load(count);
            if let Some(within) = within.get_mut(place) {
                *within = ended;
            }
        }
        EventTallySnapshot {
            received: load(&self.0.received),
            processed: load(&self.0.processed),
            failed: load(&self.0.failed),
            within,
            ended,
            took: Duration::from_millis(load(&self.0.milliseconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_in_each_step_that_holds_them() {
        let tally = EventTally::default();
        tally.received();
        tally.processed(Duration::from_millis(5));
        tally.processed(Duration::from_millis(6));
        tally.failed(Duration::from_secs(90));
        let counts = tally.snapshot();
        assert_eq!((counts.received, counts.processed, counts.failed), (1, 2, 1));
        assert_eq!((counts.within[0], counts.within[1], counts.within[BOUNDS.len() - 1]), (1, 2, 2));
        assert_eq!((counts.ended, counts.took), (3, Duration::from_millis(90_011)));
    }
}
