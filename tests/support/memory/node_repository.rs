use async_trait::async_trait;
use correio::application::ports::{Duties, NodeRepository, NodeRow, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::node::NodeId;

use super::database::MemoryDatabase;
use super::tables::{Node, Tables};

#[derive(Clone)]
pub struct MemoryNodeRepository {
    database: MemoryDatabase,
}

impl MemoryNodeRepository {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl NodeRepository for MemoryNodeRepository {
    async fn register(
        &self,
        node: NodeId,
        process: NodeId,
        duties: Duties,
        _now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let register = move |tables: &mut Tables| {
            tables.nodes.entry(node).or_insert(Node { process, heartbeat: 0, duties, left_at: None });
            tables.sync();
            Ok(())
        };
        self.database.run("nodes.register", register).await
    }

    async fn beat(&self, node: NodeId) -> Result<bool, RepositoryError> {
        let beat = move |tables: &mut Tables| match tables.nodes.get_mut(&node) {
            Some(node) => {
                node.heartbeat += 1;
                tables.sync();
                true
            }
            None => false,
        };
        self.database.run("nodes.beat", move |tables| Ok(beat(tables))).await
    }

    async fn all(&self) -> Result<Vec<NodeRow>, RepositoryError> {
        let row = |(id, node): (&NodeId, &Node)| NodeRow {
            id: *id,
            process: node.process,
            heartbeat: node.heartbeat,
            duties: node.duties,
            departed: node.left_at.is_some(),
        };
        self.database.run("nodes.all", move |tables| Ok(tables.nodes.iter().map(row).collect())).await
    }

    async fn leave(&self, node: NodeId, queued_are_kept: bool, now: Timestamp) -> Result<bool, RepositoryError> {
        let leave = move |tables: &mut Tables| {
            let Some(process) = tables.nodes.get(&node).map(|node| node.process) else { return false };
            let holds_it = |message: &Message| {
                let is_kept = queued_are_kept && message.status == MessageStatus::Queued;
                let is_its =
                    message.node.and_then(|owner| tables.nodes.get(&owner)).is_some_and(|it| it.process == process);
                is_its && message.next_attempt_at.is_none() && !is_kept
            };
            if tables.open().any(holds_it) {
                return false;
            }
            let Some(node) = tables.nodes.get_mut(&node) else { return false };
            node.left_at.get_or_insert(now);
            tables.sync();
            true
        };
        self.database.run("nodes.leave", move |tables| Ok(leave(tables))).await
    }

    async fn forget(&self, nodes: &[NodeId]) -> Result<u64, RepositoryError> {
        let nodes = nodes.to_vec();
        let forget = move |tables: &mut Tables| {
            // As in SQL, all are judged by what is there before any of them goes.
            let mut ended = nodes.clone();
            ended.retain(|node| !tables.speaks_for_another(*node) && !tables.keeps(*node, &nodes));
            let mut forgotten = 0;
            for node in ended {
                if tables.nodes.remove(&node).is_some() {
                    tables.sync();
                    forgotten += 1;
                }
            }
            Ok(forgotten)
        };
        self.database.run("nodes.forget", forget).await
    }

    async fn forget_dead(&self, alive: NodeId) -> Result<(), RepositoryError> {
        let forget = move |tables: &mut Tables| {
            let left: Vec<NodeId> =
                tables.nodes.values().filter(|node| node.left_at.is_some()).map(|node| node.process).collect();
            tables.nodes.retain(|id, node| *id == alive || left.contains(&node.process));
            tables.sync();
            Ok(())
        };
        self.database.run("nodes.forget_dead", forget).await
    }
}
