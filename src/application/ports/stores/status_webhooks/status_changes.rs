use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::message::Message;
use crate::domain::status_webhook::{Change, Subscriber};

/// Makes the message that tells a subscriber of a change.
pub type Compose<'c> = dyn Fn(&Change, &Subscriber) -> Message + Send + Sync + 'c;

/// What is to be told to subscribers. Every write that changes a message's state notes it, in its own transaction, if it leads to
/// a state of [`TOLD`](crate::domain::status_webhook::TOLD), the message was sent by a client (or written on a phone), and its tenant has a
/// subscription then.
///
/// `tests/contracts/status_webhooks/status_changes.rs` proves this for every implementation.
#[async_trait]
pub trait StatusChanges: Send + Sync {
    /// Turns a portion of what was noted into messages, in one transaction; one process does at a time, the others find nothing to do.
    /// See [`fan_out`](crate::domain::status_webhook::fan_out) for who is told of what, and how much. What waits until an earlier
    /// change of the same message has been told to the same subscriber goes first, once that message has ended, in whatever state,
    /// or is gone. What is to be told of a message that is gone, or to a subscription that is gone, is dropped. An
    /// instance behind a subscription that was deleted is made again.
    ///
    /// The composed messages are stored as they are.
    async fn tell(&self, compose: &Compose<'_>) -> Result<Told, RepositoryError>;

    /// Mends what was done by hand, or by an older release: instances behind subscriptions that were deleted are made again; and the end of
    /// messages that tell is noted that was not, because they were removed: of a bounded number of those that were made before
    /// `before`, each time of others.
    async fn note_missed(&self, before: Timestamp) -> Result<(), RepositoryError>;
}

/// What was told in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How many messages were stored.
    pub messages: usize,
    /// Whether there may be more to tell now.
    pub more: bool,
}
