use std::time::Duration;

use super::publication::{Confirmation, Publication};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::domain::message::{Message, MessageId};

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
    /// `after`: the one before, which is too long ago.
    pub(super) fn request(&self, after: Option<MessageId>) -> IdempotentRequest {
        let after = after.map(|after| after.to_string());
        let key = IdempotencyKey::of_record(&self.digest, after.as_deref());
        IdempotentRequest { key, fingerprint: self.digest }
    }

    pub(super) fn holds(&self, before: &Message, now: Timestamp) -> bool {
        (now - before.created_at).to_std().is_ok_and(|ago| ago < self.within) || now < before.created_at
    }
}
