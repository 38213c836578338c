//! Messages that are being put off: of one key one after the other, and none to an earlier time than the one before.

use std::collections::{HashMap, VecDeque};

use super::job::{Job, Task};
use crate::domain::Timestamp;

/// The keys that have messages which were put off, until these come back, and what else is to be put off.
#[derive(Default)]
pub struct PutOff {
    keys: HashMap<Vec<u8>, Key>,
    ready: VecDeque<Job>,
}

#[derive(Default)]
struct Key {
    waiting: VecDeque<Job>,
    is_busy: bool,
    /// When those come back that were put off last.
    back_at: Option<Timestamp>,
}

impl Key {
    fn is_over(&self, now: Timestamp) -> bool {
        !self.is_busy && self.waiting.is_empty() && self.back_at.is_none_or(|back_at| back_at <= now)
    }
}

impl PutOff {
    /// Whether messages of this key were put off that are not back yet: later ones must not overtake them.
    pub fn holds(&self, key: &[u8], now: Timestamp) -> bool {
        self.keys.get(key).is_some_and(|key| !key.is_over(now))
    }

    /// To be put off, as its task says.
    pub fn push(&mut self, job: Job) {
        let Some(lane) = job.lane.clone() else { return self.ready.push_back(job) };
        let key = self.keys.entry(lane).or_default();
        key.waiting.push_back(job);
        if let Some(next) = key.next() {
            self.ready.push_back(next);
        }
    }

    pub fn pop(&mut self) -> Option<Job> {
        self.ready.pop_front()
    }

    /// One of this key has been put off, if a time is given.
    pub fn ended(&mut self, key: &[u8], back_at: Option<Timestamp>) {
        let Some(key) = self.keys.get_mut(key) else { return };
        key.is_busy = false;
        key.back_at = key.back_at.max(back_at);
        if let Some(next) = key.next() {
            self.ready.push_back(next);
        }
    }

    /// Drops what is of partitions that were given up.
    pub fn give_up(&mut self) {
        let (dropped, kept): (VecDeque<Job>, VecDeque<Job>) = self.ready.drain(..).partition(Job::is_given_up);
        self.ready = kept;
        self.keys.values_mut().for_each(|key| key.waiting.retain(|job| !job.is_given_up()));
        for lane in dropped.into_iter().filter_map(|job| job.lane) {
            self.ended(&lane, None);
        }
    }

    /// Forgets the keys whose messages are back.
    pub fn forget(&mut self, now: Timestamp) {
        self.keys.retain(|_, key| !key.is_over(now));
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.keys.values().all(|key| !key.is_busy && key.waiting.is_empty())
    }
}

impl Key {
    fn next(&mut self) -> Option<Job> {
        if self.is_busy {
            return None;
        }
        let mut job = self.waiting.pop_front()?;
        self.is_busy = true;
        if let Task::PutOff { not_before, .. } = &mut job.task {
            *not_before = self.back_at;
        }
        Some(job)
    }
}
