use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::application::ports::{Clock, NodeRepository, NodeRow, RepositoryError};
use crate::domain::node::NodeId;

/// Finds the nodes that are gone: those whose heartbeat stood still for the timeout, by our own monotonic clock, with
/// the database answering throughout. No two clocks are compared.
///
/// What an answer says was true at some moment between the question and the answer. So a heartbeat stands still only
/// since the answer that first read it, and only until the last question whose answer reads it still.
pub struct NodeWatch {
    timeout: Duration,
    seen: HashMap<NodeId, Seen>,
    last_answer: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Seen {
    heartbeat: i64,
    since: Duration,
}

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Sighting {
    pub rows: Vec<NodeRow>,
    pub gone: Vec<NodeId>,
}

impl Sighting {
    /// The nodes that stopped in good order.
    pub fn departed(&self) -> impl Iterator<Item = NodeId> {
        self.rows.iter().filter(|row| row.departed).map(|row| row.id)
    }

    /// The nodes that are not known to have ended.
    pub fn alive(&self) -> impl Iterator<Item = &NodeRow> {
        self.rows.iter().filter(|row| !row.departed && !self.gone.contains(&row.id))
    }

    /// Those of the gone whose process goes on under another name, or stopped in good order under one: what merely waits
    /// under the old name is not lost.
    pub fn succeeded(&self) -> Vec<NodeId> {
        let lives_on: HashSet<NodeId> =
            self.rows.iter().filter(|row| !self.gone.contains(&row.id)).map(|row| row.process).collect();
        let is_gone = |row: &&NodeRow| self.gone.contains(&row.id) && lives_on.contains(&row.process);
        self.rows.iter().filter(is_gone).map(|row| row.id).collect()
    }
}

impl NodeWatch {
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, seen: HashMap::new(), last_answer: None }
    }

    /// Reads the nodes, and judges which are gone.
    ///
    /// # Errors
    /// When the database does not answer. A heartbeat that stood still meanwhile proves nothing: the watch starts again.
    pub async fn look(&mut self, nodes: &dyn NodeRepository, clock: &dyn Clock) -> Result<Sighting, RepositoryError> {
        let asked = clock.monotonic();
        let rows = nodes.all().await.inspect_err(|_| self.start_again())?;
        let gone = self.judge(&rows, asked, clock.monotonic());
        Ok(Sighting { rows, gone })
    }

    fn judge(&mut self, rows: &[NodeRow], asked: Duration, answered: Duration) -> Vec<NodeId> {
        // After a long gap between two answers (we were frozen, or the database was slow) we do not know whether the
        // database answered the other nodes.
        if self.last_answer.is_some_and(|last| answered.saturating_sub(last) > self.timeout / 2) {
            self.start_again();
        }
        self.last_answer = Some(answered);
        self.seen.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let mut gone = Vec::new();
        for row in rows {
            let now = Seen { heartbeat: row.heartbeat, since: answered };
            let seen = self.seen.entry(row.id).or_insert(now);
            if seen.heartbeat != row.heartbeat {
                *seen = now;
            }
            if !row.departed && asked.saturating_sub(seen.since) >= self.timeout {
                gone.push(row.id);
            }
        }
        gone
    }

    fn start_again(&mut self) {
        self.seen.clear();
        self.last_answer = None;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::application::ports::Duties;

    const TIMEOUT: Duration = Duration::from_secs(15);

    fn row(heartbeat: i64) -> NodeRow {
        NodeRow {
            id: NodeId(Uuid::nil()),
            process: NodeId(Uuid::nil()),
            heartbeat,
            duties: Duties::default(),
            departed: false,
        }
    }

    fn gone_at(watch: &mut NodeWatch, heartbeat: i64, seconds: u64) -> bool {
        gone_between(watch, heartbeat, seconds, seconds)
    }

    fn gone_between(watch: &mut NodeWatch, heartbeat: i64, asked: u64, answered: u64) -> bool {
        !watch.judge(&[row(heartbeat)], Duration::from_secs(asked), Duration::from_secs(answered)).is_empty()
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

    /// The heartbeat may have moved right after it was read.
    #[test]
    fn the_time_that_an_answer_takes_does_not_count_at_the_end() {
        let mut watch = NodeWatch::new(TIMEOUT);
        assert!(!gone_at(&mut watch, 7, 0));
        assert!(!gone_at(&mut watch, 7, 7));
        assert!(!gone_between(&mut watch, 7, 14, 14));
        assert!(!gone_between(&mut watch, 7, 14, 20), "it was read when it had stood still for 14 s, perhaps");
        assert!(gone_between(&mut watch, 7, 20, 21));
    }

    /// It may have been read only when the answer was nearly there.
    #[test]
    fn the_time_that_an_answer_takes_does_not_count_at_the_beginning() {
        let mut watch = NodeWatch::new(TIMEOUT);
        assert!(!gone_between(&mut watch, 7, 0, 7));
        assert!(!gone_at(&mut watch, 7, 14));
        assert!(!gone_at(&mut watch, 7, 21), "it may have begun at 7 s");
        assert!(gone_at(&mut watch, 7, 22));
    }

    #[test]
    fn a_name_that_is_gone_has_a_successor_while_its_process_has_another_that_is_not() {
        let [first, second, other] = [1, 2, 3].map(|number| NodeId(Uuid::from_u128(number)));
        let named = |id, process, departed| NodeRow { id, process, departed, ..row(7) };
        let of = |gone: &[NodeId], departed| {
            let rows = vec![named(first, first, false), named(second, first, departed), named(other, other, false)];
            Sighting { rows, gone: gone.to_vec() }.succeeded()
        };
        assert_eq!(of(&[first, other], false), [first]);
        assert_eq!(of(&[first, other], true), [first], "it left in good order, which speaks for all its names");
        assert_eq!(of(&[first, second], false), []);
        assert_eq!(of(&[], false), []);
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
