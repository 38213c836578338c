use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::held_messages::Hold;
use crate::application::ports::{Clock, DueMessages, RepositoryError};
use crate::domain::message::MessageId;
use crate::domain::node::NodeId;

/// Messages that this process knows to need taking up again, while their rows do not say so yet:
///
/// - accepts that may or may not have been committed: their callers got an error, and a row that is there all the same
///   must not stay open for ever;
/// - messages that the queue did not take, or took and could not keep.
#[derive(Clone, Default)]
pub struct Unreconciled(Arc<Mutex<Vec<One>>>);

/// A message that is being handed over.
pub struct InHand {
    id: MessageId,
    node: NodeId,
    unreconciled: Option<Unreconciled>,
}

impl InHand {
    /// The queue has it: its keeping is the queue's to report.
    pub fn is_handed_over(mut self) {
        self.unreconciled = None;
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if let Some(unreconciled) = &self.unreconciled {
            unreconciled.not_handed_over(self.id, self.node);
        }
    }
}

struct One {
    id: MessageId,
    node: NodeId,
    /// Until an accept is reconciled, no other task of this process touches it.
    _hold: Option<Hold>,
}

impl Unreconciled {
    /// The answer to this accept of `node`'s was lost.
    pub fn accept(&self, id: MessageId, node: NodeId, hold: Hold) {
        self.list().push(One { id, node, _hold: Some(hold) });
    }

    /// This message of `node`'s is not on its way.
    pub fn not_handed_over(&self, id: MessageId, node: NodeId) {
        self.list().push(One { id, node, _hold: None });
    }

    /// Notes that this message of `node`'s is not on its way, unless [`InHand::is_handed_over`] is called: also when handing
    /// it over panics or is interrupted.
    pub fn in_hand(&self, id: MessageId, node: NodeId) -> InHand {
        InHand { id, node, unreconciled: Some(self.clone()) }
    }

    pub fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    /// Makes those messages due whose rows exist and are still their node's, some thousands at a time: more may come as
    /// fast as they are written, and the caller has other work.
    ///
    /// # Errors
    /// When the database does not answer: the remaining ones are tried the next time.
    pub async fn reconcile(&self, due: &dyn DueMessages, clock: &dyn Clock) -> Result<(), RepositoryError> {
        const AT_ONCE: usize = 1_000;
        const STATEMENTS: usize = 10;
        for _ in 0..STATEMENTS {
            let some: Vec<One> = {
                let mut list = self.list();
                let count = list.len().min(AT_ONCE);
                list.drain(..count).collect()
            };
            if some.is_empty() {
                return Ok(());
            }
            let messages: Vec<(MessageId, NodeId)> = some.iter().map(|one| (one.id, one.node)).collect();
            if let Err(error) = due.make_due(&messages, clock.now()).await {
                self.list().extend(some);
                return Err(error);
            }
        }
        Ok(())
    }

    fn list(&self) -> MutexGuard<'_, Vec<One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use uuid::Uuid;

    use super::*;

    #[test]
    fn handing_over_that_panics_is_told_and_what_was_handed_over_is_not() {
        let unreconciled = Unreconciled::default();
        let in_hand = || unreconciled.in_hand(MessageId(Uuid::max()), NodeId(Uuid::nil()));
        in_hand().is_handed_over();
        assert!(unreconciled.is_empty());
        let in_hand = in_hand();
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _in_hand = in_hand;
            panic!("as a queue may");
        }));
        assert!(panicked.is_err());
        let told: Vec<_> = unreconciled.list().iter().map(|one| (one.id, one.node)).collect();
        assert_eq!(told, [(MessageId(Uuid::max()), NodeId(Uuid::nil()))]);
    }
}
