use std::sync::Arc;

use async_trait::async_trait;
use futures::channel::oneshot;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};

use super::producer::{Outgoing, Producer};
use super::publishing::BUFFERED_KIBIBYTES;
use super::reports::Purpose;
use crate::application::ports::{DeadLetterTopic, Partition, QueueError, Record};
use crate::domain::message::{Message, MessageId};
use crate::infrastructure::kafka::event;
use crate::infrastructure::kafka::topics::Topics;

/// Characters of an error that a header takes.
const LONGEST_ERROR: usize = 1_000;

/// Publishes to the topic of dead letters: the original's key and value, and in headers what became of it.
pub struct KafkaDeadLetterTopic {
    pub producer: Arc<Producer>,
    pub topics: Topics,
}

/// Bytes. Half of what the producer buffers: more would never find room there.
const LARGEST: usize = BUFFERED_KIBIBYTES * 1024 / 2;

struct DeadLetter<'r> {
    key: Option<&'r [u8]>,
    value: Option<&'r [u8]>,
    /// Where the original is.
    origin: Option<(Partition, i64)>,
    error: &'r str,
    retries: u32,
    message: Option<MessageId>,
}

#[async_trait]
impl DeadLetterTopic for KafkaDeadLetterTopic {
    async fn put_message(&self, message: &Message) -> Result<(), QueueError> {
        let dead_letter = DeadLetter {
            key: Some(&event::key(message)),
            // As it was published, unless the broker refuses records of that size.
            value: Some(&event::value(message, event::LARGEST_VALUE)),
            origin: None,
            error: message.error.as_deref().unwrap_or_default(),
            retries: message.tries,
            message: Some(message.id),
        };
        self.put(&dead_letter).await
    }

    async fn put_record(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        let dead_letter = DeadLetter {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            origin: Some((record.partition, record.offset)),
            error: reason,
            retries: 0,
            message: record.content.as_ref().ok().map(|request| request.message_id),
        };
        self.put(&dead_letter).await
    }
}

impl KafkaDeadLetterTopic {
    /// The topic may take less than the one it comes from, and the headers may make a record too large that was not: then
    /// it goes without its value, and at last without its key, rather than never.
    async fn put(&self, dead_letter: &DeadLetter<'_>) -> Result<(), QueueError> {
        let too_large = |error: &KafkaError| error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge);
        let shorter = [(dead_letter.key, dead_letter.value), (dead_letter.key, None), (None, None)];
        let mut outcome = Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
        for (key, value) in shorter {
            if !outcome.as_ref().is_err_and(too_large) {
                break;
            }
            if key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) <= LARGEST {
                outcome = self.publish(key, value, dead_letter).await;
            }
        }
        outcome.map_err(|error| QueueError(error.to_string()))
    }

    async fn publish(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        dead_letter: &DeadLetter<'_>,
    ) -> Result<(), KafkaError> {
        let (done, confirmed) = oneshot::channel();
        let mut headers = self.headers(dead_letter);
        for (omitted, header) in [
            (value.is_none() && dead_letter.value.is_some(), "value-omitted"),
            (key.is_none() && dead_letter.key.is_some(), "key-omitted"),
        ] {
            if omitted {
                headers = headers.insert(Header { key: header, value: Some("true") });
            }
        }
        if let Some((partition, offset)) =
            dead_letter.origin.filter(|_| key != dead_letter.key || value != dead_letter.value)
        {
            headers = headers
                .insert(Header { key: "original-partition", value: Some(partition.0.to_string().as_str()) })
                .insert(Header { key: "original-offset", value: Some(offset.to_string().as_str()) });
        }
        let record = Outgoing { topic: &self.topics.dead_letters, key, value, timestamp: None, headers: Some(headers) };
        self.producer.publish(record, Purpose::DeadLetter(done))?;
        confirmed.await.unwrap_or(Err(KafkaError::Canceled))
    }

    fn headers(&self, dead_letter: &DeadLetter<'_>) -> OwnedHeaders {
        let error: String = dead_letter.error.chars().take(LONGEST_ERROR).collect();
        let headers = OwnedHeaders::new()
            .insert(Header { key: "original-topic", value: Some(self.topics.send.as_str()) })
            .insert(Header { key: "error", value: Some(error.as_str()) })
            .insert(Header { key: "retry-count", value: Some(dead_letter.retries.to_string().as_str()) });
        match dead_letter.message {
            Some(id) => headers.insert(Header { key: "message-id", value: Some(id.to_string().as_str()) }),
            None => headers,
        }
    }
}
