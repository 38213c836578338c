use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::event::EventId;
use crate::domain::message::{Message, MessageId, MessageStatus};
use crate::domain::subscription::{EventDelivery, SubscriptionId};

/// What became of events at subscriptions. An event and a subscription have one delivery, and so at most one message.
///
/// `tests/contracts/subscriptions/event_deliveries.rs` proves this for every implementation.
#[async_trait]
pub trait EventDeliveries: Send + Sync {
    /// Notes deliveries that are new and stores their messages, together: each message is `queued`, has a `next_attempt_at`, and
    /// is handed over by the relay. A delivery that is there already stays, and its message is not stored; one that was
    /// skipped may become a message. Returns how many were written.
    async fn record(&self, deliveries: &[NewDelivery]) -> Result<u64, RepositoryError>;

    /// Of these events, in no order.
    async fn of_events(&self, events: &[EventId]) -> Result<Vec<EventDelivery>, RepositoryError>;

    /// How the messages of these events are. One that was deleted since is left out.
    async fn messages(&self, events: &[EventId]) -> Result<Vec<EventMessage>, RepositoryError>;

    /// Forgets a limited number of deliveries that were noted before `time` and whose events are gone; true if there may be
    /// more. As long as an event is there, its deliveries keep it from becoming messages a second time.
    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError>;
}

#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub event: EventId,
    pub subscription: SubscriptionId,
    /// None: it was skipped.
    pub message: Option<Message>,
    pub at: Timestamp,
}

/// A message that an event became, as far as the event is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMessage {
    pub event: EventId,
    pub message: MessageId,
    pub status: MessageStatus,
    pub error: Option<String>,
}
