//! How often an instance may be called: slots, one after the other at its rate, and the times at which messages come back that
//! found none.

use std::time::Duration;

/// Calls a minute of one instance, over all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    per_minute: u32,
    burst: u32,
}

/// The largest rate, and the largest burst.
pub const MOST_PER_MINUTE: u32 = 1_000_000;

const MINUTE: u64 = 60_000_000_000;

/// How far ahead slots are reserved: a process asks for the next ones while it still has some, so that none is lost on the way.
pub const HORIZON: Duration = Duration::from_millis(1_500);

/// The most that is reserved at once: the share of one process, so that others find some within the horizon.
const BLOCK: Duration = Duration::from_millis(500);

/// A clock that is set back by less is waited for: whose slots lie ahead is not known then.
pub const MARGIN: Duration = Duration::from_secs(1);

/// A slot that was not used so long after its time is lost.
pub const SLOT_LIVES: Duration = Duration::from_secs(1);

/// A message that was put off comes back so long before its slot: it comes through the database, and perhaps a broker.
pub const LEAD: Duration = Duration::from_secs(1);

/// A message whose turn is further off comes back sooner, for a rate that is raised to be felt, and for what was cancelled before
/// it: by so much of what is beyond, and after no more than so long. In order, as they were put off.
pub const LONGEST_EXACT: Duration = Duration::from_secs(600);
pub const SHORTENED: u32 = 32;
pub const LONGEST_PACED: Duration = Duration::from_secs(3_600);

/// So many returns are reserved at once at the most.
pub const MOST_RETURNS: u32 = 1_000_000;

impl Pace {
    /// None: out of bounds. A burst is the calls that may be made at once after a pause; without one it is one.
    pub fn new(per_minute: u32, burst: Option<u32>) -> Option<Self> {
        let burst = burst.unwrap_or(1);
        let is_within = |number: u32| (1..=MOST_PER_MINUTE).contains(&number);
        (is_within(per_minute) && is_within(burst)).then_some(Self { per_minute, burst })
    }

    pub fn per_minute(self) -> u32 {
        self.per_minute
    }

    /// Nanoseconds from one slot to the next: rounded up, so never faster than asked for.
    pub fn interval(self) -> u64 {
        MINUTE.div_ceil(u64::from(self.per_minute))
    }

    /// How long ago the first slot may be after a pause, in nanoseconds.
    pub fn slack(self) -> u64 {
        self.interval() * u64::from(self.burst - 1)
    }

    /// How many slots there are in so long; at least one.
    pub fn worth(self, span: Duration) -> u32 {
        let slots = nanos(span) / self.interval();
        u32::try_from(slots).unwrap_or(u32::MAX).max(1)
    }

    /// How many are reserved at once at the most.
    pub fn block(self) -> u32 {
        self.worth(BLOCK).max(self.burst.min(BURST_AT_ONCE))
    }
}

/// A burst may be asked for in one go, up to this.
const BURST_AT_ONCE: u32 = 1_000;

/// What is kept of an instance with a pace: nanoseconds since 1970, by one clock for all processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// The time of the next slot that nobody has.
    pub next_slot: i64,
    /// When the next message comes back that is put off: behind all that were, however soon these come back.
    pub next_return: i64,
    /// Of the pace with which this was last written.
    pub interval: i64,
}

/// What was reserved, in nanoseconds from the moment at which that was done; less than 0: before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub slots: u32,
    pub first_slot: i64,
    /// The time of the next slot that nobody has.
    pub next_slot: i64,
    /// Of as many returns as were asked for.
    pub first_return: i64,
}

impl Course {
    /// Reserves up to so many slots within the [`HORIZON`], and so many returns. What adapters do in SQL is this.
    pub fn reserve(&mut self, pace: Pace, slots: u32, returns: u32, now: i64) -> Reserved {
        let (interval, horizon) = (signed(pace.interval()), signed(nanos(HORIZON)));
        let first = self.next_slot.max(now - signed(pace.slack()));
        // So far ahead only if the clock was set back, or the rate was raised.
        let first =
            if first > now + horizon + interval + signed(nanos(MARGIN)) { now + horizon + interval } else { first };
        let within = (now + horizon - first).div_euclid(interval) + 1;
        let granted = within.clamp(0, i64::from(slots));
        let next_slot = first + granted * interval;
        let first_return = self.first_return(interval, now, next_slot);
        let behind = return_after(first_return, interval.unsigned_abs(), u64::from(returns.min(MOST_RETURNS)));
        *self = Self { next_slot, next_return: now.saturating_add(behind), interval };
        Reserved {
            slots: u32::try_from(granted).unwrap_or_default(),
            first_slot: first - now,
            next_slot: next_slot - now,
            first_return,
        }
    }

    /// Those that come back follow each other like slots, and come no earlier than slots that are free. With another rate those
    /// before them are expected to have gone sooner, or later. A slot that nobody wanted says that none is before them: what was
    /// put off was cancelled, or is elsewhere.
    fn first_return(&self, interval: i64, now: i64, next_slot: i64) -> i64 {
        let unused = now - interval - signed(nanos(SLOT_LIVES));
        let ahead = if self.next_slot < unused { 0 } else { (self.next_return - now).max(0) };
        let ahead = match self.interval {
            0 => ahead,
            former if former == interval => ahead,
            former => (ahead as f64 / former as f64 * interval as f64) as i64,
        };
        ahead.min(signed(nanos(LONGEST_PACED))).max(next_slot - now - signed(nanos(LEAD))).max(0)
    }
}

/// When the nth of messages comes back that are put off together, the first of them after `first`, in nanoseconds.
pub fn return_after(first: i64, interval: u64, nth: u64) -> i64 {
    let first = first.max(0).unsigned_abs();
    let (whole, exact) = (interval.saturating_mul(nth), nanos(LONGEST_EXACT).saturating_sub(first));
    let after = match whole.checked_sub(exact) {
        None => first.saturating_add(whole),
        Some(beyond) => first.saturating_add(exact).saturating_add(beyond / u64::from(SHORTENED)),
    };
    signed(after.min(nanos(LONGEST_PACED).max(first)))
}

pub const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_pace_is_within_its_bounds() {
        assert!(Pace::new(0, None).is_none() && Pace::new(1_000_001, None).is_none());
        assert!(Pace::new(20, Some(0)).is_none() && Pace::new(20, Some(1_000_001)).is_none());
        assert_eq!(Pace::new(20, None).unwrap().interval(), 3_000_000_000);
        assert_eq!(Pace::new(7, None).unwrap().interval(), 8_571_428_572, "rounded up");
    }

    #[test]
    fn of_a_slow_pace_no_slot_is_reserved_long_before_its_time() {
        let pace = Pace::new(20, None).unwrap();
        let mut course = Course::default();
        let now = 1_000 * SECOND;
        let first = course.reserve(pace, 5, 0, now);
        assert_eq!((first.slots, first.first_slot, first.next_slot), (1, 0, 3 * SECOND));
        assert_eq!(course.reserve(pace, 5, 0, now + SECOND).slots, 0);
        let next = course.reserve(pace, 5, 0, now + 2 * SECOND);
        assert_eq!((next.slots, next.first_slot), (1, SECOND));
    }

    #[test]
    fn a_raised_rate_is_felt() {
        let mut course = Course::default();
        let now = 1_000 * SECOND;
        course.reserve(Pace::new(1, None).unwrap(), 1, 11, now);
        assert!(course.next_return - now > 600 * SECOND);
        let reserved = course.reserve(Pace::new(600, None).unwrap(), 1, 1, now + SECOND);
        assert!(reserved.next_slot < 2 * SECOND, "{reserved:?}");
        assert!(reserved.first_return < 10 * SECOND, "{reserved:?}");
    }

    /// What was cancelled, or expired, leaves nothing behind that keeps others waiting.
    #[test]
    fn slots_that_nobody_wants_say_that_none_is_ahead() {
        let (pace, now) = (Pace::new(20, None).unwrap(), 1_000 * SECOND);
        let mut course = Course::default();
        course.reserve(pace, 1, 100, now);
        let behind = course.reserve(pace, 1, 1, now + 2 * SECOND);
        assert_eq!(behind.first_return, 300 * SECOND, "behind those that come back");
        let free = course.reserve(pace, 1, 1, now + 11 * SECOND);
        assert_eq!((free.slots, free.first_return), (1, 2 * SECOND), "the slots of 6 s and 9 s were not used");
    }

    /// Messages that are put off, come back, and are put off again while they find no slot: some thousands.
    #[test]
    fn while_messages_wait_no_slot_is_unused() {
        let pace = Pace::new(20, None).unwrap();
        let interval = pace.interval() as i64;
        let (start, mut course) = (1_000 * SECOND, Course::default());
        let mut back: std::collections::BTreeSet<(i64, u32)> = (0..2_000).map(|message| (start, message)).collect();
        let mut slots = Vec::new();
        while let Some((now, message)) = back.pop_first().filter(|(now, _)| *now < start + 4_000 * SECOND) {
            let reserved = course.reserve(pace, 1, 0, now);
            if reserved.slots > 0 {
                slots.push(now + reserved.first_slot);
                continue;
            }
            let put_off = course.reserve(pace, 0, 1, now);
            back.insert((now + put_off.first_return, message));
        }
        let longest = slots.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= 2 * interval, "{longest} between two slots");
        assert!(slots.len() >= 1_333, "{} slots in 4,000 s", slots.len());
    }

    proptest! {
        #[test]
        fn returns_are_in_order_and_not_far_off(
            first in 0..4_000 * SECOND, interval in 60_000_u64..=MINUTE, nths in prop::collection::vec(0_u64..2_000_000, 1..50),
        ) {
            let mut nths = nths;
            nths.sort_unstable();
            let returns: Vec<i64> = nths.iter().map(|nth| return_after(first, interval, *nth)).collect();
            prop_assert!(returns.is_sorted() && return_after(first, interval, 0) == first);
            prop_assert!(returns.iter().all(|it| *it <= first.max(3_600 * SECOND)));
            let exact = nths.iter().zip(&returns).filter(|(nth, _)| first + (interval * **nth) as i64 <= 600 * SECOND);
            for (nth, it) in exact {
                prop_assert_eq!(*it, first + (interval * nth) as i64);
            }
        }

        #[test]
        fn slots_come_at_the_pace_and_no_two_at_one_time(
            per_minute in 1..=MOST_PER_MINUTE,
            burst in 1_u32..50,
            asks in prop::collection::vec((0_i64..5 * SECOND, 0_u32..40, 0_u32..40), 1..20),
        ) {
            let pace = Pace::new(per_minute, Some(burst)).unwrap();
            let (mut course, mut now) = (Course::default(), 1_000 * SECOND);
            let (mut slots, mut returns) = (Vec::new(), Vec::new());
            for (later, wanted, back) in asks {
                now += later;
                if course.next_slot < now - pace.interval() as i64 - SECOND {
                    // Slots were not used: none of those that were put off is ahead.
                    returns.clear();
                }
                let reserved = course.reserve(pace, wanted, back, now);
                prop_assert!(reserved.slots <= wanted);
                let step = pace.interval() as i64;
                slots.extend((0..i64::from(reserved.slots)).map(|nth| (now + reserved.first_slot + nth * step).max(now)));
                returns.extend((0..u64::from(back)).map(|nth| now + return_after(reserved.first_return, pace.interval(), nth)));
                prop_assert!(slots.iter().all(|slot| *slot <= now + HORIZON.as_nanos() as i64));
            }
            prop_assert!(returns.is_sorted());
            // In any time no more than its worth and the burst: as a slot is used at its time, or when it is got, if that is later.
            for (index, from) in slots.iter().enumerate() {
                for (later, until) in slots.iter().enumerate().skip(index) {
                    let allowed = (until - from) / pace.interval() as i64 + i64::from(burst);
                    prop_assert!((later - index) as i64 <= allowed, "{} in {}", later - index + 1, until - from);
                }
            }
        }

        #[test]
        fn with_a_backlog_no_slot_is_lost(per_minute in 1..=MOST_PER_MINUTE, late in 0_i64..SECOND) {
            let pace = Pace::new(per_minute, None).unwrap();
            let (start, mut now, mut got) = (1_000 * SECOND, 1_000 * SECOND, 0_i64);
            let mut course = Course::default();
            while now < start + 600 * SECOND {
                let reserved = course.reserve(pace, pace.block(), 0, now);
                got += i64::from(reserved.slots);
                // Asked again while half a second of slots is left, if not too late.
                now += (reserved.next_slot - SECOND / 2).max(1) + late / 4;
            }
            let worth = (now - start) / pace.interval() as i64;
            prop_assert!((got - worth).abs() <= i64::from(pace.worth(HORIZON)) + 1, "{got} of {worth}");
        }
    }
}
