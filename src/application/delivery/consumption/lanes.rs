//! Records of one key, one after the other.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::job::{Job, SlotId};
use super::limits::{PATIENCE, SLOW};

/// The keys that have something ready or under way.
#[derive(Default)]
pub struct Lanes(HashMap<Vec<u8>, Lane>);

struct Lane {
    /// Behind the one that is ready or under way.
    waiting: VecDeque<Job>,
    /// What is under way.
    head: Option<SlotId>,
    /// Since when its records are being worked on, one after the other.
    served_since: Option<Duration>,
    ready_at: Duration,
}

impl Lane {
    fn at(now: Duration) -> Self {
        Self { waiting: VecDeque::new(), head: None, served_since: None, ready_at: now }
    }
}

impl Lanes {
    /// The job again if nothing is ahead of it.
    pub fn enter(&mut self, key: &[u8], job: Job, now: Duration) -> Option<Job> {
        match self.0.get_mut(key) {
            Some(lane) => {
                lane.waiting.push_back(job);
                None
            }
            None => {
                self.0.insert(key.to_vec(), Lane::at(now));
                Some(job)
            }
        }
    }

    /// The one that was ready is being worked on.
    pub fn begun(&mut self, key: &[u8], slot: SlotId, now: Duration) {
        if let Some(lane) = self.0.get_mut(key) {
            lane.head = Some(slot);
            // One that had to wait for a place has waited for other lanes.
            let goes_on = now.saturating_sub(lane.ready_at) < SLOW;
            lane.served_since = lane.served_since.filter(|_| goes_on).or(Some(now));
        }
    }

    /// The one that was ready, or under way, is gone: the next one.
    pub fn next(&mut self, key: &[u8], now: Duration) -> Option<Job> {
        let lane = self.0.get_mut(key)?;
        lane.ready_at = now;
        lane.head = None;
        while let Some(job) = lane.waiting.pop_front() {
            if !job.is_given_up() {
                return Some(job);
            }
        }
        self.0.remove(key);
        None
    }

    /// All that waits behind the one that is ready or under way.
    pub fn drain(&mut self, key: &[u8]) -> VecDeque<Job> {
        self.0.get_mut(key).map(|lane| std::mem::take(&mut lane.waiting)).unwrap_or_default()
    }

    /// The keys of which one has waited too long while others of the same key were being worked on, each with what is
    /// under way now.
    pub fn overdue(&self, now: Duration) -> Vec<(Vec<u8>, SlotId)> {
        let is_overdue = |lane: &Lane| {
            let waiting_since = lane.waiting.front().zip(lane.served_since).map(|(job, served)| job.since.max(served));
            waiting_since.is_some_and(|since| now.saturating_sub(since) >= PATIENCE)
        };
        let overdue = self.0.iter().filter(|(_, lane)| is_overdue(lane));
        overdue.filter_map(|(key, lane)| Some((key.clone(), lane.head?))).collect()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
