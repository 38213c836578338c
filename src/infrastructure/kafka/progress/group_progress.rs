//! How far the group has come in its topic, asked from outside of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::DateTime;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::positions::{Positions, Snapshot, Standing};
use crate::application::ports::Partition;
use crate::domain::Timestamp;
use crate::infrastructure::kafka::client::Connection;
use crate::infrastructure::kafka::client::{QuietEvents, take_whatever_is_there};

/// For one question to the broker.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A consumer that bears the group's name without ever joining it, so that it may ask for its offsets.
pub struct GroupProgress {
    /// One look at a time: they share an assignment.
    consumer: Mutex<BaseConsumer<QuietEvents>>,
    topic: String,
    positions: Positions,
}

impl GroupProgress {
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(
        mut config: ClientConfig,
        group_id: &str,
        topic: String,
        positions: Positions,
        connection: Arc<Connection>,
    ) -> Result<Self, KafkaError> {
        config
            .set("group.id", group_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("statistics.interval.ms", "0")
            // One record of each partition is enough.
            .set("fetch.message.max.bytes", "1024")
            .set("queued.min.messages", "1")
            .set("queued.max.messages.kbytes", "1024");
        take_whatever_is_there(&mut config);
        let consumer = config.create_with_context(QuietEvents { client: "group progress", connection })?;
        Ok(Self { consumer: Mutex::new(consumer), topic, positions })
    }

    /// Handles librdkafka's events, which would pile up between two requests.
    pub fn serve(&self) {
        const AT_ONCE: usize = 200;
        if let Ok(consumer) = self.consumer.try_lock() {
            // Not until one finds nothing: what it deals with itself counts as nothing.
            for _ in 0..AT_ONCE {
                drop(consumer.poll(Duration::ZERO));
            }
        }
    }

    /// When the record was handed over that the group reads next; of all partitions, the oldest. None: it has read
    /// everything, or there is no topic. Waits for the broker.
    ///
    /// # Errors
    /// When a partition did not answer in time, or the broker denies access.
    pub fn oldest_waiting(&self) -> Result<Option<Timestamp>, ProgressUnknown> {
        let oldest = self.look();
        if oldest.as_ref().is_err_and(|error| error.is_of_the_topic) {
            self.positions.set_forbidden();
        }
        oldest
    }

    fn look(&self) -> Result<Option<Timestamp>, ProgressUnknown> {
        let consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = self.ask(&consumer)?;
        let mut unread = TopicPartitionList::new();
        for (partition, standing) in snapshot.partitions.iter().filter(|(_, standing)| standing.has_unread) {
            unread.add_partition_offset(&self.topic, partition.0, Offset::Offset(standing.next()))?;
        }
        if unread.count() == 0 {
            self.positions.set(snapshot);
            return Ok(None);
        }
        consumer.assign(&unread)?;
        let read = first_records(&consumer, unread.count());
        consumer.unassign()?;
        let read = read?;
        for (partition, first) in &read {
            if let Some(standing) = snapshot.partitions.get_mut(&Partition(*partition)) {
                standing.has_unread = first.is_some();
            }
        }
        self.positions.set(snapshot);
        Ok(read.into_values().flatten().min())
    }

    /// Where each partition begins and ends, and where the group goes on.
    fn ask(&self, consumer: &BaseConsumer<QuietEvents>) -> Result<Snapshot, KafkaError> {
        let mut snapshot = Snapshot { asked_at: Instant::now(), partitions: BTreeMap::new() };
        let mut asked = TopicPartitionList::new();
        for partition in self.partitions(consumer)? {
            asked.add_partition(&self.topic, partition);
        }
        if asked.count() == 0 {
            return Ok(snapshot);
        }
        for element in consumer.committed_offsets(asked, TIMEOUT)?.elements() {
            element.error()?;
            let (low, high) = consumer.fetch_watermarks(&self.topic, element.partition(), TIMEOUT)?;
            let committed = match element.offset() {
                Offset::Offset(committed) => Some(committed),
                _ => None,
            };
            let mut standing = Standing { committed, low, high, has_unread: false };
            standing.has_unread = standing.next() < high;
            snapshot.partitions.insert(Partition(element.partition()), standing);
        }
        Ok(snapshot)
    }

    fn partitions(&self, consumer: &BaseConsumer<QuietEvents>) -> Result<Vec<i32>, KafkaError> {
        let metadata = consumer.fetch_metadata(Some(&self.topic), TIMEOUT)?;
        let Some(topic) = metadata.topics().first() else { return Ok(Vec::new()) };
        match topic.error() {
            None => Ok(topic.partitions().iter().map(|partition| partition.id()).collect()),
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(Vec::new()),
            Some(error) => Err(KafkaError::MetadataFetch(error.into())),
        }
    }
}

/// Why it is not known how far the group has come.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ProgressUnknown {
    reason: String,
    /// The broker denies this process access, and will until an operator changes its ACLs.
    pub is_forbidden: bool,
    /// What it denies is the topic.
    is_of_the_topic: bool,
}

impl ProgressUnknown {
    fn of(reason: String) -> Self {
        Self { reason, is_forbidden: false, is_of_the_topic: false }
    }
}

impl From<KafkaError> for ProgressUnknown {
    fn from(error: KafkaError) -> Self {
        let is_of_the_topic = error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed);
        Self { is_forbidden: is_forbidden(&error), is_of_the_topic, reason: error.to_string() }
    }
}

fn is_forbidden(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed};
    matches!(
        error.rdkafka_error_code(),
        Some(GroupAuthorizationFailed | TopicAuthorizationFailed | ClusterAuthorizationFailed)
    )
}

/// When the first record of each assigned partition was handed over; None for one without any (what lies between may be
/// no records but marks of transactions).
fn first_records(
    consumer: &BaseConsumer<QuietEvents>,
    partitions: usize,
) -> Result<HashMap<i32, Option<Timestamp>>, ProgressUnknown> {
    let mut found = HashMap::new();
    let end = Instant::now() + TIMEOUT;
    while found.len() < partitions {
        if Instant::now() >= end {
            return Err(ProgressUnknown::of(format!(
                "{} of {partitions} partitions gave their next record in time",
                found.len()
            )));
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                let at = record.timestamp().to_millis().and_then(DateTime::from_timestamp_millis);
                let at = at.ok_or_else(|| {
                    ProgressUnknown::of(format!("a record of partition {} has no time", record.partition()))
                })?;
                found.entry(record.partition()).or_insert(Some(at));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = found.entry(partition).or_insert(None),
            Some(Err(error)) if is_forbidden(&error) => return Err(error.into()),
            Some(Err(_)) | None => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_forbids_is_told_from_what_passes() {
        let is_forbidden = |code| ProgressUnknown::from(KafkaError::OffsetFetch(code)).is_forbidden;
        assert!(is_forbidden(RDKafkaErrorCode::GroupAuthorizationFailed));
        assert!(is_forbidden(RDKafkaErrorCode::TopicAuthorizationFailed));
        assert!(
            ProgressUnknown::from(KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed)).is_forbidden
        );
        assert!(!is_forbidden(RDKafkaErrorCode::CoordinatorNotAvailable));
        assert!(!is_forbidden(RDKafkaErrorCode::OperationTimedOut));
    }
}
