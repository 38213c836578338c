//! What creates topics that are missing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaRespErr;
use tokio::runtime::Handle;
use tracing::{debug, info, warn};

use super::Topics;
use super::noticed::{Complaint, Partitions};
use super::settings::TopicSettings;
use crate::application::Stop;
use crate::application::ports::Clock;
use crate::infrastructure::kafka::client::{Connection, QuietEvents};
use crate::infrastructure::kafka::producing::Producer;

const EVERY: Duration = Duration::from_secs(5);

/// Looks at the topics between two at their settings.
const SETTINGS_EVERY: u32 = 12;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Makes topics that are missing: at the start, and when one was deleted.
pub struct TopicKeeper {
    pub config: ClientConfig,
    pub topics: Topics,
    pub partitions: i32,
    /// None: the broker's default.
    pub replication_factor: Option<i32>,
    pub producer: Arc<Producer>,
    pub connection: Arc<Connection>,
    pub clock: Arc<dyn Clock>,
    /// Why it did not work the last time.
    pub complaint: Mutex<Complaint>,
    /// Of the topic that messages travel through, at the last look.
    pub counted: Mutex<Partitions>,
    /// Of each topic, as it was logged last.
    pub described: Mutex<Vec<TopicSettings>>,
}

impl TopicKeeper {
    /// Tries for at most `patience`. Nothing depends on it: [`run`](Self::run) goes on trying.
    pub async fn prepare(self: &Arc<Self>, patience: Duration) {
        let start = self.clock.monotonic();
        while self.clock.monotonic() - start < patience {
            if self.ensure().await {
                return self.describe().await;
            }
            self.clock.sleep(Duration::from_millis(200)).await;
        }
    }

    pub async fn run(self: &Arc<Self>, stop: Stop) {
        for look in 1_u32.. {
            tokio::select! {
                () = stop.clone() => return,
                () = self.clock.sleep(EVERY) => {}
            }
            self.connection.troubles().repeat();
            // That Kafka is away is logged elsewhere.
            if self.connection.is_connected() && self.ensure().await && look.is_multiple_of(SETTINGS_EVERY) {
                self.describe().await;
            }
        }
    }

    /// Returns whether the topics are there.
    async fn ensure(self: &Arc<Self>) -> bool {
        let keeper = self.clone();
        let runtime = Handle::current();
        let ensured = tokio::task::spawn_blocking(move || {
            let missing = keeper.missing()?;
            if missing.is_empty() { Ok(()) } else { keeper.create(&missing, &runtime) }
        });
        let complaint = match ensured.await {
            Ok(outcome) => outcome.err(),
            Err(panicked) => Some(panicked.to_string()),
        };
        let is_there = complaint.is_none();
        let mut last = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        last.now(complaint, self.connection.is_connected());
        is_there
    }

    /// Looking first spares the broker a refusal every few seconds, and us the right to create.
    fn missing(&self) -> Result<Vec<&str>, String> {
        let client = self.producer.client();
        let mut missing = Vec::new();
        for topic in [&self.topics.send, &self.topics.dead_letters] {
            let metadata = client.client().fetch_metadata(Some(topic), TIMEOUT).map_err(|error| error.to_string())?;
            let found = metadata.topics().first();
            if *topic == self.topics.send {
                self.count(found.map(|topic| topic.partitions().len()).filter(|count| *count > 0));
            }
            match found.and_then(|found| found.error()) {
                None | Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => {}
                Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => missing.push(topic.as_str()),
                Some(error) => return Err(format!("{topic}: {}", RDKafkaErrorCode::from(error))),
            }
        }
        Ok(missing)
    }

    /// A recipient's messages may go to another partition from now on, and be read there before those that wait in the old.
    fn count(&self, now: Option<usize>) {
        let before = self.counted.lock().unwrap_or_else(PoisonError::into_inner).now(now);
        if let (Some(before), Some(now)) = (before, now) {
            if now % before == 0 {
                info!(target: "kafka", topic = self.topics.send, before, now, "partitions were added");
                return;
            }
            warn!(
                target: "kafka", topic = self.topics.send, before, now,
                "partitions were added, and their number is not a multiple of the one before: recipients move between partitions that \
                 were there, and until what was sent before has been delivered, later messages may overtake it"
            );
        }
    }

    fn create(&self, missing: &[&str], runtime: &Handle) -> Result<(), String> {
        let replicas = self.replication_factor.unwrap_or(-1);
        let topic = |name| NewTopic::new(name, self.partitions, TopicReplication::Fixed(replicas));
        let topics: Vec<NewTopic<'_>> = missing.iter().copied().map(topic).collect();
        let admin = self.admin(true)?;
        if self.is_mock_cluster() {
            return let_the_broker_create(&admin, missing);
        }
        let results = runtime.block_on(admin.create_topics(&topics, &options())).map_err(|error| error.to_string())?;
        for result in results {
            match result {
                Ok(topic) => info!(target: "kafka", topic, "created a topic"),
                // Another process was faster.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, error)) => return Err(format!("{topic}: {error}")),
            }
        }
        Ok(())
    }

    /// A client of its own: it is needed once in a while, and would be polled by no thread meanwhile.
    fn admin(&self, creates: bool) -> Result<AdminClient<QuietEvents>, String> {
        let mut config = self.config.clone();
        config.set("allow.auto.create.topics", creates.to_string()).remove("statistics.interval.ms");
        let events = QuietEvents { client: "admin", connection: self.connection.clone() };
        config.create_with_context(events).map_err(|error| error.to_string())
    }

    /// Looks at the settings that the broker has for the topics, and follows them.
    async fn describe(self: &Arc<Self>) {
        let keeper = self.clone();
        let runtime = Handle::current();
        let described = tokio::task::spawn_blocking(move || keeper.settings(&runtime));
        match described.await {
            Ok(Ok(settings)) => self.follow(settings),
            // It may be forbidden (DescribeConfigs): then what the broker refuses teaches the same, more slowly.
            Ok(Err(error)) => debug!(target: "kafka", error, "the topics' settings are not known"),
            Err(panicked) => warn!(target: "kafka", %panicked, "the topics' settings are not known"),
        }
    }

    fn settings(&self, runtime: &Handle) -> Result<Vec<TopicSettings>, String> {
        if self.is_mock_cluster() {
            return Err("this Kafka is a mock cluster".to_owned());
        }
        let names = [self.topics.send.as_str(), self.topics.dead_letters.as_str()];
        let specifiers = names.map(ResourceSpecifier::Topic);
        let admin = self.admin(false)?;
        let resources =
            runtime.block_on(admin.describe_configs(&specifiers, &options())).map_err(|error| error.to_string())?;
        let client = self.producer.client();
        let mut settings = Vec::new();
        for (name, resource) in names.into_iter().zip(resources) {
            let metadata = client.client().fetch_metadata(Some(name), TIMEOUT).map_err(|error| error.to_string())?;
            let replicas = metadata.topics().first().and_then(least_replicas);
            settings.push(TopicSettings::new(name, replicas, &resource.map_err(|error| error.to_string())?));
        }
        Ok(settings)
    }

    fn follow(&self, settings: Vec<TopicSettings>) {
        if let [send, dead_letters] = &settings[..] {
            self.producer.set_largest_batch(send.largest_batch, dead_letters.largest_batch);
        }
        let mut last = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, topic) in settings.iter().enumerate() {
            if last.get(place) != Some(topic) {
                for sentence in topic.sentences(topic.name == self.topics.dead_letters) {
                    warn!(target: "kafka", topic = topic.name, "{sentence}");
                }
            }
        }
        *last = settings;
    }

    /// librdkafka's mock cluster has no controller that one could ask for a topic.
    fn is_mock_cluster(&self) -> bool {
        let cluster = self.producer.client().client().fetch_cluster_id(TIMEOUT);
        cluster.is_some_and(|id| id.starts_with("mockCluster"))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// Of the partition that has the fewest.
fn least_replicas(topic: &MetadataTopic) -> Option<usize> {
    topic.partitions().iter().map(|partition| partition.replicas().len()).min()
}

/// Asking about a topic is enough for a broker that makes topics by itself.
fn let_the_broker_create(admin: &AdminClient<QuietEvents>, missing: &[&str]) -> Result<(), String> {
    warn!(target: "kafka", topics = missing.join(","), "this Kafka is a mock cluster, which makes topics by itself");
    for topic in missing {
        admin.inner().fetch_metadata(Some(topic), TIMEOUT).map_err(|error| error.to_string())?;
    }
    Ok(())
}
