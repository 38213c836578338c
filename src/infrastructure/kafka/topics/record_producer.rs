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
use tokio::time::{Instant, timeout_at};

use super::own_times::OwnTimes;
use super::refusals::{is_about_its_batch, is_about_the_topic, translate};
use super::replaceable::Replaceable;
use super::topic_lookup::{Found, TopicLookup};
use crate::application::ports::{Clock, LONGEST_PUBLICATION, PublishError, Refusal, TopicProducer};
use crate::domain::topic::{RecordPosition, TopicRecord};
use crate::infrastructure::config::TopicsConfig;
use crate::infrastructure::kafka::client::{Connection, StandstillWatch};

/// Bytes of a batch: below the limit of nearly every topic, so that nobody's record is refused for its company.
const BATCH_BYTES: usize = 131_072;

/// What waits for brokers that are slow or away. What is beyond it waits in the database.
const BUFFERED_RECORDS: usize = 20_000;
const BUFFERED_KIBIBYTES: usize = 65_536;

/// A record that could not be published for so long, with no broker that answers, goes on waiting in the database. It is not given to
/// librdkafka again when less is left of [`LONGEST_PUBLICATION`]: it could be published after it has counted as unanswered.
const PATIENCE: Duration = Duration::from_secs(120);

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
    times: OwnTimes,
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
        let times = OwnTimes::new(clock, connection.troubles());
        Ok(Self(Arc::new(Publishing { addresses, connection, together, alone, lookup, times })))
    }
}

impl TopicProducer for KafkaTopicProducer {
    fn publish(&self, topic: &str, record: TopicRecord) -> BoxFuture<'static, Result<RecordPosition, PublishError>> {
        let (publishing, topic) = (self.0.clone(), topic.to_owned());
        let until = Instant::now() + LONGEST_PUBLICATION;
        let time = publishing.times.of(&topic, record.time);
        publishing.together.replace_if_it_stands_still();
        // The first poll may come late: the order of the calls is the order in the topic.
        let begun = publishing.together.client().map(|client| begin(&client, &topic, &record, time));
        let publication = async move {
            let published = match begun {
                Ok(begun) => begun.await,
                Err(error) => Err(error),
            };
            match published {
                Ok(position) => {
                    publishing.times.taken(&topic, record.time, time);
                    Ok(position)
                }
                Err(error) => publishing.look_again(&topic, &record, error, until).await,
            }
        };
        let in_time = |published: Result<_, _>| {
            published.unwrap_or_else(|_| Err(PublishError::unanswered("Kafka did not answer in time.")))
        };
        timeout_at(until, publication).map(in_time).boxed()
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
        until: Instant,
    ) -> Result<RecordPosition, PublishError> {
        // Its own report may have been the last straw.
        self.together.replace_if_it_stands_still();
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::Fatal) {
            self.together.replace_fatal();
        } else if code.is_some_and(|code| is_about_its_batch(code, bytes(record) < BATCH_BYTES)) {
            return self.publish_alone(topic, record, until).await;
        } else if code.is_some_and(is_about_the_topic) {
            self.find(topic, record).await?;
        } else {
            return Err(translate(&error));
        }
        let time = self.times.of(topic, record.time);
        let published = publish(&self.together, topic, record, time, until).await?;
        published.map_err(|error| translate(&error))
    }

    /// Its batch says nothing of others, nor others of it.
    async fn publish_alone(
        &self,
        topic: &str,
        record: &TopicRecord,
        until: Instant,
    ) -> Result<RecordPosition, PublishError> {
        let mut time = self.times.of(topic, record.time);
        loop {
            let mut published = publish(&self.alone, topic, record, time, until).await?;
            if code_of(&published) == Some(RDKafkaErrorCode::Fatal) {
                self.alone.replace_fatal();
                published = publish(&self.alone, topic, record, time, until).await?;
            }
            match published {
                Ok(position) => {
                    self.times.taken(topic, record.time, time);
                    return Ok(position);
                }
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InvalidTimestamp) => {
                    time = Some(self.times.instead(topic, record.time, time).ok_or_else(|| translate(&error))?);
                }
                Err(error) => return Err(translate(&error)),
            }
        }
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

/// Gives the record to librdkafka again, if what becomes of it will be known in time.
async fn publish(
    producer: &Replaceable<RecordEvents>,
    topic: &str,
    record: &TopicRecord,
    time: Option<i64>,
    until: Instant,
) -> Result<Published, PublishError> {
    if until.saturating_duration_since(Instant::now()) < PATIENCE {
        return Err(PublishError::unanswered("Kafka has answered too late for another look at the record."));
    }
    producer.replace_if_it_stands_still();
    let client = producer.client().map_err(|error| translate(&error))?;
    Ok(begin(&client, topic, record, time).await)
}

fn code_of(published: &Published) -> Option<RDKafkaErrorCode> {
    published.as_ref().err().and_then(KafkaError::rdkafka_error_code)
}

/// Gives the record to librdkafka, without waiting.
fn begin(
    client: &ThreadedProducer<RecordEvents>,
    topic: &str,
    record: &TopicRecord,
    time: Option<i64>,
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
    outgoing.timestamp = time;
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
