use async_trait::async_trait;

use crate::application::ports::RepositoryError;
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

    /// Replays at most `limit` that match, and at most [`BYTES_AT_ONCE`](super::BYTES_AT_ONCE), lowest ids first; returns
    /// how many: none when none is left. What failed (`updated_at`) after `now` is left alone, so that repeating this until
    /// none is left ends, unless the clock of who fails them is behind `now`.
    async fn replay_matching(
        &self,
        selection: &FailedSelection,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, RepositoryError>;
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
    /// None: of all tenants.
    pub tenant: Option<Tenant>,
    pub channel_instance_id: Option<String>,
    /// At this moment or later.
    pub created_after: Option<Timestamp>,
    /// Before this moment.
    pub created_before: Option<Timestamp>,
}
