use async_trait::async_trait;

use super::SqliteDatabase;
use super::error::translate;
use super::row::{get, id, id_list, time_text};
use crate::application::ports::{Duties, NodeRepository, NodeRow, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::node::NodeId;

#[derive(Clone)]
pub struct SqliteNodeRepository {
    database: SqliteDatabase,
}

impl SqliteNodeRepository {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl NodeRepository for SqliteNodeRepository {
    async fn register(
        &self,
        node: NodeId,
        process: NodeId,
        duties: Duties,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        sqlx::query(
            "insert into messaging_nodes (id, heartbeat, publishes, consumes, started_at, process_id)
             values (?1, 0, ?2, ?3, ?4, ?5)
             on conflict do nothing",
        )
        .bind(node.0.hyphenated())
        .bind(duties.publishes)
        .bind(duties.consumes)
        .bind(time_text(now))
        .bind(process.0.hyphenated())
        .execute(self.database.heartbeats())
        .await
        .map_err(translate)?;
        Ok(())
    }

    async fn beat(&self, node: NodeId) -> Result<bool, RepositoryError> {
        // So that it is soon in the log. The heartbeat itself goes on: what was begun is recorded in the file that is open.
        let _ = self.database.is_in_its_place();
        let beaten = sqlx::query(
            "update messaging_nodes
                set heartbeat = heartbeat + 1
              where id = ?1",
        )
        .bind(node.0.hyphenated())
        .execute(self.database.heartbeats())
        .await
        .map_err(translate)?;
        Ok(beaten.rows_affected() == 1)
    }

    async fn all(&self) -> Result<Vec<NodeRow>, RepositoryError> {
        let rows = sqlx::query(
            "select id, coalesce(process_id, id) as process, heartbeat, publishes, consumes, left_at is not null as has_left
               from messaging_nodes
              order by id",
        )
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        let node = |row| {
            Ok(NodeRow {
                id: NodeId(id(row, "id")?),
                process: NodeId(id(row, "process")?),
                heartbeat: get(row, "heartbeat")?,
                duties: Duties { publishes: get(row, "publishes")?, consumes: get(row, "consumes")? },
                departed: get(row, "has_left")?,
            })
        };
        rows.iter().map(node).collect()
    }

    async fn leave(&self, node: NodeId, queued_are_kept: bool, now: Timestamp) -> Result<bool, RepositoryError> {
        // Two subqueries, so that a long backlog that is kept is not scanned; each in the words of the index.
        let left = sqlx::query(
            "with names (id) as (
                 select names.id
                   from messaging_nodes as mine
                   join messaging_nodes as names
                     on coalesce(names.process_id, names.id) = coalesce(mine.process_id, mine.id)
                  where mine.id = ?1
             )
             update messaging_nodes
                set left_at = coalesce(left_at, ?3)
              where id = ?1
                and not exists (
                    select 1
                      from messaging_messages
                     where node_id in (select id from names)
                       and next_attempt_at is null
                       and status in ('pending', 'processing')
                       and status in ('pending', 'queued', 'processing'))
                and (?2 or not exists (
                    select 1
                      from messaging_messages
                     where node_id in (select id from names)
                       and next_attempt_at is null
                       and status = 'queued'
                       and status in ('pending', 'queued', 'processing')))",
        )
        .bind(node.0.hyphenated())
        .bind(queued_are_kept)
        .bind(time_text(now))
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(left.rows_affected() == 1)
    }

    async fn forget(&self, nodes: &[NodeId]) -> Result<u64, RepositoryError> {
        // Two subqueries, so that each has its index.
        let forgotten = sqlx::query(
            "delete from messaging_nodes
              where id in (select value from json_each(?1))
                and not exists (
                    select 1
                      from messaging_messages
                     where node_id = messaging_nodes.id
                       and next_attempt_at is null
                       and status in ('pending', 'queued', 'processing'))
                and (not exists (
                        select 1
                          from messaging_nodes as current
                         where coalesce(current.process_id, current.id) =
                               coalesce(messaging_nodes.process_id, messaging_nodes.id)
                           and current.left_at is null
                           and current.id not in (select value from json_each(?1)))
                     or not exists (
                        select 1
                          from messaging_messages
                         where node_id = messaging_nodes.id
                           and next_attempt_at is not null
                           and status in ('pending', 'queued', 'processing')))
                and (left_at is null or not exists (
                    select 1
                      from messaging_nodes as earlier
                     where earlier.process_id = messaging_nodes.process_id
                       and earlier.left_at is null))",
        )
        .bind(id_list(nodes.iter().map(|node| node.0)))
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(forgotten.rows_affected())
    }

    async fn forget_dead(&self, alive: NodeId) -> Result<(), RepositoryError> {
        sqlx::query(
            "delete from messaging_nodes
              where id <> ?1
                and left_at is null
                and not exists (
                    select 1
                      from messaging_nodes as last
                     where last.process_id = messaging_nodes.process_id
                       and last.left_at is not null)",
        )
        .bind(alive.0.hyphenated())
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(())
    }
}
