//! The records of one partition that were taken and are not finished.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::limits::Limits;
use crate::application::ports::Partition;

/// The records of one partition, from the first unfinished one on.
pub struct Window {
    pub partition: Partition,
    slots: VecDeque<Slot>,
    /// The number of the first slot.
    first: u64,
    bytes: usize,
    /// What was begun here and has not ended, whether or not its slot is finished.
    pub under_way: usize,
    pub is_paused: bool,
    pub is_given_up: Arc<AtomicBool>,
}

struct Slot {
    offset: i64,
    size: usize,
    is_finished: bool,
}

impl Window {
    pub fn new(partition: Partition) -> Self {
        Self {
            partition,
            slots: VecDeque::new(),
            first: 0,
            bytes: 0,
            under_way: 0,
            is_paused: false,
            is_given_up: Arc::default(),
        }
    }

    pub fn push(&mut self, offset: i64, size: usize) -> u64 {
        let slot = self.first + self.slots.len() as u64;
        self.slots.push_back(Slot { offset, size, is_finished: false });
        self.bytes += size;
        slot
    }

    /// Marks a slot; returns the last offset of the unbroken finished prefix if that has grown.
    ///
    /// Slots are in order of arrival, not of offset: a topic that was created again begins at 0.
    pub fn finish(&mut self, slot: u64) -> Option<i64> {
        let index = usize::try_from(slot.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(index)?.is_finished = true;
        let mut last = None;
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.is_finished) {
            self.first += 1;
            self.bytes -= slot.size;
            last = Some(slot.offset);
        }
        last
    }

    /// Whether the window holds at least a `part`-th of its share of what may wait.
    pub fn fills(&self, limits: &Limits, partitions: usize, part: usize) -> bool {
        let records = (limits.records / partitions).max(2);
        let bytes = (limits.bytes / partitions).max(1);
        self.slots.len() >= records / part || self.bytes >= bytes / part
    }
}
