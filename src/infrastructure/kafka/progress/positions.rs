//! Where the group stands in each partition, as it was last asked from outside of the group.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::application::ports::Partition;

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the group has committed. None: nothing.
    pub committed: Option<i64>,
    /// The first offset that is there.
    pub low: i64,
    /// The one after the last.
    pub high: i64,
    /// There are records that the group has not finished: what lies between may be none, but marks of transactions.
    pub has_unread: bool,
}

impl Standing {
    /// Whether the group has finished everything before `end`.
    pub fn has_finished(&self, end: i64) -> bool {
        !self.has_unread || self.low >= end || self.committed.is_some_and(|committed| committed >= end)
    }

    /// Where a consumer without a position goes on.
    pub fn next(&self) -> i64 {
        self.committed.unwrap_or(self.low).max(self.low)
    }
}

/// All partitions, and when asking for them began.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub asked_at: Instant,
    pub partitions: BTreeMap<Partition, Standing>,
}

/// The last answer, shared by those who need it: the consumer's own connection would answer behind its fetches.
#[derive(Clone, Default)]
pub struct Positions(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    last: Option<Snapshot>,
    is_forbidden: bool,
}

impl Positions {
    pub fn set(&self, snapshot: Snapshot) {
        *self.known() = Known { last: Some(snapshot), is_forbidden: false };
    }

    /// The broker does not let this process read the topic.
    pub fn set_forbidden(&self) {
        self.known().is_forbidden = true;
    }

    pub fn last(&self) -> Option<Snapshot> {
        self.known().last.clone()
    }

    /// Whether the last look at the topic was forbidden.
    pub fn is_forbidden(&self) -> bool {
        self.known().is_forbidden
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_or_no_record_is_finished() {
        let standing = |committed, low, high, has_unread| Standing { committed, low, high, has_unread };
        assert!(!standing(Some(5), 0, 10, true).has_finished(10));
        assert!(standing(Some(10), 0, 12, true).has_finished(10));
        assert!(standing(Some(0), 10, 12, true).has_finished(10), "retention took it");
        assert!(standing(Some(9), 0, 10, false).has_finished(10), "a mark of a transaction");
        assert!(!standing(None, 0, 10, true).has_finished(10));
    }
}
