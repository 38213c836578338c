//! Messages travel through Kafka: published where they are accepted, consumed where they are delivered.

mod administration;
mod client;
mod consuming;
pub mod event;
mod producing;
mod progress;
mod topics;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::ClientConfig;

use crate::application::Stop;
use crate::application::node::unreconciled::Unreconciled;
use crate::application::ports::{Broker, Clock, QueueScope};
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::MessageId;
use crate::infrastructure::config::{Brokers, ConfigError, KafkaConfig, KafkaSecurity, TopicsConfig};

use client::{EmbeddedBroker, Troubles, client_config, refused};
use consuming::{ForeignRecords, GroupSettings};
use producing::Producer;
use progress::{GroupProgress, LostRecords, Positions};
use topics::TopicKeeper;

pub use administration::{KafkaAdministration, KafkaRecordConsumers};
pub use client::Connection;
pub use consuming::KafkaMessageSource;
pub use producing::{KafkaDeadLetterTopic, KafkaMessageQueue};
pub use topics::{KafkaTopicProducer, Topics};

/// How long a start waits for its topics.
const PREPARATION: Duration = Duration::from_secs(5);

/// A process's ways to Kafka.
pub struct Kafka {
    pub queue: Arc<KafkaMessageQueue>,
    pub dead_letter_topic: Arc<KafkaDeadLetterTopic>,
    pub topics: Topics,
    /// As configured; the embedded one's own.
    pub brokers: Vec<String>,
    pub connection: Arc<Connection>,
    config: ClientConfig,
    membership: GroupSettings,
    clock: Arc<dyn Clock>,
    /// None with an embedded broker, whose topics are never deleted.
    keeper: Option<Arc<TopicKeeper>>,
    lost: Arc<LostRecords>,
    group: Arc<GroupProgress>,
    positions: Positions,
    foreign: ForeignRecords,
    _embedded: Option<EmbeddedBroker>,
}

/// What comes before the call of a message that is being claimed: the claim, the turn of its instance, and its slot.
const PREPARING: Duration = Duration::from_secs(20);

/// What it takes to record the outcome of a try.
const RECORDING: Duration = Duration::from_secs(10);

/// The group takes a member for dead that does not answer for five minutes (`max.poll.interval.ms`).
const LONGEST_DRAIN: Duration = Duration::from_secs(240);

/// A sentence about a channel whose tries may take longer than a partition that is given up waits for them.
pub fn overtaken(channel: &ChannelName, longest_try: Duration) -> Option<String> {
    let waits = LONGEST_DRAIN - PREPARING - RECORDING;
    (longest_try > waits).then(|| {
        format!(
            "A try of channel {channel} may take {} s, and a partition that goes to another process waits for {} s: later \
             messages to the same recipient may then overtake one that takes longer.",
            longest_try.as_secs(),
            waits.as_secs()
        )
    })
}

impl Kafka {
    /// Begins to connect. What could not be published will be among the `unreconciled`.
    ///
    /// # Errors
    /// When librdkafka refuses the settings; never because a broker is away.
    pub fn start(kafka: &KafkaConfig, unreconciled: Unreconciled, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let topics = Topics::new(&kafka.topic_prefix);
        let (brokers, embedded) = match &kafka.brokers {
            Brokers::Addresses(addresses) => (addresses.clone(), None),
            Brokers::Embedded => {
                let broker = EmbeddedBroker::start(&topics, kafka.partitions).map_err(|error| refused(&error))?;
                (vec![broker.address.clone()], Some(broker))
            }
        };
        let connection = Arc::new(Connection::new(brokers.clone(), Arc::new(Troubles::new(clock.clone()))));
        let config = client_config(&brokers, &kafka.security);
        let producer =
            Producer::new(config.clone(), kafka.publish_timeout, unreconciled, clock.clone(), connection.clone());
        let producer = Arc::new(producer.map_err(|error| refused(&error))?);
        let positions = Positions::default();
        let (topic, known) = (topics.send.clone(), positions.clone());
        let group = GroupProgress::new(config.clone(), &kafka.group_id, topic, known, connection.clone());
        let lost = Arc::new(LostRecords::new(kafka.publish_timeout));
        let foreign = ForeignRecords::new(topics.send.clone(), clock.clone(), connection.troubles());
        let keeper = embedded.is_none().then(|| {
            Arc::new(TopicKeeper {
                config: config.clone(),
                topics: topics.clone(),
                partitions: kafka.partitions,
                replication_factor: kafka.replication_factor,
                producer: producer.clone(),
                connection: connection.clone(),
                clock: clock.clone(),
                complaint: Mutex::default(),
                counted: Mutex::default(),
                described: Mutex::default(),
            })
        });
        Ok(Self {
            queue: Arc::new(KafkaMessageQueue {
                producer: producer.clone(),
                topic: topics.send.clone(),
                scope: if embedded.is_some() { QueueScope::InProcess } else { QueueScope::Shared },
                lost: lost.clone(),
            }),
            dead_letter_topic: Arc::new(KafkaDeadLetterTopic { producer, topics: topics.clone() }),
            topics,
            brokers,
            connection,
            config,
            membership: GroupSettings {
                id: kafka.group_id.clone(),
                protocol: kafka.group_protocol,
                session_timeout: kafka.session_timeout,
            },
            clock,
            keeper,
            lost,
            positions,
            foreign,
            group: Arc::new(group.map_err(|error| refused(&error))?),
            _embedded: embedded,
        })
    }

    /// Consumes as a member of the group, from the moment on when it is first asked for what is next. A partition that is
    /// given up waits for the messages that are being delivered, each of which may take `longest_try`.
    pub fn source(&self, longest_try: Duration) -> Arc<KafkaMessageSource> {
        let (config, topic, connection) = (self.config.clone(), self.topics.send.clone(), self.connection.clone());
        let drain_timeout = (PREPARING + longest_try + RECORDING).min(LONGEST_DRAIN);
        let positions = self.positions.clone();
        Arc::new(KafkaMessageSource::new(config, &self.membership, topic, positions, connection, drain_timeout))
    }
}

impl Kafka {
    /// Publishes to clients' topics, on the same brokers.
    ///
    /// # Errors
    /// As above.
    pub fn topic_producer(&self, topics: &TopicsConfig) -> Result<KafkaTopicProducer, ConfigError> {
        let is_embedded = self._embedded.is_some();
        topic_producer(self.config.clone(), topics, self.brokers.clone(), is_embedded, self.clock.clone())
    }
}

/// Publishes to clients' topics where messages travel without a broker.
///
/// # Errors
/// When librdkafka refuses the settings; never because a broker is away.
pub fn start_topic_producer(
    topics: &TopicsConfig,
    addresses: &[String],
    security: &KafkaSecurity,
    clock: Arc<dyn Clock>,
) -> Result<KafkaTopicProducer, ConfigError> {
    topic_producer(client_config(addresses, security), topics, addresses.to_vec(), false, clock)
}

fn topic_producer(
    config: ClientConfig,
    topics: &TopicsConfig,
    addresses: Vec<String>,
    is_embedded: bool,
    clock: Arc<dyn Clock>,
) -> Result<KafkaTopicProducer, ConfigError> {
    let connection = Arc::new(Connection::new(addresses.clone(), Arc::new(Troubles::new(clock.clone()))));
    KafkaTopicProducer::start(config, topics, addresses, is_embedded, connection, clock)
        .map_err(|error| refused(&error))
}

/// What is asked of a Kafka beside publishing. It connects when it is first asked.
pub fn administration(
    addresses: &[String],
    security: &KafkaSecurity,
    clock: Arc<dyn Clock>,
) -> (KafkaAdministration, KafkaRecordConsumers) {
    let connection = Arc::new(Connection::new(addresses.to_vec(), Arc::new(Troubles::new(clock.clone()))));
    let config = client_config(addresses, security);
    let consumers = KafkaRecordConsumers::new(config.clone(), connection.clone());
    (KafkaAdministration::new(config, connection, clock), consumers)
}

#[async_trait]
impl Broker for Kafka {
    fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }

    fn addresses(&self) -> Vec<String> {
        self.brokers.clone()
    }

    fn troubles(&self) -> Vec<String> {
        self.connection.troubles().sentences()
    }

    fn names_nothing(&self, message: MessageId) {
        self.foreign.found(message);
    }

    /// Creates the topics that are missing, so that no other client creates them in another way.
    async fn prepare(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.prepare(PREPARATION).await;
        }
    }

    /// Keeps the topics there, and finds out what Kafka has lost.
    async fn keep(&self, stop: Stop) {
        let topics = async {
            if let Some(keeper) = &self.keeper {
                keeper.run(stop.clone()).await;
            }
        };
        let lost = self.lost.run(&self.group, &self.connection, &*self.clock, stop.clone());
        futures::join!(topics, lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_whose_tries_take_too_long_is_named_with_the_figure() {
        let fax = ChannelName::new("fax");
        assert_eq!(overtaken(&fax, Duration::from_secs(210)), None);
        let sentence = overtaken(&fax, Duration::from_secs(600)).unwrap();
        assert!(["channel fax", "600 s", "210 s"].iter().all(|said| sentence.contains(said)), "{sentence}");
    }
}
