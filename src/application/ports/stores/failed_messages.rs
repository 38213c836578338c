use async_trait::async_trait;

use crate::application::ports::{Purposes, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageId;

/// Puts failed messages back on their way: `failed` -> `queued`, due now, `retries` 0, without `error`, `failure` and
/// `dead_lettered_at`. `try` and the attempts go on counting.
///
/// `tests/contracts/messages/failed_messages.rs` proves this for every implementation.
#[async_trait]
pub trait FailedMessages: Send + Sync {
    async fn replay(&self, tenant: &Tenant, id: MessageId, now: Timestamp) -> Result<Replay, RepositoryError>;

    /// Replays at most `limit` of those that match and have ids above `after`, and at most
    /// [`BYTES_AT_ONCE`](super::BYTES_AT_ONCE): the lowest ids, of whatever tenant. What failed (`updated_at`) after `now` is
    /// left alone, and so is what another transaction holds at the moment.
    ///
    /// Repeated with the last id of the time before until none is replayed, it comes by every message once, also by one that
    /// has failed again meanwhile, by whatever clock.
    async fn replay_matching(
        &self,
        selection: &FailedSelection,
        after: Option<MessageId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Replayed, RepositoryError>;
}

/// How many were replayed in one go. It may be fewer than there could have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    pub count: u64,
    /// The greatest id of them; none: none is left.
    pub last: Option<MessageId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    Queued,
    /// It is in another state, and stays as it is.
    NotFailed,
    /// Also for a message of another tenant.
    Unknown,
}

/// Selects failed messages; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct FailedSelection {
    pub purposes: Purposes,
    /// None: of all tenants.
    pub tenant: Option<Tenant>,
    pub channel_instance_id: Option<String>,
    /// At this moment or later.
    pub created_after: Option<Timestamp>,
    /// Before this moment.
    pub created_before: Option<Timestamp>,
}
