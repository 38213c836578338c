use std::time::Duration;

use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::receipt::{StuckOfInstance, StuckSince};

/// Messages that are `sent`, and of which nothing more was said for too long.
///
/// `tests/contracts/receipts/stuck_messages.rs` proves what is promised here.
#[async_trait]
pub trait StuckMessages: Send + Sync {
    /// What is stuck, of each instance of these channels that has anything stuck: messages that are `sent` and were sent before
    /// the time of their channel. Of more than [`MOST_COUNTED`] of an instance so many are counted, the last ones that were sent;
    /// where messages are kept by weeks, those of weeks that are over may be as they were some minutes ago.
    async fn count(&self, stuck: &[StuckSince], now: Timestamp) -> Result<Vec<StuckOfInstance>, RepositoryError>;

    /// Notes when receipts of instances came; the last time counts, whatever the order.
    async fn note_receipts(&self, came: &[(InstanceId, Timestamp)]) -> Result<(), RepositoryError>;

    /// Keeps, for operators who ask by SQL, after how long a message counts as stuck on each channel that gives receipts.
    async fn publish(&self, after: &[(ChannelName, Duration)]) -> Result<(), RepositoryError>;
}

/// Stuck messages of an instance that are counted.
pub const MOST_COUNTED: u64 = 100_000;
