use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::connections::PgDatabase;
use super::row::get;
use crate::application::ports::{Duties, NodeRepository, NodeRow, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::node::NodeId;

#[derive(Clone)]
pub struct PgNodeRepository {
    database: PgDatabase,
}

impl PgNodeRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl NodeRepository for PgNodeRepository {
    async fn register(
        &self,
        node: NodeId,
        process: NodeId,
        duties: Duties,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "insert into messaging_nodes (id, heartbeat, publishes, consumes, started_at, process_id)
             values ($1, 0, $2, $3, $4, $5)
             on conflict do nothing",
        )
        .bind(node.0)
        .bind(duties.publishes)
        .bind(duties.consumes)
        .bind(now)
        .bind(process.0);
        self.database.heartbeats.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn beat(&self, node: NodeId) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update messaging_nodes
                set heartbeat = heartbeat + 1
              where id = $1",
        )
        .bind(node.0);
        let beaten = self.database.heartbeats.run(async |connection| query.execute(connection).await).await?;
        Ok(beaten.rows_affected() == 1)
    }

    async fn all(&self) -> Result<Vec<NodeRow>, RepositoryError> {
        let query = sqlx::query(
            "select id, coalesce(process_id, id) as process, heartbeat, publishes, consumes, left_at is not null as has_left
               from messaging_nodes
              order by id",
        );
        let rows = self.database.watch.run(async |connection| query.fetch_all(connection).await).await?;
        let node = |row| {
            Ok(NodeRow {
                id: NodeId(get(row, "id")?),
                process: NodeId(get(row, "process")?),
                heartbeat: get(row, "heartbeat")?,
                duties: Duties { publishes: get(row, "publishes")?, consumes: get(row, "consumes")? },
                departed: get(row, "has_left")?,
            })
        };
        rows.iter().map(node).collect()
    }

    async fn leave(&self, node: NodeId, queued_are_kept: bool, now: Timestamp) -> Result<bool, RepositoryError> {
        // Two subqueries, so that a long backlog that is kept is not scanned.
        let query = sqlx::query(
            "with names as (
                 select array(
                     select names.id
                       from messaging_nodes as mine
                       join messaging_nodes as names
                         on coalesce(names.process_id, names.id) = coalesce(mine.process_id, mine.id)
                      where mine.id = $1) as ids
             )
             update messaging_nodes
                set left_at = coalesce(left_at, $3)
              where id = $1
                and not exists (
                    select
                      from messaging_messages
                     where node_id = any((select ids from names)::uuid[])
                       and next_attempt_at is null
                       and status in ('pending', 'processing'))
                and ($2 or not exists (
                    select
                      from messaging_messages
                     where node_id = any((select ids from names)::uuid[])
                       and next_attempt_at is null
                       and status = 'queued'))",
        )
        .bind(node.0)
        .bind(queued_are_kept)
        .bind(now);
        let left = self.database.upkeep.run(async |connection| query.execute(connection).await).await?;
        Ok(left.rows_affected() == 1)
    }

    async fn forget(&self, nodes: &[NodeId]) -> Result<u64, RepositoryError> {
        // Two subqueries, so that each has its index.
        let query = sqlx::query(AssertSqlSafe(self.database.floor.name_in(
            "delete from messaging_nodes
              where id = any($1)
                and not exists (
                    select
                      from messaging_messages
                     where id >= :floor
                       and node_id = messaging_nodes.id
                       and next_attempt_at is null
                       and status in ('pending', 'queued', 'processing'))
                and (not exists (
                        select
                          from messaging_nodes as current
                         where coalesce(current.process_id, current.id) =
                               coalesce(messaging_nodes.process_id, messaging_nodes.id)
                           and current.left_at is null
                           and current.id <> all($1))
                     or not exists (
                        select
                          from messaging_messages
                         where id >= :floor
                           and node_id = messaging_nodes.id
                           and next_attempt_at is not null
                           and status in ('pending', 'queued', 'processing')))
                and (left_at is null or not exists (
                    select
                      from messaging_nodes as earlier
                     where earlier.process_id = messaging_nodes.process_id
                       and earlier.left_at is null))",
        )))
        .bind(nodes.iter().map(|node| node.0).collect::<Vec<Uuid>>());
        let forgotten = self.database.upkeep.run(async |connection| query.execute(connection).await).await?;
        Ok(forgotten.rows_affected())
    }

    async fn forget_dead(&self, alive: NodeId) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "delete from messaging_nodes
              where id <> $1
                and left_at is null
                and not exists (
                    select
                      from messaging_nodes as last
                     where last.process_id = messaging_nodes.process_id
                       and last.left_at is not null)",
        )
        .bind(alive.0);
        self.database.relay.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }
}
