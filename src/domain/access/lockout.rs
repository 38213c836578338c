//! Guessing passwords is slowed down: a name is locked after some failures, whether or not a user has it.

use std::time::Duration;

use crate::domain::Timestamp;

/// So many failures lock a name.
pub const FAILURES: usize = 5;

/// All of them within this time.
pub const WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long a name stays locked after the last of them.
pub const LASTS: Duration = Duration::from_secs(15 * 60);

/// By how much the clocks of two processes may differ.
const SKEW: Duration = Duration::from_secs(60);

/// When signing in with one name failed lately; oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(Vec<Timestamp>);

impl Failures {
    /// Those that were kept, in any order.
    pub fn new(mut times: Vec<Timestamp>) -> Self {
        times.sort_unstable();
        let superfluous = times.len().saturating_sub(FAILURES);
        times.drain(..superfluous);
        Self(times)
    }

    pub fn times(&self) -> &[Timestamp] {
        &self.0
    }

    /// Until when the name is locked, if it is at `now`.
    pub fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        let past: Vec<Timestamp> = self.0.iter().copied().filter(|at| !is_ahead(*at, now)).collect();
        let [first, .., last] = past.as_slice() else { return None };
        let is_locked = past.len() == FAILURES && *last - *first < delta(WITHIN);
        Some(*last + LASTS).filter(|until| is_locked && now < *until)
    }

    /// With one more.
    #[must_use]
    pub fn and(mut self, now: Timestamp) -> Self {
        self.0.retain(|at| now - *at < delta(WITHIN) && !is_ahead(*at, now));
        self.0.push(now);
        Self::new(self.0)
    }
}

/// A clock that was ahead must lock nobody out until its time comes; those of two processes may differ a little.
fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at - now > delta(SKEW)
}

fn delta(duration: Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::TimeDelta::minutes(minutes)
    }

    fn after(minutes: &[i64]) -> Failures {
        minutes.iter().fold(Failures::default(), |failures, minute| failures.and(at(*minute)))
    }

    #[test]
    fn five_failures_in_fifteen_minutes_lock_for_fifteen_minutes() {
        assert_eq!(after(&[0, 1, 2, 3]).locked_until(at(3)), None);
        let locked = after(&[0, 1, 2, 3, 14]);
        assert_eq!(locked.locked_until(at(14)), Some(at(29)));
        assert_eq!(locked.locked_until(at(28)), Some(at(29)));
        assert_eq!(locked.locked_until(at(29)), None);
    }

    #[test]
    fn failures_that_are_far_apart_lock_nothing() {
        assert_eq!(after(&[0, 4, 8, 12, 16, 20, 24]).locked_until(at(24)), None);
        assert_eq!(after(&[0, 12, 13, 14, 15, 16]).locked_until(at(16)), Some(at(31)), "the window slides");
    }

    #[test]
    fn after_a_lock_counting_starts_again() {
        let locked = after(&[0, 1, 2, 3, 4]);
        assert_eq!(locked.clone().and(at(19)).locked_until(at(19)), None);
        assert_eq!(locked.and(at(19)).times(), [at(19)]);
    }

    #[test]
    fn a_clock_that_was_ahead_locks_nobody_out() {
        let ahead = after(&[10_000, 10_001, 10_002, 10_003, 10_004]);
        assert_eq!(ahead.locked_until(at(0)), None);
        assert_eq!(ahead.and(at(0)).times(), [at(0)]);
        let a_little = Failures::new((0..5).map(|second| at(5) + chrono::TimeDelta::seconds(second)).collect());
        assert!(a_little.locked_until(at(5)).is_some(), "that of another process");
    }
}
