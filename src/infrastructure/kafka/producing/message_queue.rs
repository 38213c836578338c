use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::error;

use super::producer::{Outgoing, Producer};
use super::reports::Purpose;
use crate::application::ports::{Handover, MessageQueue, QueueError, QueueScope};
use crate::domain::Timestamp;
use crate::domain::message::{Message, MessageStatus};
use crate::infrastructure::kafka::event;
use crate::infrastructure::kafka::progress::LostRecords;

/// Publishes messages to the topic that workers consume.
pub struct KafkaMessageQueue {
    pub producer: Arc<Producer>,
    pub topic: String,
    pub scope: QueueScope,
    pub lost: Arc<LostRecords>,
}

#[async_trait]
impl MessageQueue for KafkaMessageQueue {
    fn waiting_status(&self) -> MessageStatus {
        MessageStatus::Queued
    }

    fn scope(&self) -> QueueScope {
        self.scope
    }

    fn free_capacity(&self) -> usize {
        self.producer.free_capacity()
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        let key = event::key(message);
        let value = event::value(message, self.producer.largest_value());
        // By it is found out later which messages Kafka has lost.
        let time = self.producer.time_of(message.updated_at);
        let record =
            Outgoing { topic: &self.topic, key: Some(&key), value: Some(&value), timestamp: Some(time), headers: None };
        match self.producer.publish(record, Purpose::Message { id: message.id, node: message.node, time }) {
            Ok(()) => Ok(Handover::Queued),
            Err(error) => {
                self.producer.refused(&error);
                Err(QueueError(error.to_string()))
            }
        }
    }

    fn lost_before(&self) -> Option<Timestamp> {
        self.lost.before()
    }

    async fn close(&self) {
        // What is not confirmed by then is published again by the node that takes it over.
        const PATIENCE: Duration = Duration::from_secs(5);
        let producer = self.producer.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || producer.close(PATIENCE)).await {
            error!(target: "kafka", %error, "the producer could not be closed");
        }
    }
}
