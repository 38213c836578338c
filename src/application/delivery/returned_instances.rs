use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::instance::InstanceId;

/// The instances that may be called again after their connection was lost: what was put off for that is made due at once, and those
/// that come after it need not wait for its time any more. Copies share it.
#[derive(Clone, Default)]
pub struct ReturnedInstances(Arc<Mutex<Returned>>);

#[derive(Default)]
struct Returned {
    /// Of which what waits is to be made due.
    waiting: BTreeSet<InstanceId>,
    /// By the monotonic clock: what was put off before this moment is due.
    recalled: HashMap<InstanceId, Duration>,
}

/// Of more, those that were recalled longest ago are forgotten: what was put off comes at its own time then.
const MOST: usize = 10_000;

/// No message is put off for longer by a consumer that remembers it.
const KEPT: Duration = Duration::from_secs(2 * 3_600);

impl ReturnedInstances {
    pub fn returned(&self, instance: InstanceId) {
        self.state().waiting.insert(instance);
    }

    /// Those that have returned since it was asked last.
    pub fn take(&self) -> BTreeSet<InstanceId> {
        std::mem::take(&mut self.state().waiting)
    }

    /// All of these that was put off before this moment is due.
    pub fn are_recalled(&self, instances: impl IntoIterator<Item = InstanceId>, since: Duration) {
        let mut state = self.state();
        state.recalled.extend(instances.into_iter().map(|instance| (instance, since)));
        if state.recalled.len() > MOST {
            state.recalled.retain(|_, at| since.saturating_sub(*at) < KEPT);
        }
    }

    /// Whether what was put off of this instance at that moment was made due since.
    pub fn is_recalled(&self, instance: InstanceId, put_off_at: Duration) -> bool {
        self.state().recalled.get(&instance).is_some_and(|at| put_off_at < *at)
    }

    fn state(&self) -> MutexGuard<'_, Returned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
