use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{info, warn};

/// Whether events are given to the database. Closed when it has not taken one in time, so that the next need not wait for it;
/// opened by the loop that empties the spool. Clones are the same gate.
#[derive(Clone, Default)]
pub struct DatabaseGate {
    is_closed: Arc<AtomicBool>,
}

impl DatabaseGate {
    pub fn is_open(&self) -> bool {
        !self.is_closed.load(Ordering::Relaxed)
    }

    pub fn close(&self, reason: &str) {
        if !self.is_closed.swap(true, Ordering::Relaxed) {
            warn!(%reason, "the database takes no events; they wait in the spool until it does");
        }
    }

    pub fn open(&self) {
        if self.is_closed.swap(false, Ordering::Relaxed) {
            info!("the database takes events again");
        }
    }
}
