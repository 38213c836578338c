use async_trait::async_trait;

use crate::application::ports::{OwedDeadLetters, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::message::{Message, MessageId};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::portion::fitting;
use crate::infrastructure::storage::sqlite::row::{get, id_list, message_columns, messages, time_text};

#[derive(Clone)]
pub struct SqliteOwedDeadLetters {
    database: SqliteDatabase,
}

impl SqliteOwedDeadLetters {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl OwedDeadLetters for SqliteOwedDeadLetters {
    async fn owed(
        &self,
        node: NodeId,
        adopting: Option<&[NodeId]>,
        held: &[MessageId],
        limit: u32,
    ) -> Result<Vec<Message>, RepositoryError> {
        // A message without a node is owned by none of them either.
        let rows = sqlx::query(concat!(
            "
    with owed (id) as materialized (
        select id
          from messaging_messages indexed by messaging_messages_owed
         where status = 'failed'
           and dead_lettered_at is null
           and (node_id = ?1
                or (?2 is not null and (node_id is null or node_id not in (select value from json_each(?2)))))
           and id not in (select value from json_each(?3))
         order by id
         limit ?4
    ),",
            fitting!("owed", "found.id"),
            "
    select ",
            message_columns!(),
            "
      from messaging_messages
     where id in (select id from fitting)
     order by id"
        ))
        .bind(node.0.hyphenated())
        .bind(adopting.map(|nodes| id_list(nodes.iter().map(|node| node.0))))
        .bind(id_list(held.iter().map(|held| held.0)))
        .bind(limit)
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        Ok(messages(&rows))
    }

    async fn mark_paid(&self, id: MessageId, try_number: u32, now: Timestamp) -> Result<bool, RepositoryError> {
        // Guarded on the try: after a replay and a new failure it owes another record. `updated_at` stays as it was.
        let written = sqlx::query(
            "update messaging_messages
                set dead_lettered_at = ?3
              where id = ?1
                and status = 'failed'
                and min(max(try, 0), 2147483647) = ?2 -- as it is read
                and dead_lettered_at is null",
        )
        .bind(id.0.hyphenated())
        .bind(try_number)
        .bind(time_text(now))
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(written.rows_affected() == 1)
    }

    async fn write_off(&self, gone: &[NodeId], limit: u32, now: Timestamp) -> Result<u64, RepositoryError> {
        let written = sqlx::query(
            "update messaging_messages
                set dead_lettered_at = ?2
              where id in (
                    select id
                      from messaging_messages indexed by messaging_messages_owed
                     where status = 'failed'
                       and dead_lettered_at is null
                       and not exists (select 1
                                         from messaging_nodes as nodes
                                        where nodes.publishes
                                          and nodes.left_at is null
                                          and nodes.id not in (select value from json_each(?3)))
                     order by id
                     limit ?1)",
        )
        .bind(limit)
        .bind(time_text(now))
        .bind(id_list(gone.iter().map(|gone| gone.0)))
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(written.rows_affected())
    }

    async fn count(&self, most: u32) -> Result<u64, RepositoryError> {
        let row = sqlx::query(
            "select count(*) as count
               from (select 1
                       from messaging_messages indexed by messaging_messages_owed
                      where status = 'failed'
                        and dead_lettered_at is null
                      limit ?1)",
        )
        .bind(most)
        .fetch_one(self.database.readers())
        .await
        .map_err(translate)?;
        get(&row, "count")
    }
}
