use std::sync::{Arc, Mutex, PoisonError};

use super::held_messages::Hold;
use super::ports::{Clock, DueMessages};
use crate::domain::message::MessageId;
use crate::domain::node::NodeId;

/// Accepts of which nobody knows whether they were committed. Their callers were told that they failed; a row that is
/// there all the same must not stay open for ever.
#[derive(Clone, Default)]
pub struct UnsettledAccepts(Arc<Mutex<Vec<Unsettled>>>);

struct Unsettled {
    id: MessageId,
    node: NodeId,
    /// Until it is settled nobody of this process touches it.
    _hold: Hold,
}

impl UnsettledAccepts {
    pub fn add(&self, id: MessageId, node: NodeId, hold: Hold) {
        self.list().push(Unsettled { id, node, _hold: hold });
    }

    /// Makes those due whose rows are there. What the database does not answer for is asked the next time.
    pub async fn settle(&self, due: &dyn DueMessages, clock: &dyn Clock) {
        let unsettled = std::mem::take(&mut *self.list());
        for one in unsettled {
            if due.make_due(one.id, one.node, clock.now()).await.is_err() {
                self.list().push(one);
            }
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Unsettled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
