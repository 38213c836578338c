use async_trait::async_trait;

use crate::domain::message::{Message, MessageStatus};

/// Carries accepted messages towards their delivery: at once, or through a broker.
///
/// An implementation
/// - may assume that the message is stored, open, and owned by this node;
/// - keeps the order of messages that share an ordering key and are handed over one after the other;
/// - returns an error for what it did not take on; the relay will hand it over again, so taking the same message twice
///   must be harmless.
///
/// `tests/application/delivery.rs` proves this for direct delivery.
#[async_trait]
pub trait MessageQueue: Send + Sync {
    /// The state in which a message waits for this queue.
    fn waiting_status(&self) -> MessageStatus;

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError>;
}

#[derive(Clone, Debug)]
pub enum Handover {
    /// Somebody will deliver it.
    Queued,
    /// A try has ended while we waited: the message as it is now.
    Done(Box<Message>),
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct QueueError(pub String);
