//! What consumers have read ahead of their callers.

use std::collections::VecDeque;

use super::memory_shares::MemoryShare;
use crate::application::ports::ReadRecord;

/// What one consumer holds at most, and more only where one record is more.
const MOST_OF_ONE: usize = 8 * 1024 * 1024;

/// Records in their order, and the memory that they take. It is counted for all consumers together, too, where each may have one
/// record beyond that.
#[derive(Default)]
pub struct Waiting {
    records: VecDeque<ReadRecord>,
    bytes: usize,
    cost: usize,
    share: MemoryShare,
}

impl Waiting {
    pub fn of(share: MemoryShare) -> Self {
        Self { records: VecDeque::new(), bytes: 0, cost: 0, share }
    }

    /// Whether another record may be read.
    pub fn has_room(&self) -> bool {
        (self.cost < MOST_OF_ONE && self.share.has_room()) || self.records.is_empty()
    }

    /// Of keys and values; a record without either counts, too.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn arrived(&mut self, record: ReadRecord) {
        self.add(&record);
        self.records.push_back(record);
    }

    /// At least one, if there is one.
    pub fn take(&mut self, most_bytes: usize) -> Vec<ReadRecord> {
        let mut bytes = 0_usize;
        let is_within = |record: &&ReadRecord| {
            bytes = bytes.saturating_add(record.size());
            bytes <= most_bytes
        };
        let count = self.records.iter().take_while(is_within).count().max(1).min(self.records.len());
        let taken: Vec<_> = self.records.drain(..count).collect();
        taken.iter().for_each(|record| self.subtract(record));
        taken
    }

    /// What was taken last comes first again.
    pub fn take_back(&mut self, records: Vec<ReadRecord>) {
        for record in records.into_iter().rev() {
            self.add(&record);
            self.records.push_front(record);
        }
    }

    pub fn keep(&mut self, is_kept: impl Fn(&ReadRecord) -> bool) {
        let (kept, gone): (VecDeque<_>, Vec<_>) = {
            let mut gone = Vec::new();
            let kept = std::mem::take(&mut self.records).into_iter().filter_map(|record| {
                if is_kept(&record) {
                    return Some(record);
                }
                gone.push(record);
                None
            });
            (kept.collect(), gone)
        };
        self.records = kept;
        gone.iter().for_each(|record| self.subtract(record));
    }

    fn add(&mut self, record: &ReadRecord) {
        self.bytes += record.size().max(1);
        self.cost += record.cost();
        self.share.take(record.cost());
    }

    fn subtract(&mut self, record: &ReadRecord) {
        self.bytes -= record.size().max(1);
        self.cost -= record.cost();
        self.share.give_back(record.cost());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.share.give_back(self.cost);
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_shares::MemoryShares;
    use super::*;
    use crate::application::ports::TopicPartition;

    fn record(offset: i64, value: usize, header: usize) -> ReadRecord {
        ReadRecord {
            place: TopicPartition { topic: "orders".to_owned(), partition: 0 },
            offset,
            key: None,
            value: Some(vec![0; value]),
            timestamp: None,
            headers: vec![("h".to_owned(), Some(vec![0; header]))],
        }
    }

    fn offsets(records: &[ReadRecord]) -> Vec<i64> {
        records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn records_are_given_out_within_the_bound_and_come_again_in_their_order() {
        let mut waiting = Waiting::default();
        [(0, 20), (1, 5), (2, 5), (3, 5)]
            .into_iter()
            .for_each(|(offset, size)| waiting.arrived(record(offset, size, 0)));
        assert_eq!(offsets(&waiting.take(10)), [0], "one that is larger comes alone");
        let taken = waiting.take(10);
        assert_eq!((offsets(&taken), waiting.bytes()), (vec![1, 2], 5));
        waiting.take_back(taken);
        waiting.keep(|record| record.offset != 2);
        assert_eq!(waiting.bytes(), 10);
        assert_eq!(offsets(&waiting.take(100)), [1, 3]);
        assert_eq!((waiting.take(100), waiting.bytes(), waiting.cost), (Vec::new(), 0, 0));
    }

    #[test]
    fn headers_and_many_small_records_count_and_one_record_may_always_come() {
        let shares = MemoryShares::default();
        let mut one = Waiting::of(shares.of(None));
        one.arrived(record(0, 0, MOST_OF_ONE));
        assert!(!one.has_room() && one.bytes() == 1);
        let mut small = Waiting::default();
        let fits = (0..).take_while(|offset| {
            small.arrived(record(*offset, 0, 0));
            small.has_room()
        });
        assert!(fits.count() < MOST_OF_ONE / 200);
        let full: Vec<Waiting> = (0..8)
            .map(|_| {
                let mut waiting = Waiting::of(shares.of(None));
                waiting.arrived(record(0, 0, MOST_OF_ONE));
                waiting
            })
            .collect();
        let mut other = Waiting::of(shares.of(None));
        assert!(other.has_room());
        other.arrived(record(0, 1, 0));
        assert!(!other.has_room());
        drop(full);
        assert!(other.has_room());
    }
}
