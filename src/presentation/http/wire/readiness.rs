use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Whether this process has its database yet, whether it is about to stop, and whether something asks if it is ready. Copies share it.
#[derive(Clone, Default)]
pub struct Readiness(Arc<State>);

#[derive(Default)]
struct State {
    is_early: AtomicBool,
    leaving: CancellationToken,
    asked: Mutex<Option<Instant>>,
}

impl Readiness {
    /// Of a process that has no database yet.
    pub fn early() -> Self {
        let state = State { is_early: AtomicBool::new(true), ..State::default() };
        Self(Arc::new(state))
    }

    /// From now on everything is served.
    pub fn whole(&self) {
        self.0.is_early.store(false, Ordering::Relaxed);
    }

    pub fn is_early(&self) -> bool {
        self.0.is_early.load(Ordering::Relaxed)
    }

    /// Notes that `/health/ready` was asked for.
    pub fn asked(&self) {
        *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub fn was_asked_within(&self, time: Duration) -> bool {
        let asked = *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|moment| moment.elapsed() <= time)
    }

    /// From now on it is not ready, and no connection outlives an answer.
    pub fn leave(&self) {
        self.0.leaving.cancel();
    }

    pub fn is_leaving(&self) -> bool {
        self.0.leaving.is_cancelled()
    }

    /// Resolves once it is about to stop.
    pub async fn is_left(&self) {
        self.0.leaving.cancelled().await;
    }
}
