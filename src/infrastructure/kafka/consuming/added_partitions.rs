//! Partitions that were added while messages waited.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, info, warn};

use super::link::Link;
use crate::application::ports::Partition;

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
    /// Since when, and once it is known: up to where the others have to be finished first.
    held: BTreeMap<Partition, Instant>,
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

    /// Releases what has waited long enough. Asks the broker while anything is held.
    pub fn look<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>, link: &Link<C>) {
        if self.held.is_empty() {
            return;
        }
        if let Err(error) = self.try_to_release(consumer, link) {
            debug!(target: "kafka", %error, "whether added partitions may be read is not known yet");
        }
    }

    fn try_to_release<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        link: &Link<C>,
    ) -> Result<(), KafkaError> {
        let held: Vec<Partition> = self.held.keys().copied().collect();
        // Another look, for those of which it was not known: the group may have begun meanwhile.
        let added = added(consumer, link, &held)?;
        for partition in held.iter().filter(|partition| !added.contains(partition)) {
            self.release(consumer, link, *partition);
        }
        let Some(latest) = self.held.values().max() else { return Ok(()) };
        if latest.elapsed() < EVERYBODY_KNOWS {
            return Ok(());
        }
        let committed = committed(consumer, link)?;
        let ends = match &self.ends {
            Some(ends) => ends,
            None => {
                let ends = ends(consumer, link, &committed)?;
                let waiting: i64 = ends.iter().map(|(partition, end)| end - committed[partition].unwrap_or(0)).sum();
                warn!(
                    target: "kafka", partitions = ?numbers(&added), waiting,
                    "partitions were added: they are read once the records that wait in the others are finished, so that no message \
                     overtakes an earlier one to the same recipient"
                );
                self.ends.insert(ends)
            }
        };
        let is_finished = |(partition, end): (&Partition, &i64)| {
            committed.get(partition).copied().flatten().is_some_and(|committed| committed >= *end)
        };
        if ends.iter().all(is_finished) {
            info!(target: "kafka", partitions = ?numbers(&added), "the added partitions are read from now on");
            for partition in added {
                self.release(consumer, link, partition);
            }
        }
        Ok(())
    }

    fn release<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>, link: &Link<C>, partition: Partition) {
        self.held.remove(&partition);
        // From now on the group knows it.
        begin(consumer, link, &[partition]);
        link.release(partition);
    }
}

fn numbers(partitions: &[Partition]) -> Vec<i32> {
    partitions.iter().map(|partition| partition.0).collect()
}

/// Of the assigned ones, those that the group has committed nothing for, although it has for others.
fn added<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    link: &Link<C>,
    assigned: &[Partition],
) -> Result<Vec<Partition>, KafkaError> {
    let committed_here = offsets(&consumer.committed_offsets(link.list(assigned), TIMEOUT)?)?;
    let unknown: Vec<Partition> = assigned
        .iter()
        .copied()
        .filter(|partition| committed_here.get(partition).copied().flatten().is_none())
        .collect();
    if unknown.is_empty() {
        return Ok(unknown);
    }
    let committed = committed(consumer, link)?;
    if committed.values().any(Option::is_some) {
        return Ok(unknown);
    }
    let all: Vec<Partition> = committed.into_keys().collect();
    begin(consumer, link, &all);
    Ok(Vec::new())
}

/// What the group has committed for each partition of the topic.
fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    link: &Link<C>,
) -> Result<BTreeMap<Partition, Option<i64>>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(link.topic()), TIMEOUT)?;
    let partitions: Vec<Partition> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions().iter().map(|partition| Partition(partition.id())))
        .collect();
    offsets(&consumer.committed_offsets(link.list(&partitions), TIMEOUT)?)
}

fn offsets(list: &TopicPartitionList) -> Result<BTreeMap<Partition, Option<i64>>, KafkaError> {
    let mut offsets = BTreeMap::new();
    for element in list.elements() {
        element.error()?;
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        offsets.insert(Partition(element.partition()), offset);
    }
    Ok(offsets)
}

/// Where those partitions end that the group knows.
fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    link: &Link<C>,
    committed: &BTreeMap<Partition, Option<i64>>,
) -> Result<BTreeMap<Partition, i64>, KafkaError> {
    let known = committed.iter().filter(|(_, committed)| committed.is_some());
    known
        .map(|(partition, _)| Ok((*partition, consumer.fetch_watermarks(link.topic(), partition.0, TIMEOUT)?.1)))
        .collect()
}

/// The group goes on from the beginning of these.
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
