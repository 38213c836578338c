//! How many messages of a broadcast come due a minute: slots, one after the other, whichever process makes its messages.

use chrono::TimeDelta;

use crate::domain::Timestamp;

/// Messages of one broadcast a minute, over all processes that make them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastRate {
    per_minute: u32,
}

/// Messages are made so long before their slots at the most: as many are sent after a pause, and together when all processes were
/// away.
pub const LEAD: TimeDelta = TimeDelta::seconds(30);

/// More are made when the next slot is no further off: not one by one, and in time where another process has to take over.
const REFILL: TimeDelta = TimeDelta::seconds(15);

/// A next slot that is further off was written by a clock that was set back since: beyond the lead and the longest interval, a
/// minute, it is two minutes, which the clocks of two processes may be apart.
const FARTHEST: TimeDelta = TimeDelta::seconds(30 + 60 + 120);

/// However slow it is, so many may be open: some wait for their next try.
const LEAST_OPEN: u32 = 10;

const MINUTE: i64 = 60_000_000_000;
const MILLISECOND: i64 = 1_000_000;

/// The slots that messages may have that are made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    rate: BroadcastRate,
    first: Timestamp,
    /// How many messages may be made.
    pub count: u32,
}

impl BroadcastRate {
    /// One of zero, which nobody can give, counts as one.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1) }
    }

    /// How many of its messages may be open, a minute's worth: were none sent for a while, no more of them go out together then.
    pub fn most_open(self) -> u32 {
        self.per_minute.max(LEAST_OPEN)
    }

    /// The slots within the [`LEAD`], from `paced_at` on, the next one that no message has. Those that are past are lost. None, as
    /// long as enough messages are made.
    pub fn slots(self, paced_at: Option<Timestamp>, now: Timestamp) -> Slots {
        if paced_at.is_some_and(|next| next > later(now, FARTHEST)) {
            // Whatever was made is sent within the lead, as it goes along with the clock that was set: this one is behind it.
            return Slots { rate: self, first: self.after(later(now, LEAD), 1), count: 1 };
        }
        let first = whole(paced_at.map_or(now, |next| next.max(now)));
        let ahead = first - now;
        let count = if ahead > REFILL { 0 } else { nanos(LEAD - ahead) / self.interval() + 1 };
        Slots { rate: self, first, count: u32::try_from(count).unwrap_or(u32::MAX) }
    }

    /// Between which times a next slot says that enough messages are made: nothing has to be asked for until then.
    pub fn enough(now: Timestamp) -> (Timestamp, Timestamp) {
        (later(now, REFILL), later(now, FARTHEST))
    }

    /// The time of the slot that is so many after this one, which need not be its first.
    pub fn after(self, slot: Timestamp, slots: i64) -> Timestamp {
        whole(later(slot, TimeDelta::nanoseconds(self.interval().saturating_mul(slots))))
    }

    /// Nanoseconds from one slot to the next: rounded up, so never faster than asked for.
    fn interval(self) -> i64 {
        (MINUTE - 1) / i64::from(self.per_minute) + 1
    }
}

impl Slots {
    /// The time of one of them, the first being 0; that of the number after the last is the next slot's.
    pub fn nth(&self, number: u32) -> Timestamp {
        self.rate.after(self.first, number.into())
    }
}

/// Up to whole milliseconds, which every database keeps: what is cut off would add up.
fn whole(time: Timestamp) -> Timestamp {
    let beyond = i64::from(time.timestamp_subsec_nanos()) % MILLISECOND;
    later(time, TimeDelta::nanoseconds((MILLISECOND - beyond) % MILLISECOND))
}

fn later(time: Timestamp, by: TimeDelta) -> Timestamp {
    time.checked_add_signed(by).unwrap_or(time)
}

fn nanos(span: TimeDelta) -> i64 {
    span.num_nanoseconds().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        let noon: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        noon + TimeDelta::milliseconds(milliseconds)
    }

    #[test]
    fn slots_follow_each_other_within_the_lead() {
        let twenty = BroadcastRate::new(20);
        let slots = twenty.slots(None, at(0));
        assert_eq!((slots.count, slots.nth(0), slots.nth(1), slots.nth(10)), (11, at(0), at(3_000), at(30_000)));
        let next = slots.nth(slots.count);
        assert_eq!(next, at(33_000));
        assert_eq!(twenty.slots(Some(next), at(17_999)).count, 0, "enough are made");
        let more = twenty.slots(Some(next), at(18_000));
        assert_eq!((more.count, more.nth(0)), (6, at(33_000)));
    }

    #[test]
    fn of_a_slow_rate_one_is_made_before_its_time() {
        let slow = BroadcastRate::new(1);
        let slots = slow.slots(None, at(0));
        assert_eq!((slots.count, slots.nth(0), slots.nth(1)), (1, at(0), at(60_000)));
        assert_eq!(slow.slots(Some(at(60_000)), at(44_999)).count, 0);
        assert_eq!(slow.slots(Some(at(60_000)), at(45_000)).count, 1);
        assert_eq!((slow.most_open(), BroadcastRate::new(600).most_open()), (10, 600));
    }

    #[test]
    fn what_was_not_used_is_lost() {
        let slots = BroadcastRate::new(60).slots(Some(at(0)), at(3_600_000));
        assert_eq!((slots.count, slots.nth(0)), (31, at(3_600_000)), "no more than at the beginning");
    }

    #[test]
    fn a_clock_that_was_set_back_is_not_waited_for() {
        let rate = BroadcastRate::new(60);
        let slots = rate.slots(Some(at(3_600_000)), at(0));
        assert_eq!((slots.count, slots.nth(0)), (1, at(31_000)), "behind all that may be made");
        let next = slots.nth(1);
        assert_eq!(rate.slots(Some(next), at(16_999)).count, 0);
        assert_eq!(rate.slots(Some(next), at(17_000)).nth(0), next);
        let slowest = BroadcastRate::new(1).slots(Some(at(3_600_000)), at(0));
        assert!(
            BroadcastRate::new(1).slots(Some(slowest.nth(1)), at(0)).count == 0,
            "it is not taken for set back again"
        );
        // Another process has a clock that is behind.
        assert_eq!(rate.slots(Some(at(151_000)), at(0)).count, 0);
    }

    #[test]
    fn what_is_not_asked_for_has_no_slots_now() {
        let (from, to) = BroadcastRate::enough(at(0));
        for next in [from + TimeDelta::milliseconds(1), at(60_000), to] {
            assert_eq!(BroadcastRate::new(6_000).slots(Some(next), at(0)).count, 0, "{next}");
        }
        for next in [from, to + TimeDelta::milliseconds(1)] {
            assert!(BroadcastRate::new(6_000).slots(Some(next), at(0)).count > 0, "{next}");
        }
    }

    proptest! {
        /// Whatever processes make messages, with clocks that are apart, and however many of their slots they use.
        #[test]
        fn no_slot_comes_sooner_than_the_rate_allows(
            per_minute in prop_oneof![1_u32..100, 1_u32..=1_000_000],
            rounds in prop::collection::vec((0_i64..40_000, -60_000_i64..60_000, 0_u32..400), 1..60),
        ) {
            let rate = BroadcastRate::new(per_minute);
            let (mut now, mut paced_at, mut given) = (0, None, Vec::new());
            for (passed, apart, wanted) in rounds {
                now += passed;
                let clock = at(now + apart);
                let slots = rate.slots(paced_at, clock);
                let used = slots.count.min(wanted);
                if used == 0 {
                    continue;
                }
                prop_assert!(slots.nth(used - 1) <= clock + LEAD + TimeDelta::milliseconds(1));
                given.extend((0..used).map(|number| slots.nth(number)));
                paced_at = Some(slots.nth(used));
            }
            for (number, pair) in given.windows(2).enumerate() {
                let apart = nanos(pair[1] - pair[0]);
                prop_assert!(apart > rate.interval() - MILLISECOND, "{number}: {apart}");
            }
            if let (Some(first), Some(last)) = (given.first(), given.last()) {
                let least = rate.interval().saturating_mul(given.len() as i64 - 1);
                prop_assert!(nanos(*last - *first) >= least, "{} slots from {first} to {last}", given.len());
            }
        }
    }
}
