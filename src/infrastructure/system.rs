//! Time, ids and chance, as the operating system gives them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use chrono::{SubsecRound, Utc};
use rustix::time::{ClockId, clock_gettime};
use uuid::{ContextV7, Timestamp as UuidTimestamp, Uuid};

use crate::application::ports::{Clock, Ids, Randomness};
use crate::domain::Timestamp;

pub struct SystemClock {
    start: Duration,
}

/// Goes on while the process is frozen, and, where the system has a clock for it, while the whole machine is suspended.
fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let now = clock_gettime(CLOCK);
    // Neither is ever negative.
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

impl SystemClock {
    pub fn new() -> Self {
        Self { start: since_boot() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(3)
    }

    fn monotonic(&self) -> Duration {
        since_boot().saturating_sub(self.start)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// UUIDv7s from one counter, so that they grow strictly even within a millisecond and when the clock is put back a little.
///
/// The counter never goes back by itself: after one look at a clock that was months ahead, all ids would be months ahead. So
/// they follow a clock that was put back by more than [`PUT_BACK`].
#[derive(Default)]
pub struct SystemIds {
    last: Mutex<Last>,
}

/// How far the ids of a process may be ahead of its clock.
const PUT_BACK: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Last {
    context: ContextV7,
    /// The time in the last id.
    time: Duration,
}

impl SystemIds {
    fn next_at(&self, now: Duration) -> Uuid {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.time > now + PUT_BACK {
            last.context = ContextV7::new();
        }
        let id = Uuid::new_v7(UuidTimestamp::from_unix(&last.context, now.as_secs(), now.subsec_nanos()));
        let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |time| time.to_unix());
        last.time = Duration::new(seconds, nanos);
        id
    }
}

impl Ids for SystemIds {
    fn next(&self) -> Uuid {
        // A clock before 1970 has no ids of its own.
        self.next_at(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn chance(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (Uuid::new_v4().as_u64_pair().1 & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// Some day in 2026, and so many milliseconds.
    fn at(milliseconds: u64) -> Duration {
        20_500 * DAY + Duration::from_millis(milliseconds)
    }

    fn time_of(id: Uuid) -> Duration {
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        Duration::new(seconds, nanos)
    }

    #[test]
    fn ids_grow_within_a_millisecond_and_while_the_clock_is_put_back_a_little() {
        let ids = SystemIds::default();
        let times = [0, 0, 1, 1, 0, 2, 5_000, 1, 4_999, 5_001];
        let made: Vec<Uuid> = times.iter().map(|milliseconds| ids.next_at(at(*milliseconds))).collect();
        assert!(made.is_sorted_by(|one, next| one < next), "{made:?}");
    }

    #[test]
    fn ids_follow_a_clock_that_was_ahead_for_a_moment() {
        let ids = SystemIds::default();
        let before = ids.next_at(at(0));
        assert_eq!(time_of(ids.next_at(at(0) + 60 * DAY)), at(0) + 60 * DAY);
        let after: Vec<Uuid> = (2..1_000).map(|milliseconds| ids.next_at(at(milliseconds / 2))).collect();
        assert!(after.iter().all(|id| *id > before), "the clock goes on where it was");
        assert!(after.is_sorted_by(|one, next| one < next));
        assert_eq!(time_of(after[997]), at(499));
    }
}
