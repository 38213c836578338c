use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What this process has done since it started.
#[derive(Clone, Default)]
pub struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
    dead_letters: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TallySnapshot {
    pub received: u64,
    pub sent: u64,
    pub failed: u64,
    pub retries: u64,
    pub dead_letters: u64,
}

impl Tally {
    pub fn received(&self) {
        self.0.received.fetch_add(1, Ordering::Relaxed);
    }

    pub fn sent(&self) {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub fn failed(&self) {
        self.0.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn retried(&self) {
        self.0.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub fn dead_lettered(&self) {
        self.0.dead_letters.fetch_add(1, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> TallySnapshot {
        TallySnapshot {
            received: self.0.received.load(Ordering::Relaxed),
            sent: self.0.sent.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
            retries: self.0.retries.load(Ordering::Relaxed),
            dead_letters: self.0.dead_letters.load(Ordering::Relaxed),
        }
    }
}
