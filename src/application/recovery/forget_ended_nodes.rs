use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::application::Stop;
use crate::application::node::watch_nodes::Sightings;
use crate::application::ports::{Clock, NodeRepository, RepositoryError};
use crate::application::service::Repeated;
use crate::domain::node::NodeId;

/// Deletes the rows of nodes that have ended and own nothing any more.
pub struct ForgetEndedNodes {
    nodes: Arc<dyn NodeRepository>,
    sightings: Sightings,
    clock: Arc<dyn Clock>,
    /// Those that were asked for and stayed.
    kept: HashSet<NodeId>,
    pause: Duration,
    not_before: Duration,
}

/// Pause between two looks at which nodes have ended, and the first between two attempts at forgetting the same ones: what
/// they own is most often taken by then.
const INTERVAL: Duration = Duration::from_secs(5);

/// Longest pause between two attempts at forgetting the same ones. What a dead broker keeps may own something for weeks.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

impl ForgetEndedNodes {
    pub fn new(nodes: Arc<dyn NodeRepository>, sightings: Sightings, clock: Arc<dyn Clock>) -> Self {
        Self { nodes, sightings, clock, kept: HashSet::new(), pause: INTERVAL, not_before: Duration::ZERO }
    }
}

#[async_trait]
impl Repeated for ForgetEndedNodes {
    fn name(&self) -> &'static str {
        "ended nodes"
    }

    fn purpose(&self) -> &'static str {
        "forget the nodes that have ended"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        let Some(sighting) = self.sightings.last() else { return Ok(()) };
        let ended: Vec<NodeId> = sighting.gone.iter().copied().chain(sighting.departed()).collect();
        let is_known = ended.iter().all(|node| self.kept.contains(node));
        let now = self.clock.monotonic();
        if is_known && (ended.is_empty() || now < self.not_before) {
            return Ok(());
        }
        let asked = self.nodes.forget(&ended).await;
        let has_worked = asked.as_ref().is_ok_and(|forgotten| *forgotten > 0);
        self.pause = if is_known && !has_worked { (2 * self.pause).min(LONGEST_PAUSE) } else { INTERVAL };
        self.not_before = now + self.pause;
        self.kept = ended.into_iter().collect();
        match asked {
            // An operator works on a week that is looked at.
            Err(RepositoryError::Contested(_)) => Ok(()),
            asked => asked.map(|_| ()),
        }
    }
}
