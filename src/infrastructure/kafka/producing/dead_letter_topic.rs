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
use crate::infrastructure::kafka::client::NO_TIME;
use crate::infrastructure::kafka::event;
use crate::infrastructure::kafka::topics::Topics;

/// Characters of an error that a header takes.
const LONGEST_ERROR: usize = 1_000;

/// Publishes to the topic of dead letters: the original's key and value, and in headers what became of it.
pub struct KafkaDeadLetterTopic {
    pub producer: Arc<Producer>,
    pub topics: Topics,
}

/// Bytes of headers, with an error of long characters.
const LARGEST_HEADERS: usize = 4 * LONGEST_ERROR + 1_024;

/// Bytes. Half of what the producer buffers: more would never find room there.
const LARGEST: usize = BUFFERED_KIBIBYTES * 1024 / 2;

/// How often a dead letter is published again because of other records in its batch.
const MOST_REPEATED: u32 = 5;

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
    /// it goes without its value, and at last without its key, rather than never. A compacted topic takes no record without
    /// a key: there it gets one.
    async fn put(&self, dead_letter: &DeadLetter<'_>) -> Result<(), QueueError> {
        let mut shape = Shape::first(dead_letter);
        loop {
            let may_have_company = self.producer.may_share_a_batch(shape.bytes() + LARGEST_HEADERS);
            let Err(error) = self.publish(&shape, dead_letter).await else { return Ok(()) };
            let another = match error.rdkafka_error_code() {
                // Of a batch that is refused, another record may be the cause.
                Some(RDKafkaErrorCode::MessageSizeTooLarge) if may_have_company => {
                    self.producer.single_records();
                    shape.again()
                }
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => shape.shorter(),
                Some(RDKafkaErrorCode::InvalidDifferentRecord) => shape.again(),
                Some(RDKafkaErrorCode::InvalidTimestamp) => shape.timeless(),
                // librdkafka 2.12.1 blames all records of the batch when one of them is invalid.
                Some(RDKafkaErrorCode::InvalidRecord) => shape.with_a_key().or_else(|| shape.again()),
                _ => None,
            };
            shape = another.ok_or_else(|| QueueError(error.to_string()))?;
        }
    }

    async fn publish(&self, shape: &Shape<'_>, dead_letter: &DeadLetter<'_>) -> Result<(), KafkaError> {
        let (done, confirmed) = oneshot::channel();
        let (key, value) = (shape.key, shape.value);
        let headers = self.headers(dead_letter);
        let stand_in = self.stand_in(dead_letter);
        let record = Outgoing {
            topic: &self.topics.dead_letters,
            key: if shape.has_stand_in { Some(stand_in.as_bytes()) } else { key },
            value,
            timestamp: shape.is_timeless.then_some(NO_TIME),
            headers: Some(shape.headers(headers, dead_letter)),
        };
        self.producer.publish(record, Purpose::DeadLetter(done))?;
        confirmed.await.unwrap_or(Err(KafkaError::Canceled))
    }

    /// A key for what has none: no other record has it, so that compaction removes neither.
    fn stand_in(&self, dead_letter: &DeadLetter<'_>) -> String {
        match (dead_letter.origin, dead_letter.message) {
            (Some((partition, offset)), _) => format!("{}/{}/{offset}", self.topics.send, partition.0),
            (None, Some(id)) => id.to_string(),
            (None, None) => self.topics.send.clone(),
        }
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

/// What of a dead letter's key, value and time is published.
#[derive(Clone, Copy)]
struct Shape<'r> {
    key: Option<&'r [u8]>,
    value: Option<&'r [u8]>,
    has_stand_in: bool,
    is_timeless: bool,
    /// How often it was published in the same shape because of others in its batch.
    repeated: u32,
}

impl<'r> Shape<'r> {
    /// As much as finds room in the producer.
    fn first(dead_letter: &DeadLetter<'r>) -> Self {
        let (key, value) = (dead_letter.key, dead_letter.value);
        let mut shape = Self { key, value, has_stand_in: false, is_timeless: false, repeated: 0 };
        while shape.bytes() > LARGEST {
            let Some(shorter) = shape.shorter() else { break };
            shape = shorter;
        }
        shape
    }

    fn bytes(self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len)
    }

    fn again(self) -> Option<Self> {
        (self.repeated < MOST_REPEATED).then_some(Self { repeated: self.repeated + 1, ..self })
    }

    fn shorter(self) -> Option<Self> {
        match (self.key, self.value) {
            (_, Some(_)) => Some(Self { value: None, ..self }),
            (Some(_), None) => Some(Self { key: None, ..self }),
            (None, None) => None,
        }
    }

    fn timeless(self) -> Option<Self> {
        (!self.is_timeless).then_some(Self { is_timeless: true, ..self })
    }

    fn with_a_key(self) -> Option<Self> {
        let lacks_one = self.key.is_none() && !self.has_stand_in;
        lacks_one.then_some(Self { has_stand_in: true, ..self })
    }

    /// With those that say what is not as it was, and where the original is.
    fn headers(self, mut headers: OwnedHeaders, dead_letter: &DeadLetter<'_>) -> OwnedHeaders {
        for (is_so, header) in [
            (self.value.is_none() && dead_letter.value.is_some(), "value-omitted"),
            (self.key.is_none() && dead_letter.key.is_some(), "key-omitted"),
            (self.has_stand_in, "key-added"),
        ] {
            if is_so {
                headers = headers.insert(Header { key: header, value: Some("true") });
            }
        }
        let is_changed = self.has_stand_in || self.key != dead_letter.key || self.value != dead_letter.value;
        if let Some((partition, offset)) = dead_letter.origin.filter(|_| is_changed) {
            headers = headers
                .insert(Header { key: "original-partition", value: Some(partition.0.to_string().as_str()) })
                .insert(Header { key: "original-offset", value: Some(offset.to_string().as_str()) });
        }
        headers
    }
}
