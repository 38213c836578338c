use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tracing::warn;

use crate::application::ports::{Allowance, Clock, RequestAllowances};
use crate::domain::access::request_limit::{Counted, MINUTE, RequestLimits};

/// Callers that a process counts at the same time. Beyond it those whose minute is over go, and if there are none, all: their
/// minutes go on in the database.
const MOST: usize = 100_000;

/// A process takes a part of a minute's limit at a time, so that few requests cost a statement.
const PARTS: u32 = 20;

/// Counts requests: those of a minute for all processes together, those of a second for this one. A database that is away lets
/// through what it would have counted.
pub struct LimitRequests {
    allowances: Arc<dyn RequestAllowances>,
    clock: Arc<dyn Clock>,
    /// None: requests are not limited.
    limits: Option<RequestLimits>,
    counts: Mutex<HashMap<Counted, Count>>,
}

/// What this process knows of a caller.
#[derive(Clone, Copy, Default)]
struct Count {
    /// On the monotonic clock.
    ends_at: Duration,
    /// Requests of the minute that were taken and not made yet.
    left: u32,
    /// Requests of the minute that all processes have taken.
    taken: u32,
    second_began_at: Duration,
    in_this_second: u32,
}

/// Where a caller stands after a request that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub is_allowed: bool,
    pub limit: u32,
    pub remaining: u32,
    /// Until requests are allowed again, or the minute is over.
    pub resets_in: Duration,
}

impl LimitRequests {
    pub fn new(allowances: Arc<dyn RequestAllowances>, clock: Arc<dyn Clock>, limits: Option<RequestLimits>) -> Self {
        Self { allowances, clock, limits, counts: Mutex::default() }
    }

    /// Counts a request that comes from an address; none where requests are not limited.
    pub async fn of_address(&self, address: &str) -> Option<Standing> {
        let limits = self.limits?;
        Some(self.in_a_minute(&Counted::address(address), limits.per_address).await)
    }

    /// Counts a request of a caller, which may have a limit of its own.
    pub async fn of_caller(&self, counted: &Counted, own: Option<u32>) -> Option<Standing> {
        let limits = self.limits?;
        let limit = own.unwrap_or(limits.per_key);
        // A key that may do more than others is there for load.
        let burst = own.filter(|own| *own > limits.per_key).unwrap_or(limits.burst).max(limits.burst);
        if let Some(refused) = self.in_a_second(counted, burst) {
            return Some(refused);
        }
        Some(self.in_a_minute(counted, limit).await)
    }

    /// Counts a request without a caller that is known, beside its address's minute.
    pub fn burst_of_address(&self, address: &str) -> Option<Standing> {
        self.in_a_second(&Counted::address(address), self.limits?.burst)
    }

    /// Says where the caller stands only when it may not go on.
    fn in_a_second(&self, counted: &Counted, limit: u32) -> Option<Standing> {
        const SECOND: Duration = Duration::from_secs(1);
        let now = self.clock.monotonic();
        let mut counts = self.counts(counted);
        let count = counts.entry(counted.clone()).or_default();
        if now.saturating_sub(count.second_began_at) >= SECOND || count.in_this_second == 0 {
            (count.second_began_at, count.in_this_second) = (now, 0);
        }
        if count.in_this_second >= limit {
            let resets_in = (count.second_began_at + SECOND).saturating_sub(now);
            return Some(Standing { is_allowed: false, limit, remaining: 0, resets_in });
        }
        count.in_this_second += 1;
        None
    }

    async fn in_a_minute(&self, counted: &Counted, limit: u32) -> Standing {
        if let Some(standing) = self.use_what_is_left(counted, limit) {
            return standing;
        }
        let wanted = (limit / PARTS).max(1);
        let now = self.clock.now();
        let allowance = match self.allowances.take(counted, limit, wanted, now).await {
            Ok(allowance) => allowance,
            Err(error) => {
                warn!(%error, "requests are not counted");
                Allowance::after(0, now, limit, 1)
            }
        };
        self.taken(counted, limit, allowance, now - allowance.began_at)
    }

    fn use_what_is_left(&self, counted: &Counted, limit: u32) -> Option<Standing> {
        let now = self.clock.monotonic();
        let mut counts = self.counts(counted);
        let count = counts.get_mut(counted).filter(|count| now < count.ends_at)?;
        let resets_in = count.ends_at - now;
        if count.left > 0 {
            count.left -= 1;
        } else if count.taken < limit {
            return None;
        } else {
            return Some(Standing { is_allowed: false, limit, remaining: 0, resets_in });
        }
        let remaining = limit.saturating_sub(count.taken) + count.left;
        Some(Standing { is_allowed: true, limit, remaining, resets_in })
    }

    /// Of what was taken just now, this request has the first.
    fn taken(&self, counted: &Counted, limit: u32, allowance: Allowance, age: TimeDelta) -> Standing {
        let now = self.clock.monotonic();
        let resets_in = MINUTE.saturating_sub(age.to_std().unwrap_or_default());
        let mut counts = self.counts(counted);
        let count = counts.entry(counted.clone()).or_default();
        if now >= count.ends_at {
            count.left = 0;
        }
        count.ends_at = now + resets_in;
        count.taken = allowance.taken;
        count.left += allowance.granted.saturating_sub(1);
        let remaining = limit.saturating_sub(count.taken) + count.left;
        Standing { is_allowed: allowance.granted > 0, limit, remaining, resets_in }
    }

    fn counts(&self, counted: &Counted) -> MutexGuard<'_, HashMap<Counted, Count>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST && !counts.contains_key(counted) {
            let now = self.clock.monotonic();
            counts.retain(|_, count| now < count.ends_at);
            if counts.len() >= MOST {
                counts.clear();
            }
        }
        counts
    }
}
