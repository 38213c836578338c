//! A broker within this process, for development and tests.

use std::sync::mpsc;
use std::thread;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use tracing::warn;

use crate::infrastructure::kafka::topics::Topics;

/// librdkafka's mock cluster. It lives on a thread of its own, because it may not be moved between threads, and ends when
/// this is dropped.
pub struct EmbeddedBroker {
    pub address: String,
    _ends_when_dropped: mpsc::Sender<()>,
}

impl EmbeddedBroker {
    /// # Errors
    /// When it cannot listen.
    pub fn start(topics: &Topics, partitions: i32) -> Result<Self, KafkaError> {
        let topics = topics.clone();
        let (started, start) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        thread::spawn(move || {
            let cluster = match cluster(&topics, partitions) {
                Ok(cluster) => cluster,
                Err(error) => return drop(started.send(Err(error))),
            };
            if started.send(Ok(cluster.bootstrap_servers())).is_ok() {
                // Nothing is ever sent: it fails when the sender is gone.
                let _gone = ended.recv();
            }
        });
        let address = start.recv().unwrap_or(Err(KafkaError::Canceled))?;
        warn!(target: "kafka", address, "Kafka is embedded: for development only, it forgets everything with this process");
        Ok(Self { address, _ends_when_dropped: end })
    }
}

fn cluster(
    topics: &Topics,
    partitions: i32,
) -> Result<MockCluster<'static, rdkafka::producer::DefaultProducerContext>, KafkaError> {
    let cluster = MockCluster::new(1)?;
    for topic in [&topics.send, &topics.dead_letters] {
        cluster.create_topic(topic, partitions, 1)?;
    }
    Ok(cluster)
}
