//! Time, ids and chance, as the operating system gives them.

use std::sync::Mutex;
use std::time::Duration;

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

/// UUIDv7s from one counter, so that they grow strictly even within a millisecond and when the clock steps back.
#[derive(Default)]
pub struct SystemIds {
    context: Mutex<ContextV7>,
}

impl Ids for SystemIds {
    fn next(&self) -> Uuid {
        let context = self.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Uuid::new_v7(UuidTimestamp::now(&*context))
    }
}

pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn chance(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (Uuid::new_v4().as_u64_pair().1 & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }
}
