use std::sync::atomic::{AtomicBool, Ordering};

/// Where this process stands: whether its group counts it as a member, and whether it shall end.
#[derive(Default)]
pub struct Standing {
    joined: AtomicBool,
    closing: AtomicBool,
}

impl Standing {
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    pub fn set_joined(&self, joined: bool) {
        self.joined.store(joined, Ordering::Relaxed);
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Asks the thread to end. There is no way back.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}
