use std::time::Duration;

use async_trait::async_trait;

use crate::application::ports::{Listed, RepositoryError, SearchError};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::domain::access::principal::Tenant;
use crate::domain::broadcast::counts::BroadcastStanding;
use crate::domain::broadcast::recipient::BroadcastRecipient;
use crate::domain::broadcast::{Broadcast, BroadcastId, BroadcastStatus};
use crate::domain::message::MessageId;

/// Broadcasts, as their tenants see and change them. A foreign one is answered exactly like one that does not exist.
///
/// `tests/contracts/broadcasts/broadcast_repository.rs` proves this for every implementation.
#[async_trait]
pub trait BroadcastRepository: Send + Sync {
    /// Stores a broadcast, its recipients in their order, and the key it came with, in one transaction. A key of the tenant that
    /// is still kept wins: nothing is stored then.
    ///
    /// # Errors
    /// After [`RepositoryError::Unavailable`] it may be stored or not; after any other it is not.
    async fn accept(
        &self,
        broadcast: &Broadcast,
        recipients: &[BroadcastRecipient],
        request: Option<&IdempotentRequest>,
    ) -> Result<AcceptedBroadcast, RepositoryError>;

    /// What was accepted under this key, unless it has expired at `now`.
    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptBroadcast>, RepositoryError>;

    /// How many recipients of this tenant's broadcasts have no message yet, and may get one.
    async fn unmade(&self, tenant: &Tenant) -> Result<u64, RepositoryError>;

    /// With how many of its messages are in which state, which are counted as they change: both at one moment.
    async fn find(&self, tenant: &Tenant, id: BroadcastId) -> Result<Option<BroadcastStanding>, RepositoryError>;

    /// At most `limit` messages of a broadcast, and at most [`BYTES_AT_ONCE`](crate::application::ports::BYTES_AT_ONCE), with ids
    /// above `after`, in the order of its recipients.
    async fn messages(
        &self,
        broadcast: &Broadcast,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Listed, SearchError>;

    /// The recipients of at most `limit` messages that failed, and why, in their order.
    async fn failures(&self, broadcast: &Broadcast, limit: u32) -> Result<Vec<(String, String)>, SearchError>;

    /// Moves it to another state; of one that is resumed, which one follows from its time and its cursor. One that is there
    /// already stays; one that has ended is not moved.
    async fn change(
        &self,
        tenant: &Tenant,
        id: BroadcastId,
        change: BroadcastChange,
        now: Timestamp,
    ) -> Result<ChangedBroadcast, RepositoryError>;

    /// Cancels at most `limit` of the messages of a cancelled broadcast that are `queued`: begun after the answer to its cancel.
    /// Refused while a claim may be lost, as of [`Cancellations`](crate::application::ports::Cancellations), asked in the same
    /// statement.
    async fn cancel_messages(
        &self,
        broadcast: &Broadcast,
        claims_in_doubt: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<CancelledMessages, RepositoryError>;
}

#[derive(Clone, Debug)]
pub enum AcceptedBroadcast {
    Stored,
    /// The key is taken.
    KeyTaken(KeptBroadcast),
}

/// What a key was first used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptBroadcast {
    pub fingerprint: [u8; 32],
    pub id: BroadcastId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroadcastChange {
    Pause,
    Resume,
    Cancel,
}

impl BroadcastChange {
    /// The states that it starts from.
    pub fn from(self) -> &'static [BroadcastStatus] {
        use BroadcastStatus::{Expanded, Expanding, Paused, Scheduled};
        match self {
            Self::Pause => &[Scheduled, Expanding, Expanded],
            Self::Resume => &[Paused],
            Self::Cancel => &[Scheduled, Expanding, Expanded, Paused],
        }
    }

    /// Whether one in this state is as it was asked to be.
    pub fn is_done(self, status: BroadcastStatus) -> bool {
        use BroadcastStatus::{Cancelled, Expanded, Expanding, Paused, Scheduled};
        match self {
            Self::Pause => status == Paused,
            Self::Resume => matches!(status, Scheduled | Expanding | Expanded),
            Self::Cancel => status == Cancelled,
        }
    }
}

/// The broadcast as it is now.
#[derive(Clone, Debug)]
pub enum ChangedBroadcast {
    /// It is as it was asked to be.
    Done(Box<BroadcastStanding>),
    /// It cannot be, in the state it is in.
    Refused(BroadcastStatus),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelledMessages {
    /// So many; fewer than the limit: there are no others.
    Cancelled(u32),
    /// A message that looks queued may be under way.
    InDoubt,
}
