use async_trait::async_trait;
use chrono::TimeDelta;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::inbound::{Author, InboundKey, InboundMessage};
use crate::domain::instance::Instance;
use crate::domain::message::{Message, MessageId};

/// Stores messages that channels report, each once, however often it is reported and to whichever process. Many that are stored
/// concurrently share a statement. Every write that is answered is on disk.
///
/// What was written to us is the same message again when its [`InboundKey`] is; that is known for 30 days
/// ([`Storage::delete_expired_keys`](crate::application::ports::Storage::delete_expired_keys)). What was written on the phone is
/// named as what we send is, once within its instance, so that receipts find it, and so that nothing that we have sent is
/// stored a second time.
///
/// `tests/contracts/inbound/` proves what is promised here.
#[async_trait]
pub trait ReceivedMessages: Send + Sync {
    /// Returns whether it was stored: not, when it is there already. One that may be [ours](Author::PhoneOrUs) is to be
    /// [kept](Self::keep) instead.
    async fn store(&self, received: &Received) -> Result<bool, RepositoryError>;

    /// Keeps one that may be ours until it is [decided](Self::decide). Nothing happens if its name is known already.
    async fn keep(&self, received: &Received) -> Result<(), RepositoryError>;

    /// Stores, as of `now`, a portion of what was kept before `before` and has a name that no message has; forgets the rest of it. Left
    /// for later is, whatever its age, what may get its name yet: while a message of its instance is `pending` or `processing`
    /// whose try began before it was kept, or less than [`NOT_APART`] after. Returns whether there may be more.
    async fn decide(&self, before: Timestamp, now: Timestamp) -> Result<bool, RepositoryError>;
}

/// How far the clocks of processes may be apart.
pub const NOT_APART: TimeDelta = TimeDelta::seconds(60);

/// A message that was reported, as it is stored.
#[derive(Clone, Debug)]
pub struct Received {
    pub key: InboundKey,
    pub author: Author,
    pub message: Message,
}

impl Received {
    pub fn of(inbound: InboundMessage, instance: &Instance, id: MessageId, now: Timestamp) -> Self {
        Self { key: inbound.key(), author: inbound.author, message: inbound.into_message(instance, id, now) }
    }
}
