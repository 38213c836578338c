//! A clock that a unit test sets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::Clock;
use correio::domain::Timestamp;

/// Seconds: since 1970, and since the start.
#[derive(Default)]
pub struct SetClock(pub AtomicU64);

impl SetClock {
    pub fn at(second: u64) -> Self {
        Self(AtomicU64::new(second))
    }

    pub fn set(&self, second: u64) {
        self.0.store(second, Ordering::Relaxed);
    }

    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, _: Duration) {}
}
