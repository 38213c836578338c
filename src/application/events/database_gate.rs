use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

/// Whether events are given to the database. Closed when it has not taken one in time, so that the next need not wait for it;
/// opened by the loop that empties the spool. Clones are the same gate.
#[derive(Clone, Default)]
pub struct DatabaseGate(Arc<Gate>);

#[derive(Default)]
struct Gate {
    is_closed: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl DatabaseGate {
    pub fn is_open(&self) -> bool {
        !self.0.is_closed.load(Ordering::Relaxed)
    }

    /// Those who find it at the same time say it once.
    pub fn close(&self, reason: &str) {
        if !self.0.is_closed.swap(true, Ordering::Relaxed) {
            self.explain(reason);
        }
    }

    /// Says why it is closed, when that is another reason than before.
    pub fn explain(&self, reason: &str) {
        if self.remember(Some(reason.to_owned())).as_deref() != Some(reason) {
            warn!(%reason, "the database takes no events; they wait in the spool until it does");
        }
    }

    pub fn open(&self) {
        if self.0.is_closed.swap(false, Ordering::Relaxed) {
            self.remember(None);
            info!("the database takes events again");
        }
    }

    /// Why it is closed, if it is.
    pub fn reason(&self) -> Option<String> {
        self.0.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, reason: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.0.reason.lock().unwrap_or_else(PoisonError::into_inner), reason)
    }
}
