//! Records that a consumer has taken from its partitions and not finished: in memory, without I/O, so that the rules
//! can be tested alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::application::ports::{Partition, Record};

/// How much is taken from all partitions together at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls of channels at the same time. A delivery whose call is over does not count, though its outcome is still
    /// being recorded: otherwise other calls would wait for the database.
    pub concurrency: usize,
    /// Records that wait in memory, so that a slow recipient's do not hide those behind them.
    pub records: usize,
    /// Bytes of those records.
    pub bytes: usize,
}

impl Limits {
    pub fn of(concurrency: usize) -> Self {
        Self { concurrency, records: 8_192.max(4 * concurrency), bytes: 32 << 20 }
    }
}

/// The records of all partitions that this process has, in the order in which they may be delivered: one key in order,
/// different keys at the same time.
pub struct Consumption {
    limits: Limits,
    /// One window per assignment of a partition.
    tenures: HashMap<Tenure, Window>,
    current: HashMap<Partition, Tenure>,
    next_tenure: u64,
    /// Jobs that wait behind a record of the same key; a key without an entry has nothing under way.
    lanes: HashMap<Vec<u8>, VecDeque<Job>>,
    ready: VecDeque<Job>,
    /// Deliveries begun whose call of the channel is not over.
    running: usize,
    /// Deliveries whose call is over and that have not ended.
    recording: usize,
    /// Records to set aside, kept apart: they must not take the places of what can be delivered.
    unreadable: VecDeque<Job>,
    setting_aside: usize,
    setting_aside_bytes: usize,
}

/// How many outcomes may wait to be recorded, for each delivery that may be under way.
const RECORDING_PER_CALL: usize = 4;

/// How many records are set aside at the same time.
const SET_ASIDE_AT_ONCE: usize = 16;

/// And their bytes together, unless it is a single record. Records of the largest size that a topic takes would fill
/// the producer's buffer, which messages need too, and would get each other refused.
const SET_ASIDE_BYTES: usize = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tenure(u64);

/// The records of one partition, from the first unfinished one on.
struct Window {
    partition: Partition,
    slots: VecDeque<Slot>,
    /// The number of the first slot.
    first: u64,
    bytes: usize,
    running: usize,
    is_paused: bool,
    is_given_up: Arc<AtomicBool>,
}

struct Slot {
    offset: i64,
    size: usize,
    is_called: bool,
    is_finished: bool,
}

/// A record whose turn it is, or will be.
pub struct Job {
    pub record: Record,
    pub ticket: JobTicket,
    is_given_up: Arc<AtomicBool>,
}

/// Where a record stands in its partition's window.
#[derive(Clone, Copy, Debug)]
pub struct SlotId {
    tenure: Tenure,
    number: u64,
}

/// What a job's end is reported with.
#[derive(Clone, Debug)]
pub struct JobTicket {
    pub slot: SlotId,
    lane: Option<Vec<u8>>,
    size: usize,
    is_readable: bool,
}

impl Job {
    /// Its partition went to another consumer: what is not claimed is left alone.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }
}

/// What follows from what has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Everything of the partition up to and including this offset is done with.
    Finished(Partition, i64),
    Pause(Partition),
    Resume(Partition),
}

impl Consumption {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            tenures: HashMap::new(),
            current: HashMap::new(),
            next_tenure: 0,
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            running: 0,
            recording: 0,
            unreadable: VecDeque::new(),
            setting_aside: 0,
            setting_aside_bytes: 0,
        }
    }

    pub fn assigned(&mut self, partitions: &[Partition]) {
        for &partition in partitions {
            self.give_up(&[partition]);
            let tenure = Tenure(self.next_tenure);
            self.next_tenure += 1;
            self.current.insert(partition, tenure);
            self.tenures.insert(tenure, Window::new(partition));
        }
    }

    /// These partitions go to another consumer. Their jobs that have not begun never will.
    pub fn give_up(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            let Some(tenure) = self.current.remove(partition) else { continue };
            let Some(window) = self.tenures.get(&tenure) else { continue };
            window.is_given_up.store(true, Ordering::Relaxed);
            if window.running == 0 {
                self.tenures.remove(&tenure);
            }
        }
        let (dropped, kept): (VecDeque<Job>, VecDeque<Job>) = self.ready.drain(..).partition(Job::is_given_up);
        self.ready = kept;
        self.unreadable.retain(|job| !job.is_given_up());
        for job in dropped {
            self.let_next_through(job.ticket.lane);
        }
    }

    /// Whether every delivery that was begun in these partitions before they were given up has ended.
    pub fn is_drained(&self, partitions: &[Partition]) -> bool {
        let is_leaving = |tenure: &Tenure, window: &Window| {
            partitions.contains(&window.partition) && self.current.get(&window.partition) != Some(tenure)
        };
        !self.tenures.iter().any(|(tenure, window)| is_leaving(tenure, window))
    }

    /// A record has arrived. It must not overtake, or be overtaken by, others of the same `lane`.
    pub fn arrived(&mut self, record: Record, lane: Option<Vec<u8>>) -> Option<Consequence> {
        let share = self.current.len().max(1);
        let tenure = *self.current.get(&record.partition)?;
        let window = self.tenures.get_mut(&tenure)?;
        let size = record.size();
        let slot = SlotId { tenure, number: window.push(record.offset, size) };
        let is_readable = record.content.is_ok();
        let ticket = JobTicket { slot, lane: lane.clone(), size, is_readable };
        let partition = record.partition;
        let job = Job { record, ticket, is_given_up: window.is_given_up.clone() };
        let is_full = !window.is_paused && window.fills(&self.limits, share, 1);
        window.is_paused |= is_full;
        if !is_readable {
            self.unreadable.push_back(job);
            return is_full.then_some(Consequence::Pause(partition));
        }
        match lane.map(|lane| self.lanes.entry(lane)) {
            Some(std::collections::hash_map::Entry::Occupied(mut waiting)) => waiting.get_mut().push_back(job),
            Some(std::collections::hash_map::Entry::Vacant(free)) => {
                free.insert(VecDeque::new());
                self.ready.push_back(job);
            }
            None => self.ready.push_back(job),
        }
        is_full.then_some(Consequence::Pause(partition))
    }

    /// The next record to deliver, while there is room.
    pub fn begin(&mut self) -> Option<Job> {
        let job = if let Some(job) = self.next_to_set_aside() {
            job
        } else if self.has_room() && !self.ready.is_empty() {
            self.running += 1;
            self.ready.pop_front()?
        } else {
            return None;
        };
        if let Some(window) = self.tenures.get_mut(&job.ticket.slot.tenure) {
            window.running += 1;
        }
        Some(job)
    }

    fn has_room(&self) -> bool {
        let concurrency = self.limits.concurrency;
        self.running < concurrency && self.recording < concurrency.saturating_mul(RECORDING_PER_CALL)
    }

    fn next_to_set_aside(&mut self) -> Option<Job> {
        let size = self.unreadable.front()?.ticket.size;
        let has_room = self.setting_aside < SET_ASIDE_AT_ONCE && self.setting_aside_bytes + size <= SET_ASIDE_BYTES;
        if self.setting_aside > 0 && !has_room {
            return None;
        }
        self.setting_aside += 1;
        self.setting_aside_bytes += size;
        self.unreadable.pop_front()
    }

    /// A delivery's call of its channel is over; the delivery ends when its outcome is recorded.
    pub fn called(&mut self, slot: SlotId) {
        let Some(slot) = self.slot(slot) else { return };
        if !std::mem::replace(&mut slot.is_called, true) {
            self.running = self.running.saturating_sub(1);
            self.recording += 1;
        }
    }

    /// A delivery has ended; `is_done`: the record need not come again.
    pub fn ended(&mut self, ticket: JobTicket, is_done: bool) -> Vec<Consequence> {
        if self.slot(ticket.slot).is_some_and(|slot| slot.is_called) {
            self.recording = self.recording.saturating_sub(1);
        } else if ticket.is_readable {
            self.running = self.running.saturating_sub(1);
        } else {
            self.setting_aside = self.setting_aside.saturating_sub(1);
            self.setting_aside_bytes = self.setting_aside_bytes.saturating_sub(ticket.size);
        }
        self.let_next_through(ticket.lane);
        let share = self.current.len().max(1);
        let mut consequences = Vec::new();
        let tenure = ticket.slot.tenure;
        let Some(window) = self.tenures.get_mut(&tenure) else { return consequences };
        window.running = window.running.saturating_sub(1);
        // A partition that was given up and came back begins where the group says; its earlier tenure reports nothing.
        let current = self.current.get(&window.partition);
        let may_speak = current.is_none_or(|current| *current == tenure);
        if is_done
            && let Some(offset) = window.finish(ticket.slot.number)
            && may_speak
        {
            consequences.push(Consequence::Finished(window.partition, offset));
        }
        let is_current = current == Some(&tenure);
        if is_current && window.is_paused && !window.fills(&self.limits, share, 2) {
            window.is_paused = false;
            consequences.push(Consequence::Resume(window.partition));
        }
        if !is_current && window.running == 0 {
            self.tenures.remove(&tenure);
        }
        consequences
    }

    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.recording == 0 && self.setting_aside == 0
    }

    fn slot(&mut self, slot: SlotId) -> Option<&mut Slot> {
        self.tenures.get_mut(&slot.tenure)?.slot(slot.number)
    }

    fn let_next_through(&mut self, lane: Option<Vec<u8>>) {
        let Some(lane) = lane else { return };
        let Some(waiting) = self.lanes.get_mut(&lane) else { return };
        while let Some(job) = waiting.pop_front() {
            if !job.is_given_up() {
                self.ready.push_back(job);
                return;
            }
        }
        self.lanes.remove(&lane);
    }
}

impl Window {
    fn new(partition: Partition) -> Self {
        Self {
            partition,
            slots: VecDeque::new(),
            first: 0,
            bytes: 0,
            running: 0,
            is_paused: false,
            is_given_up: Arc::default(),
        }
    }

    fn push(&mut self, offset: i64, size: usize) -> u64 {
        let slot = self.first + self.slots.len() as u64;
        self.slots.push_back(Slot { offset, size, is_called: false, is_finished: false });
        self.bytes += size;
        slot
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(index)
    }

    /// Marks a slot; returns the last offset of the unbroken finished prefix if that has grown.
    ///
    /// Slots are in order of arrival, not of offset: a topic that was created again begins at 0.
    fn finish(&mut self, slot: u64) -> Option<i64> {
        self.slot(slot)?.is_finished = true;
        let mut last = None;
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.is_finished) {
            self.first += 1;
            self.bytes -= slot.size;
            last = Some(slot.offset);
        }
        last
    }

    /// Whether the window holds at least a `part`-th of its share of what may wait.
    fn fills(&self, limits: &Limits, partitions: usize, part: usize) -> bool {
        let records = (limits.records / partitions).max(2);
        let bytes = (limits.bytes / partitions).max(1);
        self.slots.len() >= records / part || self.bytes >= bytes / part
    }
}

#[cfg(test)]
#[path = "consumption_tests.rs"]
mod tests;
