use std::time::Duration;

use async_trait::async_trait;

use crate::domain::Timestamp;

/// Time, injected: tests never sleep to make it pass.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock, with millisecond precision. It may jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment of this process. It never jumps, and goes on while the process is frozen.
    fn monotonic(&self) -> Duration;

    async fn sleep(&self, duration: Duration);
}
