//! What takes too long, and what waits for it.

use std::collections::VecDeque;

use super::job::Job;
use super::limits::{PATIENCE, SLOW};
use super::places::Phase;
use super::{Consequence, Consumption, Now, extracted};
use crate::application::delivery::admission::Wait;
use crate::domain::instance::InstanceId;

const RECIPIENT_HANGS: &str = "An earlier message to this recipient is still being delivered.";

impl Consumption {
    /// Some time has passed: what hangs gives up its places, and what waits for it is put off. To be called about once a
    /// second.
    pub fn passed(&mut self, now: Now) -> Vec<Consequence> {
        self.put_off.forget(now);
        for (lane, head) in self.lanes.overdue(now.monotonic) {
            // Others wait behind those of a slow recipient only where they fill a window.
            let is_full = self.tenures.get(&head.tenure).is_some_and(|window| window.is_paused);
            let patience = if is_full { SLOW } else { PATIENCE };
            if self.put_off.has_later(&lane)
                || !self.under_way.get(&head).is_some_and(|head| head.is_calling_for(patience, now))
            {
                continue;
            }
            let wait = Wait::for_place(None, RECIPIENT_HANGS);
            let jobs = self.lanes.drain(&lane);
            self.put_off_all(jobs, &wait, now);
        }
        self.put_off_blocked(now);
        self.in_the_way.forget(now.monotonic);
        self.unblock_all();
        self.release_hanging(now)
    }

    /// Calls that take long hold no place in the window, where rows say where they are, nor among the calls.
    fn release_hanging(&mut self, now: Now) -> Vec<Consequence> {
        let mut released = Vec::new();
        for (slot, one) in self.under_way.iter_mut().filter(|(_, one)| one.is_calling_for(PATIENCE, now)) {
            if one.phase == Phase::Calling && self.places.has_room_to_hang(self.limits.concurrency, one.size) {
                self.places.change(&mut one.phase, Phase::Hanging, one.size);
            }
            if !std::mem::replace(&mut one.is_released, true) {
                released.push(*slot);
            }
        }
        let mut consequences = Vec::new();
        for slot in released {
            consequences.extend(self.finish(slot));
            consequences.extend(self.resume(slot.tenure));
        }
        consequences
    }

    /// What waits for a place of its instance, and has filled its partition's window: others wait behind it. Once one record
    /// of an instance has waited too long there, none of that instance's does. What waits for its channel is put off at once.
    fn put_off_blocked(&mut self, now: Now) {
        let tenures = &self.tenures;
        let put_off = &self.put_off;
        let goes_ahead = |job: &Job| job.lane.as_deref().is_some_and(|lane| put_off.has_later(lane));
        let waits_in_a_full_window =
            |job: &Job| !goes_ahead(job) && tenures.get(&job.slot.tenure).is_some_and(|window| window.is_paused);
        let has_waited = |job: &Job| now.monotonic.saturating_sub(job.since) >= PATIENCE;
        let mut jobs = Vec::new();
        for (instance, blocked) in &mut self.blocked {
            if blocked.iter().any(|job| has_waited(job) && waits_in_a_full_window(job)) {
                self.in_the_way.add(*instance, now.monotonic);
            }
            if self.admission.off(*instance).is_some() {
                jobs.extend(extracted(blocked, |job| !goes_ahead(job)).into_iter().map(|job| (*instance, job)));
            } else if self.in_the_way.has(*instance) {
                jobs.extend(extracted(blocked, waits_in_a_full_window).into_iter().map(|job| (*instance, job)));
            }
        }
        self.blocked.retain(|_, blocked| !blocked.is_empty());
        for (instance, job) in jobs {
            self.put_off_with_lane(job, instance, now);
            self.tell_how_many_wait(instance);
        }
    }

    /// Its instance has no place for it, and is in the way of others.
    pub(super) fn put_off_with_lane(&mut self, job: Job, instance: InstanceId, now: Now) {
        let behind = job.lane.as_deref().map(|lane| self.lanes.drain(lane)).unwrap_or_default();
        let lane = job.lane.clone();
        let wait = self.admission.wait(instance);
        self.put_off_all([job].into_iter().chain(behind), &wait, now);
        self.let_next_through(lane.as_deref(), now);
    }

    /// Whether it is put off as it arrives: its instance, which has no place for it, has tried the patience of others, or has too
    /// many waiting for its pace.
    pub(super) fn is_in_the_way(&mut self, job: &Job, instance: InstanceId, now: Now) -> bool {
        (self.in_the_way.has_more(instance, now.monotonic) || self.admission.is_behind(instance))
            // Those of its key that are being put off may be back: it would be handed to and fro.
            && !job.lane.as_deref().is_some_and(|lane| self.put_off.has_any(lane))
    }

    /// The first for as long as it takes, the others after it.
    fn put_off_all(&mut self, jobs: impl IntoIterator<Item = Job>, wait: &Wait, now: Now) {
        for (index, job) in jobs.into_iter().enumerate() {
            let job = match wait.ticket {
                _ if index == 0 => job.waits(wait.clone()),
                Some(_) => self.next_of_pace(job),
                None => job.after_the_others(),
            };
            self.put_off.push(job, now);
        }
    }

    /// Behind those of its key that were put off. Where a pace is kept each has a moment of its own.
    pub(super) fn next_of_pace(&self, job: Job) -> Job {
        let paced = job.instance().filter(|instance| self.admission.pacing().is_paced(*instance));
        let wait = paced.map(|instance| self.admission.wait(instance)).filter(|wait| wait.ticket.is_some());
        match wait {
            Some(wait) => job.waits(wait),
            None => job.after_the_others(),
        }
    }

    /// To reserve as many slots.
    pub(super) fn tell_how_many_wait(&self, instance: InstanceId) {
        let waiting = self.blocked.get(&instance).map_or(0, VecDeque::len);
        self.admission.pacing().queued(instance, waiting);
    }
}
