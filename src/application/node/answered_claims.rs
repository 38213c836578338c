use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::message::{Guard, MessageId};

/// The tries that this process knows it has begun: claims that were answered, until the outcome of the try is recorded. A
/// row that it is said to deliver, and whose claim is not among these, was never called: its try is not spent.
///
/// A panic removes nothing: its try may have been made.
#[derive(Clone, Default)]
pub struct AnsweredClaims(Arc<Mutex<HashSet<(MessageId, u32)>>>);

impl AnsweredClaims {
    pub fn remember(&self, guard: &Guard) {
        self.tries().insert(of(guard));
    }

    /// Its outcome has landed, or its guard has lost.
    pub fn forget(&self, guard: &Guard) {
        self.tries().remove(&of(guard));
    }

    pub fn knows(&self, guard: &Guard) -> bool {
        self.tries().contains(&of(guard))
    }

    fn tries(&self) -> MutexGuard<'_, HashSet<(MessageId, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of(guard: &Guard) -> (MessageId, u32) {
    (guard.id, guard.try_number)
}
