use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::time::timeout;

use super::refusals::{is_about_its_batch, is_about_the_topic, translate};
use super::replaceable::Replaceable;
use super::topic_lookup::{Found, TopicLookup};
use crate::application::ports::{Clock, LONGEST_PUBLICATION, PublishError, Refusal, TopicProducer};
use crate::domain::Timestamp;
use crate::domain::topic::{RecordPosition, TopicRecord};
use crate::infrastructure::config::TopicsConfig;
use crate::infrastructure::kafka::client::{Connection, StandstillWatch};

/// Bytes of a batch: below the limit of nearly every topic, so that nobody's record is refused for its company.
const BATCH_BYTES: usize = 131_072;

/// What waits for brokers that are slow or away. What is beyond it waits in the database.
const BUFFERED_RECORDS: usize = 20_000;
const BUFFERED_KIBIBYTES: usize = 65_536;

/// A record that could not be published for so long, with no broker that answers, goes on waiting in the database. Less than
/// [`LONGEST_PUBLICATION`] by what a second look takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// The broker sets the time of a record that has none.
const NO_TIME: i64 = -1;

type Published = Result<RecordPosition, KafkaError>;

/// Publishes clients' records through librdkafka's idempotent producer.
pub struct KafkaTopicProducer(Arc<Publishing>);

struct Publishing {
    addresses: Vec<String>,
    connection: Arc<Connection>,
    together: Replaceable<RecordEvents>,
    /// For records that must not share a batch.
    alone: Replaceable<RecordEvents>,
    lookup: TopicLookup,
    clock: Arc<dyn Clock>,
}

impl KafkaTopicProducer {
    /// Begins to connect.
    ///
    /// # Errors
    /// When librdkafka refuses the settings; never because a broker is away.
    pub fn start(
        mut config: ClientConfig,
        topics: &TopicsConfig,
        addresses: Vec<String>,
        is_embedded: bool,
        connection: Arc<Connection>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KafkaError> {
        let lookup = TopicLookup::new(config.clone(), topics, is_embedded, connection.clone());
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Keys land where Java's clients put them.
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            // Callers wait: what arrives while a request is under way is the next batch.
            .set("linger.ms", "1")
            .set("batch.size", BATCH_BYTES.to_string())
            .set("queue.buffering.max.messages", BUFFERED_RECORDS.to_string())
            .set("queue.buffering.max.kbytes", BUFFERED_KIBIBYTES.to_string())
            // A topic that is not there is said at once: the next try finds one that was made meanwhile.
            .set("topic.metadata.propagation.max.ms", "0")
            // Only the broker knows what it takes.
            .set("message.max.bytes", "100000000")
            .set("compression.type", topics.compression.as_str());
        let mut config_alone = config.clone();
        config_alone.set("batch.size", "1").set("linger.ms", "0").remove("statistics.interval.ms");
        let producer = |config| {
            let standstill = Arc::new(StandstillWatch::new(PATIENCE, connection.clone(), clock.clone()));
            let events = RecordEvents { connection: connection.clone(), standstill: standstill.clone() };
            Replaceable::new(config, standstill, move || events.clone())
        };
        let (together, alone) = (producer(config), producer(config_alone));
        together.client()?;
        Ok(Self(Arc::new(Publishing { addresses, connection, together, alone, lookup, clock })))
    }
}

impl TopicProducer for KafkaTopicProducer {
    fn publish(&self, topic: &str, record: TopicRecord) -> BoxFuture<'static, Result<RecordPosition, PublishError>> {
        let (publishing, topic) = (self.0.clone(), topic.to_owned());
        publishing.together.replace_if_it_stands_still();
        // The first poll may come late: the order of the calls is the order in the topic.
        let begun = publishing.together.client().map(|client| begin(&client, &topic, &record));
        let publication = async move {
            let published = match begun {
                Ok(begun) => begun.await,
                Err(error) => Err(error),
            };
            match published {
                Ok(position) => Ok(position),
                Err(error) => publishing.look_again(&topic, &record, error).await,
            }
        };
        let in_time = |published: Result<_, _>| {
            published.unwrap_or_else(|_| Err(PublishError::unanswered("Kafka did not answer in time.")))
        };
        timeout(LONGEST_PUBLICATION, publication).map(in_time).boxed()
    }

    fn is_connected(&self) -> bool {
        self.0.connection.is_connected()
    }

    fn addresses(&self) -> Vec<String> {
        self.0.addresses.clone()
    }

    fn troubles(&self) -> Vec<String> {
        self.0.connection.troubles().sentences()
    }
}

impl Publishing {
    /// What was refused for something that is not the record's own is published once more.
    async fn look_again(
        &self,
        topic: &str,
        record: &TopicRecord,
        error: KafkaError,
    ) -> Result<RecordPosition, PublishError> {
        // Its own report may have been the last straw.
        self.together.replace_if_it_stands_still();
        let code = error.rdkafka_error_code();
        let again = if code == Some(RDKafkaErrorCode::Fatal) {
            self.together.replace_fatal();
            publish(&self.together, topic, record).await
        } else if code.is_some_and(|code| is_about_its_batch(code, bytes(record) < BATCH_BYTES)) {
            match publish_alone(&self.alone, topic, record).await {
                Err(error) if is_behind(&error, record, self.clock.now()) => {
                    let timeless = TopicRecord { timestamp: Some(NO_TIME), ..record.clone() };
                    publish_alone(&self.alone, topic, &timeless).await
                }
                published => published,
            }
        } else if code.is_some_and(is_about_the_topic) {
            self.find(topic, record).await?;
            publish(&self.together, topic, record).await
        } else {
            return Err(translate(&error));
        };
        again.map_err(|error| translate(&error))
    }

    /// The topic is there, or was made.
    async fn find(&self, topic: &str, record: &TopicRecord) -> Result<(), PublishError> {
        let client = self.together.client().map_err(|error| translate(&error))?;
        match self
            .lookup
            .find(topic, move |topic, patience| client.client().fetch_metadata(Some(topic), patience))
            .await
        {
            Found::Partitions(count) => match record.partition {
                Some(partition) if partition < 0 || partition >= count => Err(PublishError::refused_for_good(
                    Refusal::Invalid,
                    format!("There is no partition {partition}: the topic {topic} has {count}."),
                )),
                _ => Ok(()),
            },
            Found::Nothing => Err(PublishError::refused(format!(
                "This server does not host this topic-partition: there is no topic {topic}."
            ))),
            Found::Refusal(reason) => Err(PublishError::refused(reason)),
            Found::NoAnswer(reason) => Err(PublishError::unanswered(reason)),
        }
    }
}

async fn publish(producer: &Replaceable<RecordEvents>, topic: &str, record: &TopicRecord) -> Published {
    producer.replace_if_it_stands_still();
    let begun = begin(&*producer.client()?, topic, record);
    begun.await
}

async fn publish_alone(producer: &Replaceable<RecordEvents>, topic: &str, record: &TopicRecord) -> Published {
    match publish(producer, topic, record).await {
        Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
            producer.replace_fatal();
            publish(producer, topic, record).await
        }
        published => published,
    }
}

/// Whether the broker's clock is behind that of this machine: the record's time has come here. Then the broker sets it.
fn is_behind(error: &KafkaError, record: &TopicRecord, now: Timestamp) -> bool {
    let has_come = record.timestamp.is_none_or(|time| time <= now.timestamp_millis());
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::InvalidTimestamp) && has_come
}

/// Gives the record to librdkafka, without waiting.
fn begin(
    client: &ThreadedProducer<RecordEvents>,
    topic: &str,
    record: &TopicRecord,
) -> impl Future<Output = Published> + Send + use<> {
    let headers = (!record.headers.is_empty()).then(|| {
        record.headers.iter().fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (key, value)| {
            headers.insert(Header { key, value: value.as_deref() })
        })
    });
    let (report, reported) = oneshot::channel();
    let mut outgoing: BaseRecord<'_, [u8], [u8], _> = BaseRecord::with_opaque_to(topic, Box::new(report));
    outgoing.partition = record.partition;
    outgoing.payload = record.value.as_deref();
    outgoing.key = record.key.as_deref();
    outgoing.timestamp = record.timestamp;
    outgoing.headers = headers;
    let begun = client.send(outgoing).map_err(|(error, _)| error);
    async move {
        begun?;
        // A producer that ends reports on everything.
        reported.await.unwrap_or(Err(KafkaError::Canceled))
    }
}

fn bytes(record: &TopicRecord) -> usize {
    record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len)
}

/// What librdkafka reports.
#[derive(Clone)]
struct RecordEvents {
    connection: Arc<Connection>,
    standstill: Arc<StandstillWatch>,
}

const CLIENT: &str = "topics";

impl ClientContext for RecordEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.connection.log(CLIENT, level, facility, line);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.connection.look(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error(CLIENT, &error, reason);
    }
}

impl ProducerContext for RecordEvents {
    type DeliveryOpaque = Box<oneshot::Sender<Published>>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Self::DeliveryOpaque) {
        let (published, record) = match result {
            Ok(record) => (Ok(RecordPosition { partition: record.partition(), offset: record.offset() }), record),
            Err((error, record)) => (Err(error.clone()), record),
        };
        self.standstill.reported(record.topic(), record.partition(), published.as_ref().err());
        // A record that nobody waits for any more is published all the same.
        let _ = report.send(published);
    }
}

#[cfg(test)]
#[path = "record_producer_tests.rs"]
mod tests;
