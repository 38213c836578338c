use async_trait::async_trait;

use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::{Message, MessageStatus};

/// Carries accepted messages towards their delivery: immediately, or through a broker.
///
/// An implementation
/// - may assume that the message is stored, open, and owned by this node;
/// - keeps the order of messages that share an ordering key and are handed over one after the other;
/// - returns an error for what it did not take on; its caller then makes the row due, so that the relay hands it over
///   again: taking the same message twice must be harmless;
/// - reports what it took on and could not keep to
///   [`Unreconciled`](crate::application::node::unreconciled::Unreconciled).
///
/// `tests/contracts/delivery/message_queue.rs` proves this for every implementation.
#[async_trait]
pub trait MessageQueue: Send + Sync {
    /// The state in which a message waits for this queue.
    fn waiting_status(&self) -> MessageStatus;

    /// What becomes of a message that was handed over and that no node has claimed yet.
    fn scope(&self) -> QueueScope;

    /// How many messages the relay may have under way with this queue: few or none while the queue cannot pass them on.
    fn free_capacity(&self) -> usize;

    /// How many of those that the relay has under way take so long that others get their places.
    fn hanging(&self) -> usize {
        0
    }

    /// Instances whose messages would only be put off now: handing them over takes no place.
    fn full_instances(&self) -> Vec<InstanceId> {
        Vec::new()
    }

    /// Never waits for a broker. A `queued` message comes without its content where handing over is delivering: it is
    /// claimed, and read with the claim.
    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError>;

    /// The queue has lost, or never got, what was last handed over (`updated_at`) before this moment and is still
    /// `queued`. None: nothing is known to be lost. Returns immediately, with what it last found out.
    fn lost_before(&self) -> Option<Timestamp>;

    /// Takes nothing more, and waits until it knows of every message it took on whether it is kept; one that is not is
    /// then among the unreconciled.
    async fn close(&self);
}

/// Where messages wait that were handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueScope {
    /// Nowhere: handing over is delivering.
    Nowhere,
    /// In a broker within this process, and gone with it.
    InProcess,
    /// In a broker that other processes consume from.
    Shared,
}

impl QueueScope {
    /// Whether messages wait in a broker, for a consumer.
    pub fn publishes(self) -> bool {
        self != QueueScope::Nowhere
    }
}

#[derive(Clone, Debug)]
pub enum Handover {
    /// The message is delivered later.
    Queued,
    /// A try has ended while we waited: the message as it is now.
    Done(Box<Message>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueueError(pub String);
