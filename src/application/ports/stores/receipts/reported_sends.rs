use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::receipt::{ReportedSend, UnknownFailure};

/// What providers report as sent, until it is known whether it is a message of ours whose answer was lost.
///
/// `tests/contracts/receipts/reported_sends.rs` proves what is promised here.
#[async_trait]
pub trait ReportedSends: Send + Sync {
    /// Keeps one. On disk once it is answered. Nothing happens if its name is that of a message, or it is there already.
    async fn keep(&self, sent: &ReportedSend, now: Timestamp) -> Result<(), RepositoryError>;

    /// At most `limit` of those that were kept before `before`, the oldest first; none: there are no others. What has the name of a
    /// message by now is forgotten instead. One that cannot be read is passed over.
    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<ReportedSend>, RepositoryError>;

    /// Messages of this instance that failed, may have been delivered, and were last tried in this time; of many, the youngest.
    async fn unknown_failures(
        &self,
        instance: InstanceId,
        tried: (Timestamp, Timestamp),
    ) -> Result<Vec<UnknownFailure>, RepositoryError>;

    /// Gives a message that is as it was found this name, so that receipts of it count, and forgets what was reported; without a
    /// message it is forgotten alone. Returns whether a message was given the name.
    async fn settle(&self, sent: &ReportedSend, failure: Option<&UnknownFailure>) -> Result<bool, RepositoryError>;
}
