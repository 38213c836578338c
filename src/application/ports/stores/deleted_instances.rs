use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;

/// The instances that were deleted, and what is open of them. [`InstanceRepository::delete`](super::InstanceRepository::delete)
/// adds them.
///
/// `tests/contracts/instances/deleted_instances.rs` proves this for every implementation.
#[async_trait]
pub trait DeletedInstances: Send + Sync {
    /// At most `limit` instances that were deleted and are not forgotten: those deleted first (and of equals the lowest ids)
    /// first. With none, it costs next to nothing.
    /// None that stands behind a subscription to states.
    async fn list(&self, limit: u32) -> Result<Vec<InstanceId>, RepositoryError>;

    /// Looks at the next `reach` open messages, of whatever instance, from `after` on, and returns those of these instances.
    /// Costs the same however many messages are open, or were ever stored.
    ///
    /// A message that moves to another state or owner meanwhile may be passed over. One that no node owns and that waits for
    /// no time is not looked at: it is due, and a relay takes it at once.
    async fn open_messages(
        &self,
        instances: &[InstanceId],
        after: &Position,
        reach: u32,
    ) -> Result<OpenMessages, RepositoryError>;

    /// Fails those of these messages that are open and of these instances with `reason`: `failed`, failure `channel` (of one
    /// under way `unknown`, and the sentence goes on with [`MAY_HAVE_BEEN_DELIVERED`](crate::domain::message::delivery::MAY_HAVE_BEEN_DELIVERED)), with
    /// this `dead_lettered_at`, `try` raised for a `queued` one (a claim and its outcome in one write), and an attempt row
    /// `permanent` (or `unknown`) with the reason for that try. A delivery that is under way thereby loses its guard. Passes over a message
    /// that another transaction holds at the moment. Returns how many failed.
    async fn fail(
        &self,
        instances: &[InstanceId],
        messages: &[MessageId],
        reason: &str,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<u64, RepositoryError>;

    /// Lists these instances no more.
    async fn forget(&self, instances: &[InstanceId]) -> Result<(), RepositoryError>;
}

/// How far the open messages were looked at: the key of the last one, in an order that the adapter chooses and alone
/// understands. The default is the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(pub Vec<String>);

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenMessages {
    pub found: Vec<(InstanceId, MessageId)>,
    /// Where to go on. None: this was the end.
    pub next: Option<Position>,
}
