//! Partitions that were added while messages waited.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, info};

use super::link::Link;
use crate::application::ports::Partition;
use crate::infrastructure::kafka::progress::Snapshot;

/// After so long every producer knows of the partition: it looks every ten seconds (`topic.metadata.refresh.interval.ms`).
const EVERYBODY_KNOWS: Duration = Duration::from_secs(15);

/// For one question to the broker.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Holds back partitions that were added to the topic until the group has finished what was published before every producer
/// knew of them. With the number of partitions, keys move: messages in an added partition may be later ones to recipients
/// whose earlier messages wait in another, and would overtake them.
///
/// A partition that the group has committed nothing for was added when there is something committed for others. So that this
/// holds, a group that begins commits the beginning of all partitions.
#[derive(Default)]
pub struct AddedPartitions {
    /// Since when.
    held: BTreeMap<Partition, Instant>,
    /// Up to where the others have to be finished first, once all producers know.
    ends: Option<BTreeMap<Partition, i64>>,
}

impl AddedPartitions {
    /// Looks at partitions that have just been assigned.
    pub fn assigned<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>, link: &Link<C>, assigned: &[Partition]) {
        self.held.retain(|partition, _| !assigned.contains(partition));
        let added = match added(consumer, link, assigned) {
            Ok(added) => added,
            Err(error) => {
                debug!(target: "kafka", %error, "whether partitions were added is not known yet");
                assigned.to_vec()
            }
        };
        if added.is_empty() {
            return;
        }
        self.ends = None;
        for partition in &added {
            link.hold(*partition);
            self.held.insert(*partition, Instant::now());
        }
    }

    pub fn given_up(&mut self, partitions: &[Partition]) {
        self.held.retain(|partition, _| !partitions.contains(partition));
    }

    /// Releases what has waited long enough, by what was found out about the group. Returns a sentence for operators while
    /// something is held.
    pub fn look<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        link: &Link<C>,
        snapshot: &Snapshot,
    ) -> Option<String> {
        let latest = *self.held.values().max()?;
        if snapshot.asked_at <= latest {
            return None;
        }
        let committed = |partition: &Partition| snapshot.partitions.get(partition).and_then(|known| known.committed);
        // Those of which it was not known when they were assigned.
        let held: Vec<Partition> = self.held.keys().copied().collect();
        for partition in held.iter().filter(|partition| committed(partition).is_some()) {
            self.held.remove(partition);
            link.release(*partition);
        }
        if snapshot.partitions.keys().all(|partition| committed(partition).is_none()) {
            // A group that begins.
            self.release_all(consumer, link);
        }
        if self.held.is_empty() || snapshot.asked_at < latest + EVERYBODY_KNOWS {
            return None;
        }
        let known = snapshot.partitions.iter().filter(|(_, known)| known.committed.is_some());
        let ends = self.ends.get_or_insert_with(|| known.map(|(partition, known)| (*partition, known.high)).collect());
        let waiting: Vec<i32> = ends
            .iter()
            .filter(|(partition, end)| {
                snapshot.partitions.get(partition).is_some_and(|known| !known.has_finished(**end))
            })
            .map(|(partition, _)| partition.0)
            .collect();
        if waiting.is_empty() {
            info!(target: "kafka", partitions = ?numbers(&self.held), "the added partitions are read from now on");
            self.release_all(consumer, link);
            return None;
        }
        Some(format!(
            "the partitions {:?}, which the consumer group has never committed for, were added: they are read once what was \
             published before is finished in {waiting:?}, so that no message overtakes an earlier one to the same recipient",
            numbers(&self.held)
        ))
    }

    fn release_all<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>, link: &Link<C>) {
        let held: Vec<Partition> = std::mem::take(&mut self.held).into_keys().collect();
        // From now on the group knows them.
        begin(consumer, link, &held);
        for partition in held {
            link.release(partition);
        }
        self.ends = None;
    }
}

fn numbers(partitions: &BTreeMap<Partition, Instant>) -> Vec<i32> {
    partitions.keys().map(|partition| partition.0).collect()
}

/// Of the assigned ones, those that the group has committed nothing for, although it has for others.
fn added<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    link: &Link<C>,
    assigned: &[Partition],
) -> Result<Vec<Partition>, KafkaError> {
    let here = committed(consumer, link, assigned)?;
    let unknown: Vec<Partition> =
        here.iter().filter(|(_, committed)| committed.is_none()).map(|(partition, _)| *partition).collect();
    if unknown.is_empty() || unknown.len() < here.len() {
        return Ok(unknown);
    }
    let metadata = consumer.fetch_metadata(Some(link.topic()), TIMEOUT)?;
    let topics = metadata.topics().iter();
    let all: Vec<Partition> =
        topics.flat_map(|topic| topic.partitions().iter().map(|partition| Partition(partition.id()))).collect();
    if committed(consumer, link, &all)?.values().any(Option::is_some) {
        return Ok(unknown);
    }
    begin(consumer, link, &all);
    Ok(Vec::new())
}

/// What the group has committed for these partitions.
fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    link: &Link<C>,
    partitions: &[Partition],
) -> Result<BTreeMap<Partition, Option<i64>>, KafkaError> {
    let mut offsets = BTreeMap::new();
    for element in consumer.committed_offsets(link.list(partitions), TIMEOUT)?.elements() {
        element.error()?;
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        offsets.insert(Partition(element.partition()), offset);
    }
    Ok(offsets)
}

/// The group goes on from the beginning of these, for which it has committed nothing.
fn begin<C: ConsumerContext>(consumer: &BaseConsumer<C>, link: &Link<C>, partitions: &[Partition]) {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        if let Err(error) = list.add_partition_offset(link.topic(), partition.0, Offset::Offset(0)) {
            debug!(target: "kafka", %error, "a partition is not committed");
        }
    }
    // Without it these count as added once more, which costs some seconds.
    if let Err(error) = consumer.commit(&list, CommitMode::Sync) {
        debug!(target: "kafka", %error, "the beginning of partitions is not committed");
    }
}
