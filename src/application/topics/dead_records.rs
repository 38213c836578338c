use std::sync::Arc;

use async_trait::async_trait;

use super::{CHANNEL, kept_record};
use crate::application::ports::{
    DeadLetterTopic, PublishError, PublishErrorKind, QueueError, Record, Refusal, TopicProducer,
};
use crate::domain::message::Message;
use crate::domain::topic::{Origin, TopicRecord};

/// Where records that could not be published are found: on a topic of their own. Other messages' dead letters go where they
/// always went.
pub struct DeadRecords {
    pub producer: Arc<dyn TopicProducer>,
    /// `DLQ_TOPIC`
    pub topic: String,
    /// None: messages travel without a broker, and their rows are the dead letters.
    pub others: Option<Arc<dyn DeadLetterTopic>>,
}

/// Characters of an error that a header takes.
const LONGEST_ERROR: usize = 1_000;

#[async_trait]
impl DeadLetterTopic for DeadRecords {
    async fn put_message(&self, message: &Message) -> Result<(), QueueError> {
        if message.channel.as_str() != CHANNEL {
            return match &self.others {
                Some(others) => others.put_message(message).await,
                None => Ok(()),
            };
        }
        // Of a row that was edited by hand nothing but the headers may be left.
        let original = kept_record::record(message.content.clone()).unwrap_or_default();
        let dead = dead_record(message, original);
        match self.producer.publish(&self.topic, dead.clone()).await {
            Ok(_) => Ok(()),
            Err(error) => self.put_shortened(message, dead, error).await,
        }
    }

    async fn put_record(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        match &self.others {
            Some(others) => others.put_record(record, reason).await,
            None => Err(QueueError("there is no topic for it here".to_owned())),
        }
    }
}

impl DeadRecords {
    /// The topic may take less than the one that it comes from, or demand a key: better without its value, which is in the row,
    /// than never.
    async fn put_shortened(&self, message: &Message, dead: TopicRecord, error: PublishError) -> Result<(), QueueError> {
        let shorter = match error.kind {
            PublishErrorKind::RefusedForGood(Refusal::TooLarge) => TopicRecord { value: None, ..dead },
            PublishErrorKind::RefusedForGood(Refusal::Invalid) if dead.key.is_none() => {
                TopicRecord { key: Some(message.id.to_string().into_bytes()), ..dead }
            }
            _ => return Err(QueueError(error.reason)),
        };
        self.producer.publish(&self.topic, shorter).await.map(drop).map_err(|error| QueueError(error.reason))
    }
}

/// Same key and value; headers of a client stay, and what became of the record comes after them.
fn dead_record(message: &Message, original: TopicRecord) -> TopicRecord {
    let error: String = message.error.as_deref().unwrap_or_default().chars().take(LONGEST_ERROR).collect();
    let added = [
        ("original-topic", message.recipient.clone()),
        ("message-id", message.id.to_string()),
        ("error", error),
        ("retry-count", message.tries.to_string()),
    ];
    let added = added.map(|(name, value)| (name.to_owned(), Some(value.into_bytes())));
    let headers = original.headers.into_iter().chain(added).collect();
    TopicRecord { headers, partition: None, timestamp: None, origin: Origin::Client, ..original }
}
