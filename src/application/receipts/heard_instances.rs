use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::instance::InstanceId;

/// When each instance's provider last reported anything to this process. Copies share it.
#[derive(Clone, Default)]
pub struct HeardInstances(Arc<Mutex<HashMap<InstanceId, Duration>>>);

/// Of more, what is longer ago is forgotten first; what does not fit then is not noted, and asked about all the same.
const MOST: usize = 10_000;

/// Longer than anybody asks for.
const KEPT: Duration = Duration::from_secs(300);

impl HeardInstances {
    /// `now` is of the monotonic clock.
    pub fn heard(&self, instance: InstanceId, now: Duration) {
        let mut heard = self.heard_at();
        if heard.len() >= MOST && !heard.contains_key(&instance) {
            heard.retain(|_, at| now.saturating_sub(*at) < KEPT);
            if heard.len() >= MOST {
                return;
            }
        }
        heard.insert(instance, now);
    }

    /// Whether something was heard of the instance within this time.
    pub fn has_heard(&self, instance: InstanceId, now: Duration, within: Duration) -> bool {
        self.heard_at().get(&instance).is_some_and(|at| now.saturating_sub(*at) < within)
    }

    fn heard_at(&self) -> MutexGuard<'_, HashMap<InstanceId, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
