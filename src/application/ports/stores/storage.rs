use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;

/// The database as a whole.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Succeeds if the database answers.
    async fn ping(&self) -> Result<(), RepositoryError>;

    /// Periodic work: deletes idempotency keys that have expired at `now`, and makes room for the messages of the weeks
    /// to come. Safe to run in several processes concurrently.
    async fn maintain(&self, now: Timestamp) -> Result<(), RepositoryError>;
}
