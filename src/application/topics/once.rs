use std::time::Duration;

use super::publication::{Confirmation, Publication};
use crate::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::domain::message::{Message, MessageId, MessageStatus};

/// What makes records alike, and for how long.
#[derive(Clone, Debug)]
pub struct Once {
    /// Equal for records of one topic that are alike.
    pub digest: [u8; 32],
    /// A day at the most: for so long is remembered what was published.
    pub within: Duration,
}

/// What became of a record that is published once.
pub enum OncePublished {
    New(Publication),
    /// One that is alike was published, or is on its way.
    Before(MessageId, Confirmation),
}

impl Once {
    pub(super) fn request(&self) -> IdempotentRequest {
        let key = IdempotencyKey::of_record(&self.digest);
        IdempotentRequest { key, fingerprint: self.digest, kept_for: self.within }
    }
}

/// Whether it stands for those that are alike: it was published, or may still be.
pub(super) fn holds(before: &Message) -> bool {
    !matches!(before.status, MessageStatus::Failed | MessageStatus::Cancelled)
}
