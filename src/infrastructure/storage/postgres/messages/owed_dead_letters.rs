use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::{OwedDeadLetters, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::message::{Message, MessageId};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::portion::fitting;
use crate::infrastructure::storage::postgres::row::{message_columns, messages};

#[derive(Clone)]
pub struct PgOwedDeadLetters {
    database: PgDatabase,
}

impl PgOwedDeadLetters {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl OwedDeadLetters for PgOwedDeadLetters {
    async fn owed(
        &self,
        node: NodeId,
        adopting: Option<&[NodeId]>,
        held: &[MessageId],
        limit: u32,
    ) -> Result<Vec<Message>, RepositoryError> {
        // A message without a node is owned by none of them either.
        let query = sqlx::query(concat!(
            "
    with owed (id) as (
        select id
          from messaging_messages
         where status = 'failed'
           and dead_lettered_at is null
           and (node_id = $1
                or ($2::uuid[] is not null and (node_id is null or node_id <> all($2))))
           and id <> all($3)
         order by id
         limit $4
    ),",
            fitting!("owed", "found.id"),
            "
    select ",
            message_columns!(),
            "
      from messaging_messages
     where id = any(array(select id from fitting))
     order by id"
        ))
        .bind(node.0)
        .bind(adopting.map(|nodes| nodes.iter().map(|node| node.0).collect::<Vec<Uuid>>()))
        .bind(held.iter().map(|held| held.0).collect::<Vec<Uuid>>())
        .bind(i64::from(limit));
        let rows = self.database.upkeep.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(messages(&rows))
    }

    async fn mark_paid(&self, id: MessageId, try_number: u32, now: Timestamp) -> Result<bool, RepositoryError> {
        // Guarded on the try: after a replay and a new failure it owes another record. `updated_at` stays as it was.
        let query = sqlx::query(
            "update messaging_messages
                set dead_lettered_at = $3
              where id = $1
                and status = 'failed'
                and greatest(try, 0) = $2 -- as it is read
                and dead_lettered_at is null",
        )
        .bind(id.0)
        .bind(i64::from(try_number))
        .bind(now);
        let written = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(written.rows_affected() == 1)
    }

    async fn write_off(&self, gone: &[NodeId], limit: u32, now: Timestamp) -> Result<u64, RepositoryError> {
        let query = sqlx::query(
            "with owed as (
                 select id
                   from messaging_messages as messages
                  where status = 'failed'
                    and dead_lettered_at is null
                    and not exists (select 1
                                      from messaging_nodes as nodes
                                     where nodes.publishes
                                       and nodes.left_at is null
                                       and nodes.id <> all($3))
                  order by id
                  limit $1
                    for update of messages skip locked
             )
             update messaging_messages
                set dead_lettered_at = $2
              where id = any(array(select id from owed))",
        )
        .bind(i64::from(limit))
        .bind(now)
        .bind(gone.iter().map(|gone| gone.0).collect::<Vec<Uuid>>());
        let written = self.database.upkeep.run(async |connection| query.execute(connection).await).await?;
        Ok(written.rows_affected())
    }
}
