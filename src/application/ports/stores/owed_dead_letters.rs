use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::message::{Message, MessageId};
use crate::domain::node::NodeId;

/// The rows that owe a record on the dead-letter topic: `failed` without `dead_lettered_at`.
///
/// `tests/contracts/recovery/owed_dead_letters.rs` proves this for every implementation.
#[async_trait]
pub trait OwedDeadLetters: Send + Sync {
    /// At most `limit` owed messages, and at most [`BYTES_AT_ONCE`](super::BYTES_AT_ONCE), lowest ids first: those of
    /// `node`, and, if `adopting` names nodes, those that none of these owns. Messages among `held` are passed over.
    async fn owed(
        &self,
        node: NodeId,
        adopting: Option<&[NodeId]>,
        held: &[MessageId],
        limit: u32,
    ) -> Result<Vec<Message>, RepositoryError>;

    /// Writes `dead_lettered_at`, and returns true, if the message is still failed by this try and owes its record.
    async fn mark_paid(&self, id: MessageId, try_number: u32, now: Timestamp) -> Result<bool, RepositoryError>;

    /// Writes `dead_lettered_at` on at most `limit` rows: no node publishes, so the row is the dead letter. Returns how
    /// many. Writes none while a node publishes, has not departed and is not among `gone`: checked in the same
    /// statement, which may be carried out long after it was decided on.
    async fn write_off(&self, gone: &[NodeId], limit: u32, now: Timestamp) -> Result<u64, RepositoryError>;

    /// How many are owed, counted up to `most`.
    async fn count(&self, most: u32) -> Result<u64, RepositoryError>;
}
