use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::node::NodeId;

/// The processes that share a database. `register`, `beat` and `all` use a connection of their own, so that neither a
/// heartbeat nor the watch over those of others ever queues behind other work.
#[async_trait]
pub trait NodeRepository: Send + Sync {
    /// Adds a node with heartbeat 0; does nothing if it is there. `process`: the first name of the process whose name it
    /// is, the node's own when it is the first.
    async fn register(
        &self,
        node: NodeId,
        process: NodeId,
        duties: Duties,
        now: Timestamp,
    ) -> Result<(), RepositoryError>;

    /// Raises the node's heartbeat by one. False when it has no row.
    async fn beat(&self, node: NodeId) -> Result<bool, RepositoryError>;

    async fn all(&self) -> Result<Vec<NodeRow>, RepositoryError>;

    /// Records that the node's process has stopped in good order, but only if every open message that any of its names owns
    /// has a `next_attempt_at` or, with `queued_are_kept`, is `queued`; checked and written in one statement. False when it
    /// still owns others.
    async fn leave(&self, node: NodeId, queued_are_kept: bool, now: Timestamp) -> Result<bool, RepositoryError>;

    /// Deletes those of `nodes` that own nothing any more, and returns how many: no open message without a
    /// `next_attempt_at` names them. What has one is due then, whoever owned it; it keeps a name only while another of the
    /// same process is there that is not among `nodes` and has not left: that process times it anew when its clock is set.
    /// One that stopped in good order stays while there is an earlier name of its process: it speaks for that one, too.
    async fn forget(&self, nodes: &[NodeId]) -> Result<u64, RepositoryError>;

    /// Deletes all nodes but this one and the names of processes that stopped in good order: for an installation that
    /// only one process can use at a time, where every other must have died.
    async fn forget_dead(&self, alive: NodeId) -> Result<(), RepositoryError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub id: NodeId,
    /// The first name of its process.
    pub process: NodeId,
    pub heartbeat: i64,
    pub duties: Duties,
    /// It stopped in good order.
    pub departed: bool,
}

/// What a node does besides accepting messages and minding the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duties {
    /// It publishes messages and dead letters to a broker.
    pub publishes: bool,
    /// It delivers what is in the broker.
    pub consumes: bool,
}
