//! What happens after a try: a pure function, so that retries and their times need no clock and no database to be tested.

use std::time::Duration;

use super::delivery::{Acceptance, DeliveryError, DeliveryErrorKind, FailureKind};
use crate::domain::Timestamp;

/// How often and after which waits a message is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The waits before the second, third, ... try; the last one repeats. Empty: no wait.
    pub backoff: Vec<Duration>,
}

/// A channel that asks for more than this is tried again after this long.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits are spread by this much either way, so that what failed together does not come back together.
const JITTER: f64 = 0.2;

/// The state that a try leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    Sent(Acceptance),
    Failed { failure: FailureKind, error: DeliveryError },
    Retry { at: Timestamp, error: DeliveryError },
}

impl RetryPolicy {
    /// What follows `verdict`, which ended at `now` as the `tries_begun`-th try of at most `max_tries`.
    ///
    /// `chance` is a random number from 0 to 1 that spreads the wait.
    pub fn after(
        &self,
        verdict: Result<Acceptance, DeliveryError>,
        tries_begun: u32,
        max_tries: u32,
        now: Timestamp,
        chance: f64,
    ) -> NextStep {
        let error = match verdict {
            Ok(acceptance) => return NextStep::Sent(acceptance),
            Err(error) => error,
        };
        let retry_after = match error.kind {
            DeliveryErrorKind::Permanent { failure } => return NextStep::Failed { failure, error },
            DeliveryErrorKind::Transient { retry_after } => retry_after,
            DeliveryErrorKind::Unknown => None,
        };
        if tries_begun >= max_tries {
            return NextStep::Failed { failure: FailureKind::Channel, error };
        }
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let wait = self.wait_after(tries_begun, chance).max(asked);
        NextStep::Retry { at: now + wait, error }
    }

    fn wait_after(&self, tries_begun: u32, chance: f64) -> Duration {
        let nth = usize::try_from(tries_begun.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.backoff.get(nth).or(self.backoff.last()).copied().unwrap_or_default();
        wait.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> RetryPolicy {
        RetryPolicy { backoff: [1, 4, 16].map(Duration::from_secs).to_vec() }
    }

    fn now() -> Timestamp {
        "2026-01-18T12:00:00Z".parse().unwrap()
    }

    fn wait(step: NextStep) -> f64 {
        match step {
            NextStep::Retry { at, .. } => (at - now()).as_seconds_f64(),
            other => panic!("no retry: {other:?}"),
        }
    }

    #[test]
    fn the_waits_follow_the_list_and_the_last_one_repeats() {
        for (tries, expected) in [(1, 1.0), (2, 4.0), (3, 16.0), (4, 16.0), (40, 16.0)] {
            let step = policy().after(Err(DeliveryError::transient("away")), tries, 100, now(), 0.5);
            assert!((wait(step) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn a_channel_that_says_when_is_believed_up_to_a_day() {
        let ask = |wait| DeliveryError::transient("busy").with_retry_after(Some(Duration::from_secs(wait)));
        assert!((wait(policy().after(Err(ask(30)), 1, 3, now(), 0.5)) - 30.0).abs() < 1e-6);
        assert!((wait(policy().after(Err(ask(u64::MAX)), 1, 3, now(), 0.5)) - 86_400.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(chance in 0.0..=1.0f64) {
            let waited = wait(policy().after(Err(DeliveryError::unknown("timeout")), 2, 3, now(), chance));
            prop_assert!((3.2 - 1e-6..=4.8 + 1e-6).contains(&waited));
        }

        #[test]
        fn no_try_is_left_after_the_last(tries in 1..10u32, max in 1..10u32) {
            let step = policy().after(Err(DeliveryError::transient("away")), tries, max, now(), 0.5);
            prop_assert_eq!(matches!(step, NextStep::Failed { .. }), tries >= max);
        }

        #[test]
        fn what_is_refused_for_good_is_never_tried_again(tries in 1..10u32, max in 1..10u32) {
            let step = policy().after(Err(DeliveryError::refused("no such number")), tries, max, now(), 0.5);
            let failed = matches!(step, NextStep::Failed { failure: FailureKind::Recipient, .. });
            prop_assert!(failed);
        }
    }
}
