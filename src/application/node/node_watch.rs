use std::collections::HashMap;
use std::time::Duration;

use crate::application::ports::NodeRow;
use crate::domain::node::NodeId;

/// Finds the nodes that are gone: those whose heartbeat stood still for the timeout, by our own monotonic clock, with
/// the database answering throughout. No two clocks are compared.
pub struct NodeWatch {
    timeout: Duration,
    seen: HashMap<NodeId, Seen>,
    last_look: Option<Duration>,
}

struct Seen {
    heartbeat: i64,
    since: Duration,
}

impl NodeWatch {
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, seen: HashMap::new(), last_look: None }
    }

    /// Looks at the nodes, at `now`; returns those that are gone.
    pub fn look(&mut self, rows: &[NodeRow], now: Duration) -> Vec<NodeId> {
        // After a long gap between two looks (we were frozen, or the database was slow) we do not know whether the
        // database answered the other nodes.
        if self.last_look.is_some_and(|last| now.saturating_sub(last) > self.timeout / 2) {
            self.start_again();
        }
        self.last_look = Some(now);
        self.seen.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let mut gone = Vec::new();
        for row in rows {
            let seen = self.seen.entry(row.id).or_insert(Seen { heartbeat: row.heartbeat, since: now });
            if seen.heartbeat != row.heartbeat {
                *seen = Seen { heartbeat: row.heartbeat, since: now };
            }
            if !row.departed && now.saturating_sub(seen.since) >= self.timeout {
                gone.push(row.id);
            }
        }
        gone
    }

    /// The database did not answer: a heartbeat that stood still meanwhile proves nothing.
    pub fn start_again(&mut self) {
        self.seen.clear();
        self.last_look = None;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::application::ports::Duties;

    const TIMEOUT: Duration = Duration::from_secs(15);

    fn row(heartbeat: i64) -> NodeRow {
        NodeRow { id: NodeId(Uuid::nil()), heartbeat, duties: Duties::default(), departed: false }
    }

    fn gone_at(watch: &mut NodeWatch, heartbeat: i64, seconds: u64) -> bool {
        !watch.look(&[row(heartbeat)], Duration::from_secs(seconds)).is_empty()
    }

    #[test]
    fn a_heartbeat_that_stands_still_for_the_timeout_is_gone_and_not_before() {
        let mut watch = NodeWatch::new(TIMEOUT);
        let looks: Vec<bool> = (0..=18).step_by(3).map(|second| gone_at(&mut watch, 7, second)).collect();
        assert_eq!(looks, [false, false, false, false, false, true, true]);
    }

    #[test]
    fn one_that_moves_is_alive() {
        let mut watch = NodeWatch::new(TIMEOUT);
        assert!((0..100).all(|look| !gone_at(&mut watch, i64::try_from(look / 4).unwrap(), look * 3)));
    }

    #[test]
    fn an_outage_of_the_database_starts_the_watch_again() {
        let mut watch = NodeWatch::new(TIMEOUT);
        assert!(!gone_at(&mut watch, 7, 0));
        watch.start_again();
        assert!(!gone_at(&mut watch, 7, 16));
        assert!(!gone_at(&mut watch, 7, 22));
        assert!(!gone_at(&mut watch, 7, 28));
        assert!(gone_at(&mut watch, 7, 31));
    }

    #[test]
    fn a_watcher_that_was_frozen_itself_starts_again() {
        let mut watch = NodeWatch::new(TIMEOUT);
        assert!(!gone_at(&mut watch, 7, 0));
        assert!(!gone_at(&mut watch, 7, 60));
    }
}
