//! The topics, and what creates those that are missing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaRespErr;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::client::Connection;
use super::client::QuietEvents;
use crate::application::Stop;
use crate::application::ports::Clock;
use crate::infrastructure::kafka::producing::Producer;

const EVERY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Where messages travel.
    pub send: String,
    pub dead_letters: String,
}

impl Topics {
    pub fn new(prefix: &str) -> Self {
        Self { send: format!("{prefix}messaging.send"), dead_letters: format!("{prefix}messaging.send.dlq") }
    }
}

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
}

/// How many partitions a topic was seen to have.
#[derive(Debug, Default)]
pub struct Partitions(Option<usize>);

impl Partitions {
    /// How many there were before, if there are more now. None: not known yet, or the topic is not there.
    fn now(&mut self, count: Option<usize>) -> Option<usize> {
        let before = std::mem::replace(&mut self.0, count)?;
        count.filter(|count| *count > before).map(|_| before)
    }
}

/// What stands in the way of the topics, as it was logged last.
#[derive(Debug, Default)]
pub struct Complaint(Option<String>);

impl Complaint {
    /// Warns when something else stands in the way than at the last look, and says once that nothing does any more. While
    /// the broker is away nothing is said: that is logged elsewhere.
    fn now(&mut self, complaint: Option<String>, is_connected: bool) {
        match &complaint {
            Some(_) if !is_connected || self.0 == complaint => return,
            Some(complaint) => warn!(target: "kafka", "cannot make sure that all topics are there: {complaint}"),
            None if self.0.is_some() => info!(target: "kafka", "all topics are there again"),
            None => {}
        }
        self.0 = complaint;
    }
}

impl TopicKeeper {
    /// Tries for at most `patience`. Nothing depends on it: [`run`](Self::run) goes on trying.
    pub async fn prepare(self: &Arc<Self>, patience: Duration) {
        let start = self.clock.monotonic();
        while self.clock.monotonic() - start < patience {
            if self.ensure().await {
                return;
            }
            self.clock.sleep(Duration::from_millis(200)).await;
        }
    }

    pub async fn run(self: &Arc<Self>, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.clone() => return,
                () = self.clock.sleep(EVERY) => {}
            }
            // That Kafka is away is logged elsewhere.
            if self.connection.is_connected() {
                self.ensure().await;
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
            warn!(
                target: "kafka", topic = self.topics.send, before, now,
                "partitions were added: until what was sent before has been delivered, later messages to the same recipients may \
                 overtake it"
            );
        }
    }

    fn create(&self, missing: &[&str], runtime: &Handle) -> Result<(), String> {
        let replicas = self.replication_factor.unwrap_or(-1);
        let topic = |name| NewTopic::new(name, self.partitions, TopicReplication::Fixed(replicas));
        let topics: Vec<NewTopic<'_>> = missing.iter().copied().map(topic).collect();
        // A client of its own: it is needed once in a long while, and would be polled by no thread meanwhile.
        let mut config = self.config.clone();
        config.set("allow.auto.create.topics", "true").remove("statistics.interval.ms");
        let events = QuietEvents { client: "admin", connection: self.connection.clone() };
        let admin: AdminClient<QuietEvents> = config.create_with_context(events).map_err(|error| error.to_string())?;
        if self.is_mock_cluster() {
            return let_the_broker_create(&admin, missing);
        }
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
        let results = runtime.block_on(admin.create_topics(&topics, &options)).map_err(|error| error.to_string())?;
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

    /// librdkafka's mock cluster has no controller that one could ask for a topic.
    fn is_mock_cluster(&self) -> bool {
        let cluster = self.producer.client().client().fetch_cluster_id(TIMEOUT);
        cluster.is_some_and(|id| id.starts_with("mockCluster"))
    }
}

/// Asking about a topic is enough for a broker that makes topics by itself.
fn let_the_broker_create(admin: &AdminClient<QuietEvents>, missing: &[&str]) -> Result<(), String> {
    warn!(target: "kafka", topics = missing.join(","), "this Kafka is a mock cluster, which makes topics by itself");
    for topic in missing {
        admin.inner().fetch_metadata(Some(topic), TIMEOUT).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_lines::written;

    #[test]
    fn what_stands_in_the_way_is_said_once_and_so_is_its_end() {
        let lines = written(|| {
            let (mut complaint, refused) = (Complaint::default(), || Some("send: refused".to_owned()));
            complaint.now(None, true);
            // Another line says that the broker is away.
            complaint.now(Some("no broker answers".to_owned()), false);
            complaint.now(None, true);
            for look in [refused(), refused(), Some("dlq: refused".to_owned()), None, None, refused()] {
                complaint.now(look, true);
            }
        });
        let [first, another, again, last] = &lines[..] else { panic!("{lines:#?}") };
        for (line, complaint) in [(first, "send: refused"), (another, "dlq: refused"), (last, "send: refused")] {
            assert!(line.contains("WARN") && line.ends_with(&format!("all topics are there: {complaint}")), "{line}");
        }
        assert!(again.contains("INFO") && again.ends_with("all topics are there again"), "{again}");
    }

    #[test]
    fn partitions_that_are_added_are_noticed_once_and_a_topic_that_is_made_again_is_not() {
        let mut partitions = Partitions::default();
        let looks = [None, Some(3), Some(3), Some(6), Some(6), None, Some(12), Some(3)];
        assert_eq!(looks.map(|count| partitions.now(count)), [None, None, None, Some(3), None, None, None, None]);
    }
}
