//! Records that a consumer has taken from its partitions and not finished: in memory, without I/O, so that the rules
//! can be tested alone.

mod job;
mod lanes;
mod limits;
mod overdue;
mod places;
mod put_off;
mod window;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::admission::Admission;
use crate::application::ports::{Partition, Record};
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use job::Tenure;
use lanes::Lanes;
use places::{Phase, Places};
use put_off::{InTheWay, Popped, PutOff};
use window::Window;

pub use job::{End, Job, Now, SlotId, Task};
pub use limits::{HANGING_PER_CALL, Limits, PATIENCE};

/// The records of all partitions that this process has, in the order in which they may be delivered: one key in order,
/// different keys at the same time, one instance in no more places than its share.
pub struct Consumption {
    limits: Limits,
    admission: Admission,
    /// One window per assignment of a partition.
    tenures: HashMap<Tenure, Window>,
    current: HashMap<Partition, Tenure>,
    next_tenure: u64,
    lanes: Lanes,
    ready: VecDeque<Job>,
    /// Whose turn it is, but whose instance has all of its share.
    blocked: HashMap<InstanceId, VecDeque<Job>>,
    /// Whose later records are put off as they arrive.
    in_the_way: InTheWay,
    put_off: PutOff,
    under_way: HashMap<SlotId, UnderWay>,
    places: Places,
    /// Records to set aside, kept apart: they must not take the places of what can be delivered.
    unreadable: VecDeque<Job>,
}

/// What was begun and has not ended.
struct UnderWay {
    phase: Phase,
    /// Its record is finished, although its call is not over: its row says where it is.
    is_released: bool,
    begun: Duration,
    is_claimed: Arc<AtomicBool>,
    lane: Option<Vec<u8>>,
    instance: Option<InstanceId>,
    message: Option<MessageId>,
    size: usize,
}

impl UnderWay {
    /// Its claim is answered, and its call not over after this long.
    fn is_calling_for(&self, duration: Duration, now: Now) -> bool {
        matches!(self.phase, Phase::Calling | Phase::Hanging)
            && now.monotonic.saturating_sub(self.begun) >= duration
            && self.is_claimed.load(Ordering::Relaxed)
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
    pub fn new(limits: Limits, admission: Admission) -> Self {
        Self {
            limits,
            put_off: PutOff::new(admission.returned().clone()),
            admission,
            tenures: HashMap::new(),
            current: HashMap::new(),
            next_tenure: 0,
            lanes: Lanes::default(),
            ready: VecDeque::new(),
            blocked: HashMap::new(),
            in_the_way: InTheWay::default(),
            under_way: HashMap::new(),
            places: Places::default(),
            unreadable: VecDeque::new(),
        }
    }

    pub fn assigned(&mut self, partitions: &[Partition], now: Now) {
        for &partition in partitions {
            self.give_up(&[partition], now);
            let tenure = Tenure(self.next_tenure);
            self.next_tenure += 1;
            self.current.insert(partition, tenure);
            self.tenures.insert(tenure, Window::new(partition));
        }
    }

    /// These partitions go to another consumer. Their jobs that have not begun never will.
    pub fn give_up(&mut self, partitions: &[Partition], now: Now) {
        for partition in partitions {
            let Some(tenure) = self.current.remove(partition) else { continue };
            let Some(window) = self.tenures.get(&tenure) else { continue };
            window.is_given_up.store(true, Ordering::Relaxed);
            if window.under_way == 0 {
                self.tenures.remove(&tenure);
            }
        }
        let mut dropped = extracted(&mut self.ready, Job::is_given_up);
        for blocked in self.blocked.values_mut() {
            dropped.extend(extracted(blocked, Job::is_given_up));
        }
        for instance in self.blocked.keys() {
            self.tell_how_many_wait(*instance);
        }
        self.blocked.retain(|_, blocked| !blocked.is_empty());
        self.unreadable.retain(|job| !job.is_given_up());
        self.put_off.give_up();
        for Job { lane, pass, .. } in dropped {
            drop(pass);
            self.let_next_through(lane.as_deref(), now);
        }
        // Some of those had places of their instances.
        self.unblock_all();
    }

    /// Whether every delivery that was begun in these partitions before they were given up has ended.
    pub fn is_drained(&self, partitions: &[Partition]) -> bool {
        let is_leaving = |tenure: &Tenure, window: &Window| {
            partitions.contains(&window.partition) && self.current.get(&window.partition) != Some(tenure)
        };
        !self.tenures.iter().any(|(tenure, window)| is_leaving(tenure, window))
    }

    /// A record has arrived. It must not overtake, or be overtaken by, others of the same `lane`.
    pub fn arrived(&mut self, record: Record, lane: Option<Vec<u8>>, now: Now) -> Option<Consequence> {
        let share = self.current.len().max(1);
        let tenure = *self.current.get(&record.partition)?;
        let window = self.tenures.get_mut(&tenure)?;
        let (partition, size) = (record.partition, record.size_in_delivery());
        let slot = SlotId { tenure, number: window.push(record.offset, record.size()) };
        let is_full = !window.is_paused && window.fills(&self.limits, share, 1);
        window.is_paused |= is_full;
        let task = if record.content.is_ok() { Task::Deliver } else { Task::SetAside };
        let is_given_up = window.is_given_up.clone();
        let since = now.monotonic;
        self.place(
            Job { record, slot, task, pass: None, is_claimed: Arc::default(), lane, since, size, is_given_up },
            now,
        );
        is_full.then_some(Consequence::Pause(partition))
    }

    fn place(&mut self, job: Job, now: Now) {
        if job.task == Task::SetAside {
            return self.unreadable.push_back(job);
        }
        match job.lane.clone() {
            Some(lane) if self.put_off.holds(&lane, job.message(), now) => {
                let job = self.next_of_pace(job);
                self.put_off.push(job, now);
            }
            _ => self.enter_lane(job, now),
        }
    }

    fn enter_lane(&mut self, job: Job, now: Now) {
        let first = match job.lane.clone() {
            Some(lane) => self.lanes.enter(&lane, job, now.monotonic),
            None => Some(job),
        };
        if let Some(first) = first {
            self.make_ready(first, now);
        }
    }

    /// The next record to work on, while there is room.
    pub fn begin(&mut self, now: Now) -> Option<Job> {
        let (job, phase) = self.next_job(now)?;
        self.places.enter(phase, job.size);
        if let Some(window) = self.tenures.get_mut(&job.slot.tenure) {
            window.under_way += 1;
        }
        if let (Phase::Calling, Some(lane)) = (phase, &job.lane) {
            self.lanes.begun(lane, job.slot, now.monotonic);
        }
        let under_way = UnderWay {
            phase,
            is_released: false,
            begun: now.monotonic,
            is_claimed: job.is_claimed.clone(),
            lane: job.lane.clone(),
            instance: job.instance(),
            message: job.message(),
            size: job.size,
        };
        self.under_way.insert(job.slot, under_way);
        Some(job)
    }

    fn next_job(&mut self, now: Now) -> Option<(Job, Phase)> {
        if let Some(job) = self.unreadable.pop_front_if(|job| self.places.has_room_to_set_aside(job.size)) {
            return Some((job, Phase::SettingAside));
        }
        while self.places.has_room_to_put_off()
            && let Some(popped) = self.put_off.pop(now)
        {
            match popped {
                Popped::PutOff(job) => return Some((job, Phase::PuttingOff)),
                // Those that it had to come after are back.
                Popped::Back(job) => self.enter_lane(Job { task: Task::Deliver, since: now.monotonic, ..job }, now),
            }
        }
        if !self.places.has_room_to_call(self.limits.concurrency) {
            return None;
        }
        let job = self.ready.pop_front()?;
        if let Some(pass) = &job.pass {
            pass.begin();
        }
        Some((job, Phase::Calling))
    }

    /// A delivery's call of its channel is over; the delivery ends when its outcome is recorded.
    pub fn called(&mut self, slot: SlotId) {
        let Some(under_way) = self.under_way.get_mut(&slot) else { return };
        if matches!(under_way.phase, Phase::Calling | Phase::Hanging) {
            self.places.change(&mut under_way.phase, Phase::Recording, under_way.size);
            let instance = under_way.instance;
            self.unblock(instance);
        }
    }

    /// The work on a record has ended.
    pub fn ended(&mut self, slot: SlotId, end: End, now: Now) -> Vec<Consequence> {
        let Some(ended) = self.under_way.remove(&slot) else { return Vec::new() };
        self.places.leave(ended.phase, ended.size);
        match (ended.phase, ended.lane.as_deref()) {
            (Phase::PuttingOff, Some(lane)) => {
                let back_at = if let End::PutOff(at) = end { Some(at) } else { None };
                self.put_off.ended(lane, ended.message, back_at, now);
            }
            (_, lane) => self.let_next_through(lane, now),
        }
        self.unblock(ended.instance);
        let mut consequences = Vec::new();
        if end != End::Left && !ended.is_released {
            consequences.extend(self.finish(slot));
        }
        let Some(window) = self.tenures.get_mut(&slot.tenure) else { return consequences };
        window.under_way = window.under_way.saturating_sub(1);
        let is_current = self.current.get(&window.partition) == Some(&slot.tenure);
        if !is_current && window.under_way == 0 {
            self.tenures.remove(&slot.tenure);
        }
        consequences.extend(self.resume(slot.tenure));
        consequences
    }

    /// Nothing is under way whose end has to be waited for.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    fn finish(&mut self, slot: SlotId) -> Option<Consequence> {
        let window = self.tenures.get_mut(&slot.tenure)?;
        let offset = window.finish(slot.number)?;
        // A partition that was given up and came back begins where the group says; its earlier tenure reports nothing.
        let current = self.current.get(&window.partition);
        current.is_none_or(|current| *current == slot.tenure).then_some(Consequence::Finished(window.partition, offset))
    }

    fn resume(&mut self, tenure: Tenure) -> Option<Consequence> {
        let share = self.current.len().max(1);
        let window = self.tenures.get_mut(&tenure)?;
        let is_current = self.current.get(&window.partition) == Some(&tenure);
        if !is_current || !window.is_paused || window.fills(&self.limits, share, 2) {
            return None;
        }
        window.is_paused = false;
        Some(Consequence::Resume(window.partition))
    }

    /// There may be a place again for a call of this instance.
    fn unblock(&mut self, instance: Option<InstanceId>) {
        let Some(instance) = instance else { return };
        self.let_in(instance);
    }

    /// An instance that has a pace has slots.
    pub fn has_slots(&mut self, instance: InstanceId) {
        while self.let_in(instance) {}
    }

    fn let_in(&mut self, instance: InstanceId) -> bool {
        let Some(blocked) = self.blocked.get_mut(&instance) else { return false };
        let mut is_let_in = false;
        if let Some(pass) = self.admission.enter(instance)
            && let Some(job) = blocked.pop_front()
        {
            self.ready.push_back(Job { pass: Some(pass), ..job });
            is_let_in = true;
        }
        if blocked.is_empty() {
            self.blocked.remove(&instance);
        }
        self.tell_how_many_wait(instance);
        is_let_in
    }

    fn unblock_all(&mut self) {
        for instance in self.blocked.keys().copied().collect::<Vec<_>>() {
            // As long as one gets through.
            while self.let_in(instance) {}
        }
    }

    fn let_next_through(&mut self, lane: Option<&[u8]>, now: Now) {
        let Some(lane) = lane else { return };
        if let Some(job) = self.lanes.next(lane, now.monotonic) {
            self.make_ready(job, now);
        }
    }

    /// Its turn has come, but for the places of its instance and of this process. Of one instance no more jobs queue for the
    /// latter than its share, so that others never wait there behind all that an instance has to send.
    fn make_ready(&mut self, job: Job, now: Now) {
        let pass = job.instance().and_then(|instance| self.admission.enter(instance));
        let job = Job { since: now.monotonic, pass, ..job };
        match job.instance().filter(|_| job.pass.is_none()) {
            Some(instance) if self.is_in_the_way(&job, instance, now) => self.put_off_with_lane(job, instance, now),
            Some(instance) => {
                self.blocked.entry(instance).or_default().push_back(job);
                self.tell_how_many_wait(instance);
            }
            None => self.ready.push_back(job),
        }
    }
}

fn extracted(jobs: &mut VecDeque<Job>, is_meant: impl Fn(&Job) -> bool) -> Vec<Job> {
    if !jobs.iter().any(&is_meant) {
        return Vec::new();
    }
    let (meant, kept): (Vec<Job>, Vec<Job>) = jobs.drain(..).partition(is_meant);
    *jobs = kept.into();
    meant
}

#[cfg(test)]
mod overdue_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod tests;
