//! Messages that are being put off: of one key the first alone, which says when it comes back, then the others to the same
//! time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::TimeDelta;

use super::job::{Job, Now, Task};
use super::limits::PATIENCE;
use crate::application::delivery::admission::Wait;
use crate::application::delivery::returned_instances::ReturnedInstances;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;

/// The keys that have messages which were put off, until these come back, and what else is to be put off.
pub struct PutOff {
    keys: HashMap<Vec<u8>, Key>,
    ready: VecDeque<Job>,
    /// What was put off of them is due, whatever its time was.
    returned: ReturnedInstances,
}

#[derive(Default)]
struct Key {
    /// Behind the first, whose time is not known yet.
    waiting: VecDeque<Job>,
    /// Why the first was put off, for the next if it need not be.
    wait: Option<Wait>,
    /// How many are to be put off now.
    queued: usize,
    /// How many are being put off.
    busy: usize,
    /// When the first comes back that was put off.
    back_at: Option<BackAt>,
    instance: Option<InstanceId>,
    /// The last message that was put off, where each waits for a moment of its own, and when that is. One that comes after it must
    /// not overtake it.
    last: Option<(MessageId, BackAt)>,
}

/// A wait goes along with a wall clock that is set, as that of its row does.
#[derive(Clone, Copy)]
struct BackAt {
    monotonic: Duration,
    /// The same by the wall clock, and of all that are put off behind the first: of equal times the order of ids decides.
    time: Timestamp,
    /// When it was put off, by the monotonic clock.
    since: Duration,
}

/// What is next.
pub enum Popped {
    PutOff(Job),
    /// Those that it must not overtake are back: it need not be put off.
    Back(Job),
}

/// Keys that are remembered only until their messages come back. Beyond so many, later messages of a key may overtake those
/// that were put off.
const MOST_KEYS: usize = 20_000;

/// The row's own time is changed for steps like this, and is then known less exactly than this.
const SET: TimeDelta = TimeDelta::seconds(10);
const INEXACT: TimeDelta = TimeDelta::seconds(1);

impl BackAt {
    fn new(time: Timestamp, now: Now) -> Self {
        let wait = (time - now.time).to_std().unwrap_or_default();
        Self { monotonic: now.monotonic.saturating_add(wait), time, since: now.monotonic }
    }

    fn has_come(&self, now: Now) -> bool {
        if self.by_clock(now).is_some() { self.monotonic <= now.monotonic } else { self.time <= now.time }
    }

    /// By the wall clock as it is now.
    fn time(&mut self, now: Now) -> Timestamp {
        if let Some(time) = self.by_clock(now) {
            self.time = time + INEXACT;
        }
        self.time
    }

    /// Another time, if the wall clock was set.
    fn by_clock(&self, now: Now) -> Option<Timestamp> {
        let [then, monotonic] = [self.monotonic, now.monotonic].map(|moment| TimeDelta::from_std(moment).ok());
        let time = now.time.checked_add_signed(then? - monotonic?)?;
        ((time - self.time).abs() >= SET).then_some(time)
    }
}

impl Key {
    fn is_idle(&self) -> bool {
        self.busy == 0 && self.queued == 0 && self.waiting.is_empty()
    }

    /// Nor does any wait for a moment after that.
    fn is_over(&self, now: Now, returned: &ReturnedInstances) -> bool {
        self.is_back(now, returned) && self.last.is_none_or(|(_, back_at)| self.has_returned(back_at, now, returned))
    }

    fn is_back(&self, now: Now, returned: &ReturnedInstances) -> bool {
        self.back_at.is_none_or(|back_at| self.has_returned(back_at, now, returned))
    }

    fn has_returned(&self, back_at: BackAt, now: Now, returned: &ReturnedInstances) -> bool {
        back_at.has_come(now) || self.is_recalled(back_at, returned)
    }

    fn is_recalled(&self, back_at: BackAt, returned: &ReturnedInstances) -> bool {
        self.instance.is_some_and(|instance| returned.is_recalled(instance, back_at.since))
    }
}

/// Instances whose records have filled a window for too long, each with when it last had no place for one. The patience is
/// the instance's: if each of its records had its own, a backlog of many windows would hold up others for as many times.
#[derive(Default)]
pub struct InTheWay(HashMap<InstanceId, Duration>);

impl InTheWay {
    pub fn add(&mut self, instance: InstanceId, now: Duration) {
        self.0.insert(instance, now);
    }

    pub fn has(&self, instance: InstanceId) -> bool {
        self.0.contains_key(&instance)
    }

    /// Another of its records has no place.
    pub fn has_more(&mut self, instance: InstanceId, now: Duration) -> bool {
        self.0.get_mut(&instance).map(|last| *last = now).is_some()
    }

    /// Forgets those that have had places for all their records for a while.
    pub fn forget(&mut self, now: Duration) {
        self.0.retain(|_, last| now.saturating_sub(*last) < PATIENCE);
    }
}

impl PutOff {
    pub fn new(returned: ReturnedInstances) -> Self {
        Self { keys: HashMap::new(), ready: VecDeque::new(), returned }
    }

    /// Whether messages of this key were put off that are not back yet: later ones must not overtake them.
    pub fn holds(&self, key: &[u8], message: Option<MessageId>, now: Now) -> bool {
        let holds = |key: &Key| {
            let is_away = if key.back_at.is_some() { !key.is_back(now, &self.returned) } else { !key.is_idle() };
            let is_later = |last: MessageId| message.is_some_and(|message| message > last);
            let is_behind = key
                .last
                .is_some_and(|(last, back_at)| is_later(last) && !key.has_returned(back_at, now, &self.returned));
            is_away || key.queued > 0 || is_behind
        };
        self.keys.get(key).is_some_and(holds)
    }

    /// Whether messages of this key wait here that come after all that wait elsewhere.
    pub fn has_later(&self, key: &[u8]) -> bool {
        self.keys.get(key).is_some_and(|key| key.queued > 0 || !key.waiting.is_empty())
    }

    /// Whether messages of this key are being put off, or wait here for it.
    pub fn has_any(&self, key: &[u8]) -> bool {
        self.keys.get(key).is_some_and(|key| !key.is_idle())
    }

    /// To be put off, as its task says.
    pub fn push(&mut self, job: Job, now: Now) {
        let Some(lane) = job.lane.clone() else { return self.ready.push_back(job) };
        let key = self.keys.entry(lane).or_default();
        if key.is_idle() && key.is_back(now, &self.returned) {
            let last = key.last.filter(|(_, back_at)| !key.has_returned(*back_at, now, &self.returned));
            *key = Key { last, ..Key::default() };
        }
        key.instance = job.instance();
        if key.back_at.is_some() {
            key.queued += 1;
            self.ready.push_back(after(job, key.back_at));
        } else if key.busy + key.queued == 0 {
            key.begin(job, &mut self.ready);
        } else {
            key.waiting.push_back(job);
        }
    }

    pub fn pop(&mut self, now: Now) -> Option<Popped> {
        let mut job = self.ready.pop_front()?;
        let mut is_back = false;
        if let Some(key) = job.lane.as_ref().and_then(|lane| self.keys.get_mut(lane)) {
            let is_recalled = key.back_at.is_some_and(|back_at| key.is_recalled(back_at, &self.returned));
            if let (Task::PutOff { not_before: Some(time), .. }, Some(back_at)) = (&mut job.task, &mut key.back_at) {
                is_back = is_recalled || back_at.has_come(now);
                *time = back_at.time(now);
            }
            key.queued = key.queued.saturating_sub(1);
            key.busy += usize::from(!is_back);
        }
        Some(if is_back { Popped::Back(job) } else { Popped::PutOff(job) })
    }

    /// One of this key has been put off, if a time is given.
    pub fn ended(&mut self, key: &[u8], message: Option<MessageId>, back_at: Option<Timestamp>, now: Now) {
        let Some(key) = self.keys.get_mut(key) else { return };
        key.busy = key.busy.saturating_sub(1);
        // That of the first: if each moved it on, one that is back would find others that are not, for ever.
        key.back_at = key.back_at.or_else(|| Some(BackAt::new(back_at?, now)));
        if let Some((message, time)) = message.zip(back_at)
            && key.last.is_none_or(|(last, _)| message > last)
        {
            key.last = Some((message, BackAt::new(time, now)));
        }
        key.go_on(&mut self.ready);
    }

    /// Drops what is of partitions that were given up.
    pub fn give_up(&mut self) {
        let (dropped, kept): (VecDeque<Job>, VecDeque<Job>) = self.ready.drain(..).partition(Job::is_given_up);
        self.ready = kept;
        self.keys.values_mut().for_each(|key| key.waiting.retain(|job| !job.is_given_up()));
        for lane in dropped.into_iter().filter_map(|job| job.lane) {
            if let Some(key) = self.keys.get_mut(&lane) {
                key.queued = key.queued.saturating_sub(1);
                key.go_on(&mut self.ready);
            }
        }
    }

    /// Forgets the keys whose messages are back.
    pub fn forget(&mut self, now: Now) {
        let is_crowded = self.keys.len() > MOST_KEYS;
        let returned = &self.returned;
        self.keys.retain(|_, key| !key.is_idle() || !(is_crowded || key.is_over(now, returned)));
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.keys.values().all(Key::is_idle)
    }
}

impl Key {
    /// The others, once it is known when the first comes back; the next as the first, if that is not put off.
    fn go_on(&mut self, ready: &mut VecDeque<Job>) {
        if self.back_at.is_some() {
            self.queued += self.waiting.len();
            ready.extend(self.waiting.drain(..).map(|job| after(job, self.back_at)));
        } else if self.busy + self.queued == 0
            && let Some(next) = self.waiting.pop_front()
        {
            self.begin(next, ready);
        }
    }

    /// The first: of those that were to come after another one, for as long as that one would have been put off.
    fn begin(&mut self, mut job: Job, ready: &mut VecDeque<Job>) {
        if let Task::PutOff { wait, not_before } = &mut job.task {
            *wait = self.wait.get_or_insert_with(|| wait.clone()).clone();
            *not_before = (*not_before).max(self.last.map(|(_, back_at)| back_at.time));
        }
        self.queued += 1;
        ready.push_back(job);
    }
}

/// Not before that time.
fn after(mut job: Job, back_at: Option<BackAt>) -> Job {
    if let Task::PutOff { not_before, .. } = &mut job.task {
        *not_before = back_at.map(|back_at| back_at.time);
    }
    job
}
