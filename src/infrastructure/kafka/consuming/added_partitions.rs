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
///
/// Partitions may have been added twice meanwhile, and keys moved twice. All numbers of partitions that there may have been in between
/// divide today's, and keys move from below such a number to above it: so those below the next one are read first, and what is
/// above it waits for them, also for those that another worker holds.
#[derive(Default)]
pub struct AddedPartitions {
    /// Since when.
    held: BTreeMap<Partition, Instant>,
    /// Up to where others have to be finished before these are read, once all producers know of these.
    ends: Option<(Vec<Partition>, BTreeMap<Partition, i64>)>,
}

/// The ones that are released next.
#[derive(Debug, PartialEq, Eq)]
struct Next {
    partitions: Vec<Partition>,
    /// Since when the last of them is held.
    since: Instant,
    /// All below this come before them.
    above: Partition,
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
        let now = Instant::now();
        for partition in &added {
            link.hold(*partition);
            self.held.insert(*partition, now);
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
            let held: Vec<Partition> = self.held.keys().copied().collect();
            self.release(consumer, link, &held);
        }
        let next = self.next(i32::try_from(snapshot.partitions.len()).ok()?)?;
        if snapshot.asked_at < next.since + EVERYBODY_KNOWS {
            return None;
        }
        let waiting = self.waits_for(&next, snapshot);
        if waiting.is_empty() {
            info!(target: "kafka", partitions = ?numbers(&next.partitions), "the added partitions are read from now on");
            self.release(consumer, link, &next.partitions);
            return None;
        }
        let held: Vec<Partition> = self.held.keys().copied().collect();
        Some(format!(
            "the partitions {:?}, which the consumer group has never committed for, were added: they are read once what was \
             published before is finished in {:?}, so that no message overtakes an earlier one to the same recipient",
            numbers(&held),
            numbers(&waiting)
        ))
    }

    /// Of so many partitions that the topic has.
    fn next(&self, count: i32) -> Option<Next> {
        let first = self.held.keys().next()?.0;
        let divides = |number: &i32| count % *number == 0;
        let above = (1..=first).rev().find(divides).unwrap_or_default();
        let below = (first + 1..count).find(divides).unwrap_or(i32::MAX);
        let next = self.held.range(..Partition(below));
        let since = next.clone().map(|(_, since)| *since).max()?;
        Some(Next { partitions: next.map(|(partition, _)| *partition).collect(), since, above: Partition(above) })
    }

    /// Where something is left that was published before every producer knew of these.
    fn waits_for(&mut self, next: &Next, snapshot: &Snapshot) -> Vec<Partition> {
        if self.ends.as_ref().is_none_or(|(of, _)| *of != next.partitions) {
            let come_first = snapshot
                .partitions
                .iter()
                .filter(|(partition, known)| known.committed.is_some() || **partition < next.above);
            let ends = come_first.map(|(partition, known)| (*partition, known.high)).collect();
            self.ends = Some((next.partitions.clone(), ends));
        }
        let ends = self.ends.iter().flat_map(|(_, ends)| ends);
        let left = ends.filter(|(partition, end)| {
            snapshot.partitions.get(partition).is_some_and(|known| !known.has_finished(**end))
        });
        left.map(|(partition, _)| *partition).collect()
    }

    fn release<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>, link: &Link<C>, partitions: &[Partition]) {
        // From now on the group knows them.
        begin(consumer, link, partitions);
        for partition in partitions {
            self.held.remove(partition);
            link.release(*partition);
        }
        self.ends = None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infrastructure::kafka::progress::Standing;

    fn standing(committed: Option<i64>, high: i64) -> Standing {
        Standing { committed, low: 0, high, has_unread: committed.unwrap_or(0) < high }
    }

    fn held(partitions: &[i32]) -> AddedPartitions {
        let now = Instant::now();
        AddedPartitions { held: partitions.iter().map(|number| (Partition(*number), now)).collect(), ends: None }
    }

    #[test]
    fn what_there_may_have_been_before_comes_first() {
        let next = |of: &[i32], count| held(of).next(count).map(|next| (numbers(&next.partitions), next.above.0));
        // Three became six, and then twelve.
        assert_eq!(next(&[3, 4, 5, 6, 7, 8, 9, 10, 11], 12), Some((vec![3], 3)));
        assert_eq!(next(&[4, 5, 6, 7, 8, 9, 10, 11], 12), Some((vec![4, 5], 4)));
        assert_eq!(next(&[6, 7, 8, 9, 10, 11], 12), Some((vec![6, 7, 8, 9, 10, 11], 6)));
        // Others hold the rest.
        assert_eq!(next(&[5, 9], 12), Some((vec![5], 4)));
        assert_eq!(next(&[25, 27, 47], 48), Some((vec![25, 27, 47], 24)));
        // Not a multiple.
        assert_eq!(next(&[3, 4], 5), Some((vec![3, 4], 1)));
        assert_eq!(next(&[], 12), None);
    }

    #[test]
    fn what_was_published_before_is_finished_first_and_so_is_what_others_hold() {
        // Of 2, 4 and then 8 partitions; the partition 3 is another worker's.
        let mut added = held(&[2, 4, 5]);
        let look = |standings: [Standing; 6]| {
            let partitions = (0..).map(Partition).zip(standings).collect();
            Snapshot { asked_at: Instant::now(), partitions }
        };
        let [done, open, new] = [standing(Some(5), 5), standing(Some(4), 5), standing(None, 1)];
        let next = added.next(8).unwrap();
        let waits = added.waits_for(&next, &look([done, open, new, new, new, new]));
        assert_eq!((numbers(&next.partitions), numbers(&waits)), (vec![2], vec![1]));
        let longer = standing(Some(5), 9);
        assert_eq!(added.waits_for(&next, &look([done, longer, new, new, new, new])), []);

        added.held.remove(&Partition(2));
        let next = added.next(8).unwrap();
        let waits = added.waits_for(&next, &look([done, longer, new, new, new, new]));
        assert_eq!((numbers(&next.partitions), numbers(&waits)), (vec![4, 5], vec![1, 2, 3]));
        let all = standing(Some(9), 9);
        assert_eq!(added.waits_for(&next, &look([done, all, all, all, new, new])), []);
    }
}
