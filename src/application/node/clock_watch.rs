//! Whether the wall clock was set.

use std::time::Duration;

use chrono::TimeDelta;

use crate::application::ports::Clock;
use crate::domain::Timestamp;

/// Compares the wall clock with the monotonic one, from one look to the next: so a clock that is drawn nearer slowly, as time
/// services do, is never taken for one that was set.
#[derive(Default)]
pub struct ClockWatch {
    last: Option<(Duration, Timestamp)>,
}

/// By how much the wall clock was set, and what it said afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    pub by: TimeDelta,
    pub now: Timestamp,
    /// Since the last look before, by the monotonic clock: it was set within this time.
    pub passed: TimeDelta,
}

impl ClockStep {
    /// What says that it was written between this and now was written after the clock was set.
    pub fn since(&self) -> Timestamp {
        if self.by < TimeDelta::zero() {
            // What says the same and was written before is as old as the step is large, to a second or so: it is left alone.
            return self.now - self.passed - TimeDelta::seconds(1);
        }
        // In the middle between the last that was written before and the first that was written after.
        self.now - (self.by + self.passed.min(self.by)) / 2
    }
}

/// What is less is waited for, or done so much too early.
const NOTICED: TimeDelta = TimeDelta::seconds(10);

/// Between the looks at the two clocks a process may lose its processor.
const AT_ONCE: Duration = Duration::from_secs(1);

impl ClockWatch {
    /// The step since the last look, if there was one.
    pub fn look(&mut self, clock: &dyn Clock) -> Option<ClockStep> {
        let (before, now, after) = (clock.monotonic(), clock.now(), clock.monotonic());
        if after.saturating_sub(before) > AT_ONCE {
            return None;
        }
        let last = self.last.replace((after, now));
        let (then, said) = last?;
        let passed = TimeDelta::from_std(after.saturating_sub(then)).unwrap_or(TimeDelta::MAX);
        let by = (now - said).checked_sub(&passed)?;
        (by.abs() >= NOTICED).then_some(ClockStep { by, now, passed })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// Seconds, monotonic and by the wall clock.
    struct Time(Mutex<(u64, i64)>);

    #[async_trait]
    impl Clock for Time {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH + TimeDelta::seconds(self.0.lock().unwrap().1)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.lock().unwrap().0)
        }

        async fn sleep(&self, _: Duration) {}
    }

    #[test]
    fn what_was_written_before_a_step_is_told_from_what_was_written_after() {
        let now = Timestamp::UNIX_EPOCH + TimeDelta::hours(10);
        let since = |by, passed| {
            let step = ClockStep { by: TimeDelta::seconds(by), now, passed: TimeDelta::seconds(passed) };
            (now - step.since()).num_seconds()
        };
        // Back: whatever its age, unless that is the step's.
        assert_eq!([since(-3_600, 0), since(-3_600, 30)], [1, 31]);
        // Ahead: all that is older than the step, and nothing of the time since the last look.
        assert_eq!([since(3_600, 0), since(10, 8), since(10, 60)], [1_800, 9, 10]);
    }

    #[test]
    fn a_step_is_noticed_once_and_a_clock_that_is_drawn_nearer_is_none() {
        let time = Time(Mutex::new((0, 10_000)));
        let mut watch = ClockWatch::default();
        let mut look = |monotonic, wall| {
            *time.0.lock().unwrap() = (monotonic, wall);
            watch.look(&time).map(|step| (step.by.num_seconds(), step.now.timestamp()))
        };
        assert_eq!(look(0, 10_000), None);
        // Both go on while a process is frozen, or its machine asleep.
        assert_eq!(look(4_000, 14_000), None);
        assert_eq!(look(4_001, 10_401), Some((-3_600, 10_401)));
        assert_eq!(look(4_002, 10_402), None);
        assert_eq!(look(4_003, 14_003), Some((3_600, 14_003)));
        for number in 1..100 {
            assert_eq!(look(4_003 + number, 14_003 + 6 * number.cast_signed()), None, "five seconds at a time");
        }
    }
}
