use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::message::MessageId;

/// The messages that this process is busy with: each is held from before its insert or claim is sent until its outcome
/// has landed. A message that is ours by its row but is not held is not being worked on.
#[derive(Clone, Default)]
pub struct HeldMessages(Arc<Mutex<HashSet<MessageId>>>);

impl HeldMessages {
    /// Holds the message until the guard is dropped, also by a panic; `None` if it is held already.
    pub fn hold(&self, id: MessageId) -> Option<Hold> {
        self.ids().insert(id).then(|| Hold { id, held: self.clone() })
    }

    pub fn holds(&self, id: MessageId) -> bool {
        self.ids().contains(&id)
    }

    pub fn all(&self) -> Vec<MessageId> {
        self.ids().iter().copied().collect()
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<MessageId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a message held.
pub struct Hold {
    id: MessageId,
    held: HeldMessages,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.ids().remove(&self.id);
    }
}
