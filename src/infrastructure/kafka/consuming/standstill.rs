//! A partition that stands still although there is more to read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;

use super::link::Link;
use crate::application::ports::Partition;

/// For one question to the broker.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How long a partition may stand still while records wait in it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Watches the partitions that may be read. librdkafka's consumer can stop reading one of them for good after its leader was
/// away for some seconds (<https://github.com/confluentinc/librdkafka/issues/5430>, seen with 2.12.1).
pub struct Standstill {
    limit: Duration,
    /// Where each was, and since when. None: nothing was read from it.
    seen: BTreeMap<Partition, (Option<i64>, Instant)>,
    /// Where a partition stood, and ended, when it was last found to stand still. What comes before the end may be no records,
    /// but marks of transactions: another consumer reads no more than the one before, and is not replaced.
    found: BTreeMap<Partition, (i64, i64)>,
}

impl Standstill {
    pub fn new(limit: Duration) -> Self {
        Self { limit, seen: BTreeMap::new(), found: BTreeMap::new() }
    }

    /// A new consumer has a minute of its own.
    pub fn begin(&mut self) {
        self.seen.clear();
    }

    /// Of partitions that may be read, one that stands still for too long. Asks the broker only about those that do.
    ///
    /// # Errors
    /// When the broker does not say where a partition ends: then it is not the consumer that stands still.
    pub fn look<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        link: &Link<C>,
        partitions: &[Partition],
    ) -> Result<Option<Partition>, KafkaError> {
        let positions = consumer.position()?;
        let now = Instant::now();
        self.seen.retain(|partition, _| partitions.contains(partition));
        for partition in partitions {
            let position =
                positions.find_partition(link.topic(), partition.0).and_then(|element| match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                });
            if !self.stands_still(*partition, position, now) {
                continue;
            }
            let (low, high) = consumer.fetch_watermarks(link.topic(), partition.0, TIMEOUT)?;
            let next = self.next(consumer, link, *partition, position)?.max(low);
            if high > next && self.found.insert(*partition, (next, high)) != Some((next, high)) {
                return Ok(Some(*partition));
            }
            // It has read everything, as far as can be known.
            self.seen.insert(*partition, (position, now));
        }
        Ok(None)
    }

    fn stands_still(&mut self, partition: Partition, position: Option<i64>, now: Instant) -> bool {
        let (seen, since) = self.seen.entry(partition).or_insert((position, now));
        if *seen != position {
            (*seen, *since) = (position, now);
        }
        now.saturating_duration_since(*since) >= self.limit
    }

    /// Where it is read next: before the first record, at what is committed.
    fn next<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        link: &Link<C>,
        partition: Partition,
        position: Option<i64>,
    ) -> Result<i64, KafkaError> {
        if let Some(position) = position {
            return Ok(position);
        }
        let committed = consumer.committed_offsets(link.list(&[partition]), TIMEOUT)?;
        Ok(committed.elements().iter().map(|element| element.offset().to_raw().unwrap_or(0)).max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_does_not_move_for_a_minute_stands_still() {
        let mut standstill = Standstill::new(LIMIT);
        let (start, partition) = (Instant::now(), Partition(0));
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!standstill.stands_still(partition, None, at(0)));
        assert!(!standstill.stands_still(partition, Some(5), at(50)));
        assert!(!standstill.stands_still(partition, Some(5), at(109)));
        assert!(standstill.stands_still(partition, Some(5), at(110)));
        assert!(!standstill.stands_still(partition, Some(6), at(111)));
    }
}
