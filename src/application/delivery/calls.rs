use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::admission::Pass;
use super::consumption::{HANGING_PER_CALL, PATIENCE};
use super::pacing::Slot;
use super::progress::Progress;
use crate::application::ports::Clock;

/// The calls that are made while the relay hands messages over, and which of them hang: these leave their places to others.
/// Copies share it.
#[derive(Clone)]
pub struct Calls {
    clock: Arc<dyn Clock>,
    /// When each was claimed, by the monotonic clock.
    since: Arc<Mutex<HashMap<u64, Duration>>>,
    next: Arc<AtomicU64>,
    /// Those that wait for the pace of their instance.
    waiting: Arc<AtomicUsize>,
}

/// One that waits, until this is dropped.
pub struct Waits(Calls);

/// One call, over when this is dropped or [called](Progress::called).
pub struct Call {
    calls: Calls,
    number: u64,
    pass: Pass,
}

impl Calls {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, since: Arc::default(), next: Arc::default(), waiting: Arc::default() }
    }

    /// Not claimed yet: what waits for the database does not hang.
    pub fn begin(&self, pass: Pass) -> Call {
        Call { calls: self.clone(), number: self.next.fetch_add(1, Ordering::Relaxed), pass }
    }

    /// It waits for its instance: others are called meanwhile.
    pub fn wait(&self) -> Waits {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(self.clone())
    }

    /// How many hang, at most so many as may beside `concurrency` others.
    pub fn hanging(&self, concurrency: usize) -> usize {
        let now = self.clock.monotonic();
        let waiting = self.waiting.load(Ordering::Relaxed);
        let hanging = waiting + self.since().values().filter(|since| now.saturating_sub(**since) >= PATIENCE).count();
        hanging.min(concurrency.saturating_mul(HANGING_PER_CALL))
    }

    fn since(&self) -> MutexGuard<'_, HashMap<u64, Duration>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Progress for Call {
    fn claimed(&self) {
        let now = self.calls.clock.monotonic();
        self.calls.since().insert(self.number, now);
    }

    fn called(&self) {
        self.calls.since().remove(&self.number);
        self.pass.leave();
    }

    fn slot(&self) -> Option<Slot> {
        self.pass.take_slot()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.since().remove(&self.number);
    }
}
