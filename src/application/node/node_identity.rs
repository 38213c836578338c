use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::application::ports::{Clock, RepositoryError};
use crate::domain::node::NodeId;

/// The name under which this process takes messages, and whether other nodes may consider it gone.
///
/// A name is good for `timeout` after the last heartbeat that was written for it was sent: no other node can have
/// watched it stand still for that long. After that the process must go on under a new name.
#[derive(Clone)]
pub struct NodeIdentity {
    clock: Arc<dyn Clock>,
    timeout: Duration,
    name: Arc<Mutex<Option<Name>>>,
}

#[derive(Clone, Copy)]
struct Name {
    id: NodeId,
    /// When its last heartbeat was sent, by the monotonic clock.
    beat_at: Duration,
}

impl NodeIdentity {
    pub fn new(clock: Arc<dyn Clock>, timeout: Duration) -> Self {
        Self { clock, timeout, name: Arc::default() }
    }

    /// How long a heartbeat has to stand still before other nodes consider this one gone.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The name to take messages with; none while there is no good one.
    pub fn current(&self) -> Option<NodeId> {
        let name = *self.lock();
        name.filter(|name| self.is_fresh(name)).map(|name| name.id)
    }

    /// The name to take messages with; waits a moment for a new one, as after a freeze.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`]: no heartbeat could be written for too long.
    pub async fn current_or_wait(&self) -> Result<NodeId, RepositoryError> {
        const PATIENCE: u32 = 100;
        for _ in 0..PATIENCE {
            if let Some(id) = self.current() {
                return Ok(id);
            }
            self.clock.sleep(Duration::from_millis(20)).await;
        }
        Err(RepositoryError::Unavailable("no heartbeat could be written for too long".to_owned()))
    }

    /// Whether no other node can have taken over what `node` claimed.
    pub fn is_certain(&self, node: Option<NodeId>) -> bool {
        node.is_some() && self.current() == node
    }

    /// The last name, good or not.
    pub fn last(&self) -> Option<NodeId> {
        self.lock().map(|name| name.id)
    }

    /// A heartbeat of `id`, sent at `sent`, was written. A name that went stale meanwhile stays stale.
    pub fn beaten(&self, id: NodeId, sent: Duration) {
        let mut name = self.lock();
        if let Some(current) = name.as_mut().filter(|current| current.id == id && self.is_fresh(current)) {
            current.beat_at = sent;
        }
    }

    /// The process goes on as `id`, registered at `sent`.
    pub fn rename(&self, id: NodeId, sent: Duration) {
        *self.lock() = Some(Name { id, beat_at: sent });
    }

    fn is_fresh(&self, name: &Name) -> bool {
        self.clock.monotonic().saturating_sub(name.beat_at) < self.timeout
    }

    fn lock(&self) -> MutexGuard<'_, Option<Name>> {
        self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
