//! Whether an instance may be called now.

mod occupancy;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};

use occupancy::Occupancy;

use super::instances_off::InstancesOff;
use super::pacing::{Pacing, Slot, Ticket};
use super::progress::Progress;
use super::returned_instances::ReturnedInstances;
use crate::application::ports::Clock;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::delivery::{Acceptance, DeliveryError, OffCause};

/// Gives each instance its share of the calls that this process makes in the background, so that one whose receiver hangs
/// never takes all of them, and none to one that its channel does not let in. Copies share it.
#[derive(Clone)]
pub struct Admission {
    clock: Arc<dyn Clock>,
    /// Calls of one instance at the same time.
    share: usize,
    instances: Arc<Mutex<HashMap<InstanceId, Occupancy<Pass>>>>,
    /// Those that take one call at a time, as far as is known.
    narrow: Arc<Mutex<HashSet<InstanceId>>>,
    off: InstancesOff,
    pacing: Pacing,
}

/// Whether an instance may be called now.
pub enum Answer {
    Go(Pass),
    /// Not before this has passed.
    NotBefore(Wait),
}

/// Why a message waits, and how long that is expected to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// None: unknown.
    pub pause: Option<Duration>,
    /// A sentence for people.
    pub reason: Cow<'static, str>,
    /// Whether perhaps no process can ever deliver it (`UNDELIVERABLE_AFTER`). Otherwise it waits for a place.
    pub is_undeliverable: bool,
    /// Its place among those that wait for the pace of their instance.
    pub ticket: Option<Ticket>,
}

impl Wait {
    /// For a place, however long that takes.
    pub fn for_place(pause: Option<Duration>, reason: &'static str) -> Self {
        Self { pause, reason: reason.into(), is_undeliverable: false, ticket: None }
    }
}

/// A place among an instance's calls, free again when this is dropped or [left](Pass::leave).
pub struct Pass {
    admission: Admission,
    instance: InstanceId,
    /// Microseconds of the monotonic clock: when the call was begun.
    since: AtomicU64,
    has_left: AtomicBool,
    /// Of an instance that has a pace, until its call takes it.
    slot: Mutex<Option<Slot>>,
}

/// How long a message waits for a slot that was expected sooner.
pub const SLOT_PATIENCE: Duration = Duration::from_secs(5);

/// How long one waits here for a place that was expected sooner.
const PLACE_PATIENCE: Duration = Duration::from_secs(1);

/// A message that is put off comes back through the database.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

pub const TOO_FAST: &str = "The instance is called no more often than its rate allows (rateLimitPerMinute).";

const SHARE_IS_TAKEN: &str =
    "The instance has as many calls at once as one process may make for it (INSTANCE_CONCURRENCY).";

impl Admission {
    pub fn new(clock: Arc<dyn Clock>, share: usize, pacing: Pacing) -> Self {
        Self {
            off: InstancesOff::new(clock.clone()),
            clock,
            share: share.max(1),
            instances: Arc::default(),
            narrow: Arc::default(),
            pacing,
        }
    }

    /// A place for one call, now or some time later. Each message put off gets a moment of its own, so that not all return at
    /// once. One whose slot, or place, comes soon waits for it.
    pub async fn ask(&self, instance: InstanceId) -> Answer {
        let pass = match self.enter(instance) {
            None if self.waits_for_pace(instance) => self.enter_in_time(instance).await,
            None => self.next_place(instance).await,
            pass => pass,
        };
        pass.map_or_else(|| Answer::NotBefore(self.wait(instance)), Answer::Go)
    }

    /// The next that is free, if that is expected soon.
    async fn next_place(&self, instance: InstanceId) -> Option<Pass> {
        let waiting = self.wait_for_place(instance)?;
        match select(waiting, self.clock.sleep(PLACE_PATIENCE)).await {
            Either::Left((pass, _)) => pass.ok(),
            Either::Right(((), mut waiting)) => {
                waiting.close();
                waiting.try_recv().ok().flatten()
            }
        }
    }

    fn wait_for_place(&self, instance: InstanceId) -> Option<oneshot::Receiver<Pass>> {
        if self.pacing.is_paced(instance) || self.off(instance).is_some() {
            return None;
        }
        let share = u32::try_from(self.share_of(instance)).unwrap_or(u32::MAX);
        self.instances().get_mut(&instance)?.wait(share)
    }

    /// Whether it has no slot now, and will have one soon.
    fn waits_for_pace(&self, instance: InstanceId) -> bool {
        self.pacing.is_paced(instance) && self.off(instance).is_none() && self.pacing.may_wait(instance)
    }

    async fn enter_in_time(&self, instance: InstanceId) -> Option<Pass> {
        let slot = self.pacing.next(instance, SLOT_PATIENCE).await?;
        let pass = self.enter_with(instance, || Some(slot));
        if pass.is_none() {
            self.pacing.give_back(instance, slot);
        }
        pass
    }

    pub fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    /// Whether another message of it has to be put off, because too many wait here for slots.
    pub fn is_behind(&self, instance: InstanceId) -> bool {
        self.pacing.is_paced(instance) && !self.pacing.may_wait(instance)
    }

    /// What its channel has just answered to a message whose call began then, by the monotonic clock.
    pub fn heard(&self, instance: InstanceId, began: Duration, verdict: &Result<Acceptance, DeliveryError>) {
        self.off.heard(instance, began, verdict);
    }

    /// It was changed: what kept it from being called may be mended.
    pub fn let_in(&self, instance: InstanceId) {
        self.off.let_in(instance);
    }

    /// Whether it takes one call at a time, as its row says.
    pub fn takes_one_call(&self, instance: InstanceId, takes: bool) {
        let mut narrow = self.narrow();
        if !takes {
            narrow.remove(&instance);
        } else if !narrow.contains(&instance) {
            narrow.insert(instance);
        }
    }

    fn share_of(&self, instance: InstanceId) -> usize {
        if self.narrow().contains(&instance) { 1 } else { self.share }
    }

    fn narrow(&self) -> MutexGuard<'_, HashSet<InstanceId>> {
        self.narrow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its provider says that it is connected: what else keeps it from being called stays.
    /// Whether that kept it from being called.
    pub fn is_connected(&self, instance: InstanceId) -> bool {
        self.off.let_in_if(instance, &[OffCause::Disconnected, OffCause::NeverConnected])
    }

    /// Something came or went through it: its connection, if it was lost, is back.
    pub fn is_seen(&self, instance: InstanceId) -> bool {
        self.off.let_in_if(instance, &[OffCause::Disconnected])
    }

    /// Those whose messages are to be made due, as they may be called again.
    pub fn returned(&self) -> &ReturnedInstances {
        self.off.returned()
    }

    /// The instances that are off for want of a connection, each with when it was last heard.
    pub fn without_connection(&self) -> Vec<(InstanceId, Timestamp)> {
        self.off.without_connection()
    }

    /// Why its messages wait for its channel, if they do. How long is not known.
    pub fn off(&self, instance: InstanceId) -> Option<Wait> {
        self.off.reason(instance).map(|reason| Wait {
            pause: None,
            reason: reason.into(),
            is_undeliverable: true,
            ticket: None,
        })
    }

    /// A place for one call, if there is one now.
    pub fn enter(&self, instance: InstanceId) -> Option<Pass> {
        if self.pacing.is_paced(instance) {
            return self.enter_with(instance, || self.pacing.take(instance));
        }
        self.enter_freely(instance)
    }

    /// If there is a place and, with it, a slot.
    fn enter_with(&self, instance: InstanceId, slot: impl FnOnce() -> Option<Slot>) -> Option<Pass> {
        let pass = self.enter_freely(instance)?;
        let slot = slot()?;
        pass.keep(slot);
        Some(pass)
    }

    fn enter_freely(&self, instance: InstanceId) -> Option<Pass> {
        let now = self.clock.monotonic();
        let mut instances = self.instances();
        let occupancy = instances.entry(instance).or_insert(Occupancy::at(now));
        if occupancy.calls >= self.share_of(instance) || !self.off.may_ask(instance) {
            if occupancy.calls == 0 {
                instances.remove(&instance);
            }
            return None;
        }
        occupancy.calls += 1;
        drop(instances);
        Some(self.pass(instance, now))
    }

    fn pass(&self, instance: InstanceId, now: Duration) -> Pass {
        Pass {
            admission: self.clone(),
            instance,
            since: AtomicU64::new(microseconds(now)),
            has_left: AtomicBool::new(false),
            slot: Mutex::default(),
        }
    }

    /// How long a message that found no place waits for one.
    pub fn wait(&self, instance: InstanceId) -> Wait {
        if let Some(wait) = self.off(instance) {
            return wait;
        }
        if let Some(ticket) = self.pacing.ticket(instance) {
            return Wait { ticket: Some(ticket), ..Wait::for_place(None, TOO_FAST) };
        }
        let now = self.clock.monotonic();
        let mut instances = self.instances();
        // Its last call has left meanwhile: there is a place now.
        let Some(occupancy) = instances.get_mut(&instance) else {
            return Wait::for_place(Some(SHORTEST_PAUSE), SHARE_IS_TAKEN);
        };
        let share = u32::try_from(self.share_of(instance)).unwrap_or(u32::MAX);
        occupancy.next_place = occupancy.next_place.max(now).saturating_add(occupancy.takes / share);
        let pause = occupancy.next_place.saturating_sub(now).max(SHORTEST_PAUSE);
        Wait::for_place(Some(pause), SHARE_IS_TAKEN)
    }

    /// The instances that have all of their share.
    pub fn full(&self) -> Vec<InstanceId> {
        let instances = self.instances();
        let is_full = |(instance, occupancy): (&InstanceId, &Occupancy<Pass>)| {
            (occupancy.calls >= self.share_of(*instance)).then_some(*instance)
        };
        instances.iter().filter_map(is_full).collect()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.instances().is_empty()
    }

    fn leave(&self, instance: InstanceId, since: Duration) {
        self.off.has_asked(instance);
        let now = self.clock.monotonic();
        let mut instances = self.instances();
        let Some(occupancy) = instances.get_mut(&instance) else { return };
        occupancy.has_taken(now.saturating_sub(since), now);
        // Its place is that of the next one, unless it was put off meanwhile.
        let next = occupancy.next_waiting(self.share_of(instance)).filter(|_| self.off.may_ask(instance));
        if next.is_none() {
            occupancy.calls = occupancy.calls.saturating_sub(1);
            occupancy.waiting.clear();
        }
        // A message that arrives now need not wait for those that were put off.
        if occupancy.calls == 0 {
            instances.remove(&instance);
        }
        drop(instances);
        if let Some(next) = next {
            // One that has given up meanwhile leaves at once.
            let _ = next.send(self.pass(instance, now));
        }
    }

    fn instances(&self) -> MutexGuard<'_, HashMap<InstanceId, Occupancy<Pass>>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Pass {
    /// The call begins only now: it had to wait for other instances.
    pub fn begin(&self) {
        self.since.store(microseconds(self.admission.clock.monotonic()), Ordering::Relaxed);
    }

    fn keep(&self, slot: Slot) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(slot);
    }

    /// That of a call which is about to be made.
    pub fn take_slot(&self) -> Option<Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The call is over.
    pub fn leave(&self) {
        if !self.has_left.swap(true, Ordering::Relaxed) {
            if let Some(unused) = self.take_slot() {
                self.admission.pacing.give_back(self.instance, unused);
            }
            self.admission.leave(self.instance, Duration::from_micros(self.since.load(Ordering::Relaxed)));
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Progress for Pass {
    fn called(&self) {
        self.leave();
    }

    fn slot(&self) -> Option<Slot> {
        self.take_slot()
    }
}
