use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::broadcast::counts::BroadcastCounts;
use crate::domain::broadcast::recipient::BroadcastRecipient;
use crate::domain::broadcast::{Broadcast, BroadcastId};
use crate::domain::message::Message;
use crate::domain::node::NodeId;

/// How messages are made of broadcasts, chunk by chunk.
///
/// `tests/contracts/broadcasts/broadcast_expansion.rs` proves this for every implementation.
#[async_trait]
pub trait BroadcastExpansion: Send + Sync {
    /// Whether there is one that is `scheduled`, `expanding` or `expanded`: without, the rest is not asked for as often.
    async fn is_needed(&self) -> Result<bool, RepositoryError>;

    /// `scheduled` -> `expanding` for those whose time has come. Returns how many were.
    async fn begin_due(&self, now: Timestamp) -> Result<u64, RepositoryError>;

    /// At most `take.limit` broadcasts that are `expanding`, above `take.after`, oldest first, made `take.node`'s: those that are
    /// already, and those whose node is gone, departed, unknown or not named. Those with enough messages for now (`take.enough`) are
    /// passed over. Two nodes that take concurrently get different ones.
    async fn take(&self, take: &TakeBroadcasts) -> Result<Vec<Broadcast>, RepositoryError>;

    /// The recipients from this place on, the first being 0: at least one, if there is one, and at most `most`.
    async fn recipients(
        &self,
        broadcast: &Broadcast,
        from: u32,
        most: u32,
    ) -> Result<Vec<BroadcastRecipient>, RepositoryError>;

    async fn counts(&self, broadcast: &Broadcast) -> Result<BroadcastCounts, RepositoryError>;

    /// One chunk, in one transaction: first the parent, whose cursor moves on by as many as there are messages, if it is
    /// `expanding` and its cursor is as `broadcast` says, and with it the next slot that no message has; then the messages, of which
    /// those that are there already stay as they are. With its last one it is `expanded`. False when the parent was not as it says:
    /// nothing is written.
    async fn expand(
        &self,
        broadcast: &Broadcast,
        messages: &[Message],
        paced_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, RepositoryError>;

    /// `expanded` -> `finished` for those of which no message is open. Returns how many were.
    async fn finish(&self, now: Timestamp) -> Result<u64, RepositoryError>;

    /// Deletes what is needed for making messages of those that have ended since then; none: of all that have.
    async fn forget(&self, ended_since: Option<Timestamp>) -> Result<(), RepositoryError>;
}

#[derive(Clone, Debug)]
pub struct TakeBroadcasts {
    pub node: NodeId,
    /// Those that are gone, or have departed.
    pub gone: Vec<NodeId>,
    /// Where to go on; none: from the oldest.
    pub after: Option<BroadcastId>,
    pub limit: u32,
    /// One whose next slot (`paced_at`) is after the first and not after the second has enough messages.
    pub enough: (Timestamp, Timestamp),
}
