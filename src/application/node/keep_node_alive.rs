use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::warn;

use super::node_identity::NodeIdentity;
use super::unreconciled::Unreconciled;
use crate::application::Stop;
use crate::application::ports::{Clock, DueMessages, Duties, Ids, NodeRepository, RepositoryError};
use crate::application::service::Repeated;
use crate::domain::node::NodeId;

/// Writes this node's heartbeat, and gives the process a new name when no heartbeat could be written for too long.
#[derive(Clone)]
pub struct KeepNodeAlive {
    pub nodes: Arc<dyn NodeRepository>,
    pub due: Arc<dyn DueMessages>,
    pub identity: NodeIdentity,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub unreconciled: Unreconciled,
    pub duties: Duties,
}

impl KeepNodeAlive {
    /// Registers the process as a new node.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn register(&self) -> Result<NodeId, RepositoryError> {
        let id = NodeId(self.ids.next());
        let sent = self.clock.monotonic();
        let process = self.identity.process().unwrap_or(id);
        self.nodes.register(id, process, self.duties, self.clock.now()).await?;
        self.identity.rename(id, sent);
        Ok(id)
    }

    /// One heartbeat, or a new name if the current one is no longer good.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn beat(&self) -> Result<(), RepositoryError> {
        if let Some(id) = self.identity.current() {
            let sent = self.clock.monotonic();
            let has_row = self.nodes.beat(id).await?;
            self.identity.beaten(id, sent);
            // Without a row, other nodes take what the name owns: as bad as a name that went stale while we wrote.
            if has_row && self.identity.current() == Some(id) {
                return Ok(());
            }
        }
        let former = self.identity.last();
        let id = self.register().await?;
        warn!(node = %id, former = ?former.map(|id| id.0), "the heartbeat could not be written for too long; the process goes on as a new node");
        Ok(())
    }

    /// Records that this node stops in good order, if it does. `queued_are_kept`: everything that it handed over waits
    /// in a broker that outlives the process.
    pub async fn leave(&self, queued_are_kept: bool) {
        let Some(id) = self.identity.last() else { return };
        let reconciled = self.unreconciled.reconcile(self.due.as_ref(), self.clock.as_ref()).await;
        let is_reconciled = reconciled.is_ok() && self.unreconciled.is_empty();
        match self.nodes.leave(id, queued_are_kept && is_reconciled, self.clock.now()).await {
            Ok(true) => {}
            Ok(false) => warn!(node = %id, "stopped before everything was delivered; another node takes it over"),
            Err(error) => {
                warn!(node = %id, %error, "stopped; the departure could not be recorded, so that other nodes wait for NODE_TIMEOUT")
            }
        }
    }
}

#[async_trait]
impl Repeated for KeepNodeAlive {
    fn name(&self) -> &'static str {
        "heartbeat"
    }

    fn purpose(&self) -> &'static str {
        "write the heartbeat"
    }

    /// Five beats have to fail before other nodes may consider this one gone.
    fn interval(&self) -> Duration {
        self.identity.timeout() / 5
    }

    fn interval_after_failure(&self) -> Duration {
        self.interval().min(Duration::from_millis(500))
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        self.beat().await
    }
}
