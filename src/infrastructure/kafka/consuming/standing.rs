use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::application::ports::KeptOut;

/// Where this process stands: whether its group counts it as a member, and whether it shall end.
#[derive(Default)]
pub struct Standing {
    joined: AtomicBool,
    closing: AtomicBool,
    /// Since when, and why, a process is kept out that could be in.
    kept_out: Mutex<Option<(Instant, String)>>,
}

impl Standing {
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    pub fn set_joined(&self, joined: bool) {
        self.joined.store(joined, Ordering::Relaxed);
    }

    /// None: it is in, or the broker is away.
    pub fn set_kept_out(&self, reason: Option<String>) {
        let mut kept_out = self.kept_out.lock().unwrap_or_else(PoisonError::into_inner);
        let since = kept_out.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        *kept_out = reason.map(|reason| (since, reason));
    }

    pub fn kept_out(&self) -> Option<KeptOut> {
        let kept_out = self.kept_out.lock().unwrap_or_else(PoisonError::into_inner);
        kept_out.as_ref().map(|(since, reason)| KeptOut { lasts: since.elapsed(), reason: reason.clone() })
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Asks the thread to end. There is no way back.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}
