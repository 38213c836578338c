//! Whether a topic is there, asked where a record found none; and making those that are to be made.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::Mutex;
use tokio::time::sleep;
use tracing::info;

use crate::infrastructure::config::TopicsConfig;
use crate::infrastructure::kafka::client::{Connection, QuietEvents};

/// How long one question waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A topic that was just made is not known to every broker yet.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

pub struct TopicLookup {
    config: ClientConfig,
    connection: Arc<Connection>,
    /// `TOPICS_AUTO_CREATE`
    makes_all: bool,
    dead_letters: String,
    /// The broker within this process makes every topic that it is asked for, in its own way.
    is_embedded: bool,
    /// One question at a time: many records may miss one topic.
    asking: Mutex<()>,
}

/// What is known of a topic.
pub enum Found {
    Partitions(i32),
    Nothing,
    /// It may be there.
    Refusal(String),
    NoAnswer(String),
}

impl TopicLookup {
    pub fn new(config: ClientConfig, topics: &TopicsConfig, is_embedded: bool, connection: Arc<Connection>) -> Self {
        let (makes_all, dead_letters) = (topics.auto_create, topics.dead_letters.clone());
        Self { config, connection, makes_all, dead_letters, is_embedded, asking: Mutex::default() }
    }

    /// Asks through `fetch`, so that the client that asks knows what is there from then on.
    pub async fn find(
        &self,
        topic: &str,
        fetch: impl Fn(&str, Duration) -> Result<Metadata, KafkaError> + Clone + Send + 'static,
    ) -> Found {
        let _asking = self.asking.lock().await;
        let mut found = look(topic, fetch.clone()).await;
        if !matches!(found, Found::Nothing) || !(self.makes_all || topic == self.dead_letters) {
            return found;
        }
        if let Err(failure) = self.make(topic).await {
            return failure;
        }
        for _ in 0..LOOKS {
            found = look(topic, fetch.clone()).await;
            if !matches!(found, Found::Nothing) {
                break;
            }
            sleep(BETWEEN_LOOKS).await;
        }
        found
    }

    fn admin(&self, creates: bool) -> Result<AdminClient<QuietEvents>, KafkaError> {
        let mut config = self.config.clone();
        config.set("allow.auto.create.topics", creates.to_string()).remove("statistics.interval.ms");
        config.create_with_context(QuietEvents { client: "admin", connection: self.connection.clone() })
    }

    async fn ask_for(&self, topic: &str) -> Result<(), Found> {
        let admin = self.admin(true).map_err(|error| unasked(&error))?;
        let topic = topic.to_owned();
        let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(Some(&topic), TIMEOUT).map(drop));
        match asked.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unasked(&error)),
            Err(panicked) => Err(unasked(&panicked)),
        }
    }

    /// With as many partitions and replicas as the broker makes by itself.
    async fn make(&self, topic: &str) -> Result<(), Found> {
        if self.is_embedded {
            return self.ask_for(topic).await;
        }
        let admin = self.admin(false).map_err(|error| Found::Refusal(error.to_string()))?;
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
        let new = NewTopic::new(topic, -1, TopicReplication::Fixed(-1));
        let made = admin.create_topics([&new], &options).await;
        match made.map_err(|error| Found::NoAnswer(format!("Kafka did not answer: {error}.")))?.pop() {
            Some(Ok(_)) => {
                info!(target: "kafka", topic, "created a topic");
                Ok(())
            }
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | None => Ok(()),
            Some(Err((_, error))) => Err(Found::Refusal(format!("Kafka does not create the topic {topic}: {error}."))),
        }
    }
}

fn unasked(error: &dyn std::fmt::Display) -> Found {
    Found::NoAnswer(format!("Kafka could not be asked: {error}."))
}

async fn look(topic: &str, fetch: impl Fn(&str, Duration) -> Result<Metadata, KafkaError> + Send + 'static) -> Found {
    let topic = topic.to_owned();
    let asked = tokio::task::spawn_blocking(move || match fetch(&topic, TIMEOUT) {
        Ok(metadata) => found(&metadata),
        Err(error) => Found::NoAnswer(format!("Kafka did not answer: {error}.")),
    });
    asked.await.unwrap_or_else(|panicked| unasked(&panicked))
}

fn found(metadata: &Metadata) -> Found {
    let Some(topic) = metadata.topics().first() else { return Found::Nothing };
    match topic.error() {
        // It was just made: a record for it waits for the leader.
        None | Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => {
            Found::Partitions(i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX))
        }
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Found::Nothing,
        Some(error) => Found::Refusal(format!("Kafka refused the topic: {}.", RDKafkaErrorCode::from(error))),
    }
}
