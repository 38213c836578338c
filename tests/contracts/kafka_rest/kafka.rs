//! A Kafka that nobody else minds the test using.

use std::sync::Arc;
use std::time::Duration;

use correio::application::ports::*;
use correio::infrastructure::config::KafkaSecurity;
use correio::infrastructure::kafka::administration;
use correio::infrastructure::system::SystemClock;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use uuid::Uuid;

use crate::support::eventually::{SOON, eventually};
use crate::support::memory_kafka::MemoryKafka;

/// Makes a test of every story on both.
macro_rules! on_every_kafka {
    ($($story:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    super::$story(crate::contracts::kafka_rest::kafka::AnyKafka::memory()).await;
                }
            )*
        }
        mod real_kafka {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(kafka) = crate::contracts::kafka_rest::kafka::AnyKafka::real() {
                        super::$story(kafka).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_every_kafka;

pub struct AnyKafka {
    pub topics: Arc<dyn TopicAdministration>,
    pub groups: Arc<dyn GroupAdministration>,
    pub consumers: Arc<dyn RecordConsumers>,
    /// Before the names of what the test makes.
    pub name: String,
    memory: Option<MemoryKafka>,
    brokers: String,
}

impl AnyKafka {
    pub fn memory() -> Self {
        let kafka = MemoryKafka::default();
        Self {
            topics: Arc::new(kafka.clone()),
            groups: Arc::new(kafka.clone()),
            consumers: Arc::new(kafka.clone()),
            name: Uuid::new_v4().simple().to_string(),
            memory: Some(kafka),
            brokers: String::new(),
        }
    }

    /// None where `TEST_KAFKA_BROKERS` names no broker, which other tests say.
    pub fn real() -> Option<Self> {
        let brokers = std::env::var("TEST_KAFKA_BROKERS").ok()?;
        let clock = Arc::new(SystemClock::new());
        let (kafka, consumers) = administration(std::slice::from_ref(&brokers), &KafkaSecurity::default(), clock);
        Some(Self {
            topics: Arc::new(kafka.clone()),
            groups: Arc::new(kafka),
            consumers: Arc::new(consumers),
            name: format!("contract-{}", Uuid::new_v4().simple()),
            memory: None,
            brokers,
        })
    }

    pub fn new_topic(&self, partitions: i32) -> NewTopic {
        NewTopic {
            name: format!("{}-{}", self.name, Uuid::new_v4().simple()),
            partitions: Some(partitions),
            replication_factor: Some(1),
            ..NewTopic::default()
        }
    }

    /// One that is there.
    pub async fn topic(&self, partitions: i32) -> String {
        let new = self.new_topic(partitions);
        self.topics.create(&new, false).await.unwrap();
        eventually(SOON, "the topic is known", async || {
            self.topics.describe(std::slice::from_ref(&new.name)).await.ok().map(drop)
        })
        .await;
        new.name
    }

    /// Puts records into a partition, each a second after the one before, from 1000 milliseconds on.
    pub async fn put(&self, topic: &str, partition: i32, values: &[&str]) {
        if let Some(memory) = &self.memory {
            for (value, second) in values.iter().zip(1..) {
                memory.put(topic, partition, value, second * 1_000);
            }
            return;
        }
        let (brokers, topic) = (self.brokers.clone(), topic.to_owned());
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let putting = tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
            for (value, second) in values.iter().zip(1..) {
                let record =
                    BaseRecord::<(), _>::to(&topic).payload(value).partition(partition).timestamp(second * 1_000);
                producer.send(record).unwrap();
            }
            producer.flush(SOON).unwrap();
        });
        putting.await.unwrap();
    }

    pub fn consumer(&self, group: &str, commits_itself: bool) -> Arc<dyn RecordConsumer> {
        let longest_silence = Duration::from_secs(60);
        let settings = ConsumerSettings { from_beginning: true, commits_itself, longest_silence, tenant: None };
        self.consumers.open(group, &settings).unwrap()
    }
}

pub fn place(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.to_owned(), partition }
}

/// Reads until so many values have come.
pub async fn read(consumer: &Arc<dyn RecordConsumer>, count: usize) -> Vec<String> {
    let bounds = ReadBounds { timeout: Duration::from_millis(300), least_bytes: Some(1), most_bytes: 1_000_000 };
    let mut values = Vec::new();
    eventually(SOON, "the records come", async || {
        let records = consumer.read(bounds).await.unwrap();
        values.extend(records.iter().map(|record| String::from_utf8(record.value.clone().unwrap()).unwrap()));
        (values.len() >= count).then(|| values.clone())
    })
    .await
}
