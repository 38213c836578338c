use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;

/// When the last receipt of each instance came to this process, until it is written. Copies share it.
#[derive(Clone, Default)]
pub struct NotedReceipts(Arc<Mutex<HashMap<InstanceId, Timestamp>>>);

impl NotedReceipts {
    pub fn came(&self, instance: InstanceId, at: Timestamp) {
        let mut came = self.came_at();
        let last = came.entry(instance).or_insert(at);
        *last = at.max(*last);
    }

    /// What is to be written, in order. Whoever takes it and cannot write it notes it again.
    pub fn take(&self) -> Vec<(InstanceId, Timestamp)> {
        let mut came: Vec<_> = std::mem::take(&mut *self.came_at()).into_iter().collect();
        came.sort_unstable();
        came
    }

    fn came_at(&self) -> MutexGuard<'_, HashMap<InstanceId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
