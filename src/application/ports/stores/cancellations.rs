use std::time::Duration;

use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::{MessageId, MessageStatus};

/// Takes messages back that nobody has claimed: `queued` -> `cancelled`, without a `next_attempt_at`. An end: nothing leads
/// out of it.
///
/// `tests/contracts/messages/cancellations.rs` proves this for every implementation.
#[async_trait]
pub trait Cancellations: Send + Sync {
    /// A crash of the database can take back a claim that is not on disk: a message that is being delivered reads `queued`
    /// until its outcome is recorded. So within `unsettled` of the database's last start, by its own clock, nothing is
    /// cancelled where claims can be lost.
    async fn cancel(
        &self,
        tenant: &Tenant,
        id: MessageId,
        unsettled: Duration,
        now: Timestamp,
    ) -> Result<Cancellation, RepositoryError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// Now or earlier.
    Cancelled,
    /// It was claimed or has ended, and stays as it is.
    NotQueued(MessageStatus),
    /// The database started too short a time ago: ask again.
    Unsettled,
    /// Also for a message of another tenant.
    Unknown,
}

impl Cancellation {
    /// What became of a message that was asked to be cancelled: the state it had before, and whether this was written.
    pub fn of(before: Option<MessageStatus>, written: bool) -> Self {
        match before {
            None => Self::Unknown,
            Some(MessageStatus::Cancelled) => Self::Cancelled,
            Some(_) if written => Self::Cancelled,
            Some(MessageStatus::Queued) => Self::Unsettled,
            Some(other) => Self::NotQueued(other),
        }
    }
}
