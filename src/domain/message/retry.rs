//! What happens after a try: a pure function, so that retries and their times need no clock and no database to be tested.

use std::borrow::Cow;
use std::time::Duration;

use super::deferral::longest_pause;
use super::delivery::{
    Acceptance, DeliveryError, DeliveryErrorKind, EARLIER_MAY_HAVE_BEEN_DELIVERED, FailureKind, MAY_HAVE_BEEN_DELIVERED,
};
use super::{Message, MessageStatus, Purpose};
use crate::domain::Timestamp;

/// How often and after which waits a message is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The waits before the second, third, ... try; the last one repeats. Empty: no wait.
    pub backoff: Vec<Duration>,
    /// How long a message is put off because no process can deliver it, before it fails. One that only waits for a place of
    /// its instance never fails for that.
    pub undeliverable_after: Duration,
}

/// What has become of a message so far.
#[derive(Clone, Copy, Debug)]
pub struct SoFar {
    pub tries_begun: u32,
    pub max_tries: u32,
    pub deferrals: u32,
    pub deferred_since: Option<Timestamp>,
    /// Its caller waits for its one try, and decides itself what follows.
    pub is_awaited: bool,
    /// Whether it is tried again when it may have been taken.
    pub retries_unknown: bool,
    /// An earlier try may have been taken.
    pub is_unanswered: bool,
    /// Since when it tries to tell of another message, if it does: it goes on for days, and more and more rarely, also after an
    /// answer that refuses it.
    pub tells_since: Option<Timestamp>,
}

impl SoFar {
    /// `keeps_trying`: also where its caller waits.
    pub fn of(message: &Message, retries_unknown: bool, keeps_trying: bool) -> Self {
        let is_awaited = message.status == MessageStatus::Pending && !keeps_trying;
        Self {
            tries_begun: message.tries,
            max_tries: if is_awaited { message.tries } else { message.max_tries },
            deferrals: message.deferrals,
            deferred_since: message.deferred_since,
            is_awaited,
            retries_unknown,
            is_unanswered: message.is_unanswered,
            tells_since: message.purpose.map(|Purpose::Status| message.created_at),
        }
    }
}

impl SoFar {
    /// Whatever the last try ended with: what an earlier one may have delivered is not known to have failed.
    fn failed(&self, failure: FailureKind, error: DeliveryError) -> NextStep {
        if self.is_unanswered {
            return unknown(error, EARLIER_MAY_HAVE_BEEN_DELIVERED);
        }
        NextStep::Failed { failure, error }
    }
}

fn unknown(mut error: DeliveryError, and: &str) -> NextStep {
    if !error.reason.ends_with('.') {
        error.reason.push('.');
    }
    error.reason.push_str(and);
    NextStep::Failed { failure: FailureKind::Unknown, error }
}

/// A channel that asks for more than this is tried again after this long.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait of a message that tells of another is at least this part of its age: so a receiver that is away for long is not called
/// all the time, and one that is back hears of it soon, by the measure of how long it was away.
const PART_OF_AGE: u32 = 4;

/// But no longer than this.
const LONGEST_OF_AGE: Duration = Duration::from_secs(60 * 60);

/// Waits are spread by this much either way, so that what failed together does not come back together.
const JITTER: f64 = 0.2;

/// The state that a try leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    Sent(Acceptance),
    Failed {
        failure: FailureKind,
        error: DeliveryError,
    },
    Retry {
        at: Timestamp,
        error: DeliveryError,
    },
    /// The channel was not called: nothing is spent. The error says why not.
    PutOff {
        at: Timestamp,
        error: DeliveryError,
    },
}

impl RetryPolicy {
    /// The same with other waits, if there are others.
    #[must_use]
    pub fn with_backoff(&self, backoff: Option<&[Duration]>) -> Cow<'_, Self> {
        match backoff {
            None => Cow::Borrowed(self),
            Some(backoff) => Cow::Owned(Self { backoff: backoff.to_vec(), ..*self }),
        }
    }

    /// What follows `verdict`, which ended the last try at `now`.
    ///
    /// `chance` is a random number from 0 to 1 that spreads the wait.
    pub fn after(
        &self,
        verdict: Result<Acceptance, DeliveryError>,
        so_far: &SoFar,
        now: Timestamp,
        chance: f64,
    ) -> NextStep {
        let &SoFar { tries_begun, max_tries, .. } = so_far;
        let mut error = match verdict {
            Ok(acceptance) => return NextStep::Sent(acceptance),
            Err(error) => error,
        };
        if error.kind != DeliveryErrorKind::Unknown && !so_far.is_unanswered {
            error.channel_message_id = None;
        }
        let retry_after = match error.kind {
            // A receiver may be mended, and so may the row of an instance that no client sees.
            DeliveryErrorKind::Permanent { .. } if so_far.tells_since.is_some() && tries_begun < max_tries => None,
            DeliveryErrorKind::Permanent { failure } => return so_far.failed(failure, error),
            DeliveryErrorKind::InstanceOff { pause, .. } => return self.put_off(error, pause, so_far, now),
            DeliveryErrorKind::NotNow { pause, is_undeliverable } => {
                let since = so_far.deferred_since.filter(|_| is_undeliverable);
                return self.put_off(error, pause, &SoFar { deferred_since: since, ..*so_far }, now);
            }
            DeliveryErrorKind::Transient { retry_after } => retry_after,
            DeliveryErrorKind::Unknown if so_far.retries_unknown && tries_begun < max_tries => None,
            DeliveryErrorKind::Unknown => return unknown(error, MAY_HAVE_BEEN_DELIVERED),
        };
        if tries_begun >= max_tries {
            return so_far.failed(FailureKind::Channel, error);
        }
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let age = so_far.tells_since.and_then(|since| (now - since).to_std().ok()).unwrap_or_default();
        let by_age = (age / PART_OF_AGE).min(LONGEST_OF_AGE);
        let wait = self.wait_after(tries_begun, by_age, chance).max(asked);
        NextStep::Retry { at: now + wait, error }
    }

    /// Fails it at last: what no process can deliver must not wait for ever.
    fn put_off(&self, mut error: DeliveryError, pause: Duration, so_far: &SoFar, now: Timestamp) -> NextStep {
        let is_over = |since: Timestamp| (now - since).to_std().is_ok_and(|waited| waited >= self.undeliverable_after);
        let has_waited = so_far.deferred_since.is_some_and(is_over);
        if has_waited {
            error.reason.push_str(" It was put off for UNDELIVERABLE_AFTER.");
        }
        if has_waited || so_far.is_awaited {
            return so_far.failed(FailureKind::Channel, error);
        }
        NextStep::PutOff { at: now + pause.min(longest_pause(so_far.deferrals)), error }
    }

    fn wait_after(&self, tries_begun: u32, at_least: Duration, chance: f64) -> Duration {
        let nth = usize::try_from(tries_begun.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.backoff.get(nth).or(self.backoff.last()).copied().unwrap_or_default();
        wait.max(at_least).mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            backoff: [1, 4, 16].map(Duration::from_secs).to_vec(),
            undeliverable_after: Duration::from_secs(3_600),
        }
    }

    fn now() -> Timestamp {
        "2026-01-18T12:00:00Z".parse().unwrap()
    }

    fn so_far(tries_begun: u32, max_tries: u32) -> SoFar {
        SoFar {
            tries_begun,
            max_tries,
            deferrals: 0,
            deferred_since: None,
            is_awaited: false,
            retries_unknown: true,
            is_unanswered: false,
            tells_since: None,
        }
    }

    fn wait(step: NextStep) -> f64 {
        match step {
            NextStep::Retry { at, .. } => (at - now()).as_seconds_f64(),
            other => panic!("no retry: {other:?}"),
        }
    }

    #[test]
    fn what_tells_of_another_message_is_tried_more_and_more_rarely_also_when_it_is_refused() {
        let refused = || Err(DeliveryError::refused("HTTP 404 from the webhook"));
        let after = |age: u64, tries_begun| {
            let tells_since = Some(now() - Duration::from_secs(age));
            policy().after(refused(), &SoFar { tells_since, ..so_far(tries_begun, 100) }, now(), 0.5)
        };
        for (age, tries, expected) in
            [(0, 1, 1.0), (20, 3, 16.0), (400, 9, 100.0), (7_200, 30, 1_800.0), (172_800, 60, 3_600.0)]
        {
            assert_eq!(wait(after(age, tries)), expected, "{age}");
        }
        assert!(matches!(after(259_200, 100), NextStep::Failed { failure: FailureKind::Recipient, .. }));
        let told = SoFar { tells_since: Some(now()), ..so_far(1, 100) };
        let unreadable = policy().after(Err(DeliveryError::misconfigured("unreadable")), &told, now(), 0.5);
        assert_eq!(wait(unreadable), 1.0);
    }

    #[test]
    fn the_waits_follow_the_list_and_the_last_one_repeats() {
        for (tries, expected) in [(1, 1.0), (2, 4.0), (3, 16.0), (4, 16.0), (40, 16.0)] {
            let step = policy().after(Err(DeliveryError::transient("away")), &so_far(tries, 100), now(), 0.5);
            assert!((wait(step) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn a_channel_that_says_when_is_believed_up_to_a_day() {
        let ask = |wait| DeliveryError::transient("busy").with_retry_after(Some(Duration::from_secs(wait)));
        assert!((wait(policy().after(Err(ask(30)), &so_far(1, 3), now(), 0.5)) - 30.0).abs() < 1e-6);
        assert!((wait(policy().after(Err(ask(u64::MAX)), &so_far(1, 3), now(), 0.5)) - 86_400.0).abs() < 1e-6);
    }

    #[test]
    fn what_this_process_cannot_do_waits_longer_each_time_and_fails_at_last() {
        let cannot = || Err(DeliveryError::not_now("no such channel here.", Duration::MAX));
        for (deferrals, pause) in [(0, 10), (1, 20), (9, 5_120), (u32::MAX, 5_120)] {
            let so_far = SoFar { deferrals, deferred_since: Some(now()), ..so_far(9, 3) };
            let NextStep::PutOff { at, .. } = policy().after(cannot(), &so_far, now(), 0.5) else { panic!("failed") };
            assert_eq!((at - now()).num_seconds(), pause, "whatever its tries");
        }
        let since = now() - Duration::from_secs(3_600);
        let so_far = SoFar { deferrals: 5, deferred_since: Some(since), ..so_far(1, 3) };
        let NextStep::Failed { error, .. } = policy().after(cannot(), &so_far, now(), 0.5) else { panic!("put off") };
        assert_eq!(error.reason, "no such channel here. It was put off for UNDELIVERABLE_AFTER.");
    }

    #[test]
    fn what_waits_for_a_place_of_its_instance_never_fails_for_that() {
        let busy = || Err(DeliveryError::no_place("as many calls at once as it may have.", Duration::from_secs(600)));
        let since = now() - Duration::from_secs(30 * 24 * 3_600);
        let so_far = SoFar { deferrals: 100, deferred_since: Some(since), ..so_far(1, 3) };
        let NextStep::PutOff { at, .. } = policy().after(busy(), &so_far, now(), 0.5) else { panic!("failed") };
        assert_eq!((at - now()).num_seconds(), 600);
    }

    #[test]
    fn nobody_waits_for_another_process_while_his_caller_waits_for_him() {
        let awaited = SoFar { is_awaited: true, ..so_far(1, 1) };
        let step = policy().after(Err(DeliveryError::not_now("not here", Duration::MAX)), &awaited, now(), 0.5);
        assert!(matches!(step, NextStep::Failed { failure: FailureKind::Channel, .. }));
    }

    #[test]
    fn what_may_have_been_taken_is_tried_again_only_where_that_was_chosen() {
        let lost = || Err(DeliveryError::unknown("No answer in time").known_as("3EB0"));
        assert!(matches!(policy().after(lost(), &so_far(1, 3), now(), 0.5), NextStep::Retry { .. }));
        let once = SoFar { retries_unknown: false, ..so_far(1, 3) };
        for last in [once, so_far(3, 3), SoFar { is_awaited: true, ..so_far(1, 1) }] {
            let NextStep::Failed { failure, error } = policy().after(lost(), &last, now(), 0.5) else {
                panic!("goes on")
            };
            assert_eq!((failure, error.channel_message_id.as_deref()), (FailureKind::Unknown, Some("3EB0")));
            assert_eq!(error.reason, "No answer in time. It may have been delivered.");
        }
    }

    #[test]
    fn what_an_earlier_try_may_have_delivered_is_not_known_to_have_failed() {
        let unanswered = SoFar { is_unanswered: true, ..so_far(3, 3) };
        let since = Some(now() - Duration::from_secs(3_600));
        for (error, so_far) in [
            (DeliveryError::refused("No such number"), unanswered),
            (DeliveryError::misconfigured("No such number"), unanswered),
            (DeliveryError::transient("No such number"), unanswered),
            (DeliveryError::not_now("No such number", Duration::MAX), SoFar { deferred_since: since, ..unanswered }),
        ] {
            let error = error.known_as("3EB0");
            let NextStep::Failed { failure, error } = policy().after(Err(error), &so_far, now(), 0.5) else {
                panic!("goes on")
            };
            assert_eq!((failure, error.channel_message_id.as_deref()), (FailureKind::Unknown, Some("3EB0")));
            assert!(error.reason.ends_with(". An earlier try may have been delivered."), "{}", error.reason);
        }
        let refused = DeliveryError::refused("No such number").known_as("3EB0");
        let NextStep::Failed { failure, error } = policy().after(Err(refused), &so_far(3, 3), now(), 0.5) else {
            panic!("goes on")
        };
        assert_eq!((failure, error.channel_message_id), (FailureKind::Recipient, None), "it never had the name");
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(chance in 0.0..=1.0f64) {
            let waited = wait(policy().after(Err(DeliveryError::unknown("timeout")), &so_far(2, 3), now(), chance));
            prop_assert!((3.2 - 1e-6..=4.8 + 1e-6).contains(&waited));
        }

        #[test]
        fn no_try_is_left_after_the_last(tries in 1..10u32, max in 1..10u32) {
            let step = policy().after(Err(DeliveryError::transient("away")), &so_far(tries, max), now(), 0.5);
            prop_assert_eq!(matches!(step, NextStep::Failed { .. }), tries >= max);
        }

        #[test]
        fn what_is_refused_for_good_is_never_tried_again(tries in 1..10u32, max in 1..10u32) {
            let step = policy().after(Err(DeliveryError::refused("no such number")), &so_far(tries, max), now(), 0.5);
            let failed = matches!(step, NextStep::Failed { failure: FailureKind::Recipient, .. });
            prop_assert!(failed);
        }
    }
}
