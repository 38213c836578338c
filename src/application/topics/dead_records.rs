use std::sync::Arc;

use async_trait::async_trait;

use super::{CHANNEL, kept_record};
use crate::application::ports::{
    DeadLetterTopic, PublishError, PublishErrorKind, QueueError, Record, Refusal, TopicProducer,
};
use crate::domain::message::Message;
use crate::domain::topic::{Origin, RecordTime, TopicRecord};

/// Where records that could not be published are found: on a topic of their own. Other messages' dead letters go where they
/// always went.
pub struct DeadRecords {
    pub producer: Arc<dyn TopicProducer>,
    /// `DLQ_TOPIC`
    pub topic: String,
    /// None: messages travel without a broker, and their rows are the dead letters.
    pub others: Option<Arc<dyn DeadLetterTopic>>,
}

/// Headers that say what became of a record; they come last.
const ADDED: usize = 4;

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
        self.put_as_much_as_is_taken(message, dead).await
    }

    async fn put_record(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        match &self.others {
            Some(others) => others.put_record(record, reason).await,
            None => Err(QueueError("there is no topic for it here".to_owned())),
        }
    }
}

impl DeadRecords {
    /// The topic may take less than the one that it comes from, or demand a key: better with less of what is in the row, too, than
    /// never.
    async fn put_as_much_as_is_taken(&self, message: &Message, mut dead: TopicRecord) -> Result<(), QueueError> {
        for _ in 0..MOST_SHAPES {
            let Err(error) = self.producer.publish(&self.topic, dead.clone()).await else { return Ok(()) };
            dead = another(message, dead, &error).ok_or(QueueError(error.reason))?;
        }
        Err(QueueError("it is too large without its value, and is not taken without its key".to_owned()))
    }
}

/// Whole, without its value, with a stand-in for its key, and without its client's headers.
const MOST_SHAPES: usize = 5;

/// What of it may be taken that was refused as it was.
fn another(message: &Message, dead: TopicRecord, error: &PublishError) -> Option<TopicRecord> {
    let stand_in = || Some(message.id.to_string().into_bytes());
    match error.kind {
        PublishErrorKind::RefusedForGood(Refusal::TooLarge) if dead.value.is_some() => {
            Some(TopicRecord { value: None, ..dead })
        }
        PublishErrorKind::RefusedForGood(Refusal::TooLarge) if dead.key.is_some() && dead.key != stand_in() => {
            Some(TopicRecord { key: stand_in(), ..dead })
        }
        PublishErrorKind::RefusedForGood(Refusal::TooLarge) if dead.headers.len() > ADDED => {
            let headers = dead.headers.get(dead.headers.len() - ADDED..).unwrap_or_default().to_vec();
            Some(TopicRecord { headers, ..dead })
        }
        PublishErrorKind::RefusedForGood(Refusal::Invalid) if dead.key.is_none() => {
            Some(TopicRecord { key: stand_in(), ..dead })
        }
        _ => None,
    }
}

/// Same key and value; headers of a client stay, and what became of the record comes after them, in the place of what an earlier
/// bridge said of it.
fn dead_record(message: &Message, original: TopicRecord) -> TopicRecord {
    let error: String = message.error.as_deref().unwrap_or_default().chars().take(LONGEST_ERROR).collect();
    let added: [_; ADDED] = [
        ("original-topic", message.recipient.clone()),
        ("message-id", message.id.to_string()),
        ("error", error),
        ("retry-count", message.tries.to_string()),
    ];
    let added = added.map(|(name, value)| (name.to_owned(), Some(value.into_bytes())));
    let is_said_anew = |name: &str| added.iter().any(|(added, _)| added == name);
    let stay: Vec<_> = original.headers.into_iter().filter(|(name, _)| !is_said_anew(name)).collect();
    let headers = stay.into_iter().chain(added).collect();
    TopicRecord { headers, partition: None, time: RecordTime::Published, origin: Origin::Client, ..original }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;
    use crate::application::topics::content;
    use crate::domain::instance::channel::ChannelName;
    use crate::domain::message::attempt::tests::message;
    use crate::domain::topic::RecordPosition;

    /// Takes records of so many bytes, all in all.
    struct Takes(usize, Mutex<Vec<TopicRecord>>);

    impl TopicProducer for Takes {
        fn publish(&self, _: &str, record: TopicRecord) -> BoxFuture<'static, Result<RecordPosition, PublishError>> {
            let bytes = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
            let headers: usize = record.headers.iter().map(|(name, value)| name.len() + bytes(value)).sum();
            let is_taken = bytes(&record.key) + bytes(&record.value) + headers <= self.0;
            self.1.lock().unwrap().push(record);
            let refused = PublishError::refused_for_good(Refusal::TooLarge, "too large");
            let answer = if is_taken { Ok(RecordPosition { partition: 0, offset: 0 }) } else { Err(refused) };
            Box::pin(std::future::ready(answer))
        }

        fn is_connected(&self) -> bool {
            true
        }

        fn addresses(&self) -> Vec<String> {
            Vec::new()
        }

        fn troubles(&self) -> Vec<String> {
            Vec::new()
        }
    }

    #[test]
    fn what_is_too_large_goes_with_less_rather_than_never() {
        let large = || Some(vec![b'x'; 1_000]);
        let original = TopicRecord {
            key: large(),
            value: large(),
            headers: vec![("h".to_owned(), large())],
            ..TopicRecord::default()
        };
        let kept = content(original);
        let message = Message { channel: ChannelName::new(CHANNEL), content: kept, ..message(1) };
        for (most, tries, is_put) in
            [(4_000, 1, true), (2_500, 2, true), (1_500, 3, true), (500, 4, true), (10, 4, false)]
        {
            let producer = Arc::new(Takes(most, Mutex::default()));
            let dead = DeadRecords { producer: producer.clone(), topic: "dlq".to_owned(), others: None };
            let put = dead.put_message(&message).now_or_never().unwrap();
            assert_eq!((put.is_ok(), producer.1.lock().unwrap().len()), (is_put, tries), "{most}");
        }
    }

    #[test]
    fn a_dead_letter_says_each_thing_of_itself_once() {
        let header = |name: &str| (name.to_owned(), Some(b"before".to_vec()));
        let headers = ["a", "message-id", "a", "retry-count", "error", "original-topic"].map(header).to_vec();
        let original = TopicRecord { headers, ..TopicRecord::default() };
        let message = Message { content: content(original.clone()), ..message(1) };
        let names: Vec<String> = dead_record(&message, original).headers.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "a", "original-topic", "message-id", "error", "retry-count"]);
    }
}
