//! What this process has seen of destinations.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::instance::breaker::{BreakerOf, Opens, Seen};

#[derive(Default)]
pub struct SeenCalls {
    seen: HashMap<BreakerOf, Seen>,
    forgot_at: Duration,
}

/// Between two looks for what is over.
const FORGET_EVERY: Duration = Duration::from_secs(60);

impl SeenCalls {
    pub fn heard(&mut self, of: &BreakerOf, fails: bool, now: Duration) -> Option<Opens> {
        match self.seen.get_mut(of) {
            Some(seen) => seen.heard(fails, now),
            None => self.seen.entry(of.clone()).or_default().heard(fails, now),
        }
    }

    pub fn forget(&mut self, now: Duration) {
        if now.saturating_sub(self.forgot_at) >= FORGET_EVERY {
            self.forgot_at = now;
            self.seen.retain(|_, seen| !seen.is_over(now));
        }
    }
}
