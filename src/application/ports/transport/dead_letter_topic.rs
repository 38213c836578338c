use async_trait::async_trait;

use super::message_source::Record;
use crate::application::ports::QueueError;
use crate::domain::message::Message;

/// Where people find what could not be delivered: a topic of its own, beside the rows.
#[async_trait]
pub trait DeadLetterTopic: Send + Sync {
    /// Publishes a failed message's record, as it was when it was handed over, with what became of it. Returns when the
    /// broker has confirmed it.
    async fn put_message(&self, message: &Message) -> Result<(), QueueError>;

    /// Publishes an undeliverable record, byte for byte, with the reason. Returns when the broker has confirmed it.
    async fn put_record(&self, record: &Record, reason: &str) -> Result<(), QueueError>;
}
