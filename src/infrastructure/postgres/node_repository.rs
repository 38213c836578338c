use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgConnection;
use tokio::sync::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use super::error::translate;
use super::row::get;
use super::{PgDatabase, STATEMENT_TIMEOUT, no_answer};
use crate::application::ports::{Duties, NodeRepository, NodeRow, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::node::NodeId;

#[derive(Clone)]
pub struct PgNodeRepository {
    database: PgDatabase,
    /// Its own, made when it is needed, and made again after any error.
    connection: Arc<Mutex<Option<PgConnection>>>,
}

impl PgNodeRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self { database, connection: Arc::default() }
    }

    async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, RepositoryError> {
        let mut place = self.connection.lock().await;
        // Out of its place while it works: if we are given up, it is not there for the next.
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => self.database.connect_apart().await?,
        };
        let done = timeout(STATEMENT_TIMEOUT, work(&mut connection)).await.map_err(|_| no_answer())?;
        let done = done.map_err(translate)?;
        *place = Some(connection);
        Ok(done)
    }
}

#[async_trait]
impl NodeRepository for PgNodeRepository {
    async fn register(&self, node: NodeId, duties: Duties, now: Timestamp) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "insert into messaging_nodes (id, heartbeat, publishes, consumes, started_at)
             values ($1, 0, $2, $3, $4)
             on conflict do nothing",
        )
        .bind(node.0)
        .bind(duties.publishes)
        .bind(duties.consumes)
        .bind(now);
        self.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn beat(&self, node: NodeId) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update messaging_nodes
                set heartbeat = heartbeat + 1
              where id = $1",
        )
        .bind(node.0);
        let beaten = self.run(async |connection| query.execute(connection).await).await?;
        Ok(beaten.rows_affected() == 1)
    }

    async fn all(&self) -> Result<Vec<NodeRow>, RepositoryError> {
        let query = sqlx::query(
            "select id, heartbeat, publishes, consumes, left_at is not null as has_left
               from messaging_nodes
              order by id",
        );
        let rows = self.run(async |connection| query.fetch_all(connection).await).await?;
        let node = |row| {
            Ok(NodeRow {
                id: NodeId(get(row, "id")?),
                heartbeat: get(row, "heartbeat")?,
                duties: Duties { publishes: get(row, "publishes")?, consumes: get(row, "consumes")? },
                left: get(row, "has_left")?,
            })
        };
        rows.iter().map(node).collect()
    }

    async fn leave(&self, node: NodeId, queued_are_kept: bool, now: Timestamp) -> Result<bool, RepositoryError> {
        // Two questions, so that a long backlog that is kept is not looked through.
        let query = sqlx::query(
            "update messaging_nodes
                set left_at = coalesce(left_at, $3)
              where id = $1
                and not exists (
                    select
                      from messaging_messages
                     where node_id = $1
                       and next_attempt_at is null
                       and status in ('pending', 'processing'))
                and ($2 or not exists (
                    select
                      from messaging_messages
                     where node_id = $1
                       and next_attempt_at is null
                       and status = 'queued'))",
        )
        .bind(node.0)
        .bind(queued_are_kept)
        .bind(now);
        let left = self.run(async |connection| query.execute(connection).await).await?;
        Ok(left.rows_affected() == 1)
    }

    async fn forget(&self, nodes: &[NodeId]) -> Result<(), RepositoryError> {
        // Two questions, so that each has its index.
        let query = sqlx::query(
            "delete from messaging_nodes
              where id = any($1)
                and not exists (
                    select
                      from messaging_messages
                     where node_id = messaging_nodes.id
                       and next_attempt_at is null
                       and status in ('pending', 'queued', 'processing'))
                and not exists (
                    select
                      from messaging_messages
                     where node_id = messaging_nodes.id
                       and next_attempt_at is not null
                       and status in ('pending', 'queued', 'processing'))",
        )
        .bind(nodes.iter().map(|node| node.0).collect::<Vec<Uuid>>());
        self.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn forget_dead(&self, alive: NodeId) -> Result<(), RepositoryError> {
        let query = sqlx::query("delete from messaging_nodes where id <> $1 and left_at is null").bind(alive.0);
        self.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }
}
