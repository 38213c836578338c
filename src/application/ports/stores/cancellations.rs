use std::time::Duration;

use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::{MessageId, MessageStatus};

/// Takes back messages that no node has claimed: `queued` -> `cancelled`, without a `next_attempt_at`. The state is
/// final: no move leads out of it.
///
/// `tests/contracts/messages/cancellations.rs` proves this for every implementation.
#[async_trait]
pub trait Cancellations: Send + Sync {
    /// A crash of the database can take back a claim that is not on disk: a message that is being delivered reads
    /// `queued` until its outcome is recorded. So within `claims_in_doubt` of the database's last start, by its own clock,
    /// nothing is cancelled where claims can be lost. (A failover to another server goes unnoticed.)
    async fn cancel(
        &self,
        tenant: &Tenant,
        id: MessageId,
        claims_in_doubt: Duration,
        now: Timestamp,
    ) -> Result<Cancellation, RepositoryError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// Now or earlier.
    Cancelled,
    /// It was claimed or has ended, and stays as it is.
    NotQueued(MessageStatus),
    /// The database started too recently: try again.
    InDoubt,
    /// Also for a message of another tenant.
    Unknown,
}

impl Cancellation {
    /// The answer to a cancellation: from the state that the message had before, and whether `cancelled` was written.
    pub fn of(before: Option<MessageStatus>, written: bool) -> Self {
        match before {
            None => Self::Unknown,
            Some(MessageStatus::Cancelled) => Self::Cancelled,
            Some(_) if written => Self::Cancelled,
            Some(MessageStatus::Queued) => Self::InDoubt,
            Some(other) => Self::NotQueued(other),
        }
    }
}
