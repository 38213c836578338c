//! The places among an instance's calls, and those that wait for one.

use std::collections::VecDeque;
use std::time::Duration;

use futures::channel::oneshot;

/// The calls of one instance, each of which has a pass. Kept while any is under way.
pub struct Occupancy<P> {
    pub calls: usize,
    /// How long its calls take, smoothed.
    pub takes: Duration,
    /// Whether one of them has ended: without, that is a guess.
    is_known: bool,
    /// Those that wait here for a place, as one is expected soon.
    pub waiting: VecDeque<oneshot::Sender<P>>,
    /// When there will be a place for the next message that is put off, by the monotonic clock.
    pub next_place: Duration,
}

/// What is known of an instance that has not been called yet.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// The weight of what was known before, against one call that has just ended.
const MEMORY: u32 = 7;

/// One that is expected to have a place sooner waits for it here: putting it off and taking it up again takes longer.
const SOON: Duration = Duration::from_millis(500);

impl<P> Occupancy<P> {
    pub fn at(now: Duration) -> Self {
        Self { calls: 0, takes: FIRST_GUESS, is_known: false, waiting: VecDeque::new(), next_place: now }
    }

    /// What is put off from now on waits as long as calls are known to take by now.
    pub fn has_taken(&mut self, time: Duration, now: Duration) {
        let before = self.takes;
        self.takes = (before * MEMORY + time) / (MEMORY + 1);
        self.is_known = true;
        let left = self.next_place.saturating_sub(now);
        if self.takes < before {
            self.next_place = now + left.mul_f64(self.takes.as_secs_f64() / before.as_secs_f64());
        }
    }

    pub fn next_waiting(&mut self, share: usize) -> Option<oneshot::Sender<P>> {
        self.waiting.retain(|waiting| !waiting.is_canceled());
        if self.calls > share { None } else { self.waiting.pop_front() }
    }

    /// A place among those that wait here, if its turn is expected soon.
    pub fn wait(&mut self, share: u32) -> Option<oneshot::Receiver<P>> {
        self.waiting.retain(|waiting| !waiting.is_canceled());
        let turn = u32::try_from(self.waiting.len() + 1).unwrap_or(u32::MAX);
        // One whose first calls are still under way may be one that hangs.
        if !self.is_known || self.takes.saturating_mul(turn) / share > SOON {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back(sender);
        Some(receiver)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn one_waits_here_only_where_its_turn_is_known_to_come_soon() {
        let mut occupancy = Occupancy::<()>::at(ms(0));
        occupancy.calls = 2;
        assert!(occupancy.wait(2).is_none(), "nothing is known");
        for _ in 0..30 {
            occupancy.has_taken(ms(100), ms(0));
        }
        let waiting: Vec<_> = std::iter::from_fn(|| occupancy.wait(2)).collect();
        assert!((7..=9).contains(&waiting.len()), "{} of 100 ms each, two at a time", waiting.len());
        drop(waiting);
        assert!(occupancy.wait(2).is_some(), "those that have given up are not ahead");
    }

    #[test]
    fn what_is_put_off_waits_as_long_as_calls_take_by_now() {
        let mut occupancy = Occupancy::<()>::at(ms(0));
        occupancy.next_place = ms(80_000);
        for _ in 0..40 {
            occupancy.has_taken(ms(2), ms(0));
        }
        assert!(occupancy.next_place < ms(1_000), "{:?}", occupancy.next_place);
        let before = occupancy.next_place;
        occupancy.has_taken(ms(10_000), ms(0));
        assert_eq!(occupancy.next_place, before, "those that are put off already come back at their times");
    }

    #[test]
    fn a_place_is_given_to_those_that_wait_in_their_order() {
        let mut occupancy = Occupancy::<()>::at(ms(0));
        occupancy.calls = 1;
        for _ in 0..20 {
            occupancy.has_taken(ms(1), ms(0));
        }
        let first = occupancy.wait(1).unwrap();
        let mut second = occupancy.wait(1).unwrap();
        drop(first);
        drop(occupancy.next_waiting(1));
        assert!((&mut second).now_or_never().is_some(), "the first has given up: it is the turn of the second");
        occupancy.calls = 2;
        let _third = occupancy.wait(1);
        assert!(occupancy.next_waiting(1).is_none(), "it takes one call at a time since");
    }
}
