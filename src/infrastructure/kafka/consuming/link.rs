use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use tracing::debug;

use super::membership::Consumer;
use crate::application::ports::Partition;

/// The consumer of the moment, for the application, which knows nothing of consumers that come and go.
pub struct Link {
    topic: String,
    /// None while there is none.
    consumer: Mutex<Option<Arc<Consumer>>>,
}

impl Link {
    pub fn new(topic: String) -> Self {
        Self { topic, consumer: Mutex::default() }
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn share(&self, consumer: Option<Arc<Consumer>>) {
        *self.consumer.lock().unwrap_or_else(PoisonError::into_inner) = consumer;
    }

    pub fn pause(&self, partition: Partition) {
        self.with("not paused", partition, |consumer| consumer.pause(&self.only(partition)));
    }

    pub fn resume(&self, partition: Partition) {
        self.with("not resumed", partition, |consumer| consumer.resume(&self.only(partition)));
    }

    pub fn finished(&self, partition: Partition, offset: i64) {
        // It stores the offset after this one, which is where the group goes on.
        self.with("not stored as finished", partition, |consumer| {
            consumer.store_offset(&self.topic, partition.0, offset)
        });
    }

    /// Without handing the consumer out: the thread alone may drop it, because that waits for the group.
    fn with(&self, what: &str, partition: Partition, act: impl FnOnce(&Consumer) -> Result<(), KafkaError>) {
        let consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(consumer) = &*consumer else { return };
        if let Err(error) = act(consumer) {
            // The partition was given up meanwhile: its next owner goes on from what is committed.
            debug!(target: "kafka", partition = partition.0, %error, "{what}");
        }
    }

    fn only(&self, partition: Partition) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition.0);
        list
    }
}
