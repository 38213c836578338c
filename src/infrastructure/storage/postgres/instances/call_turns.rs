use async_trait::async_trait;

use crate::application::ports::{CallTurns, RepositoryError};
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::get;

pub struct PgCallTurns {
    database: PgDatabase,
}

impl PgCallTurns {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

const MAKE: &str = "
    insert into messaging_call_turns (instance_id)
    values ($1)
        on conflict do nothing";

/// No clock: a turn whose node is gone is free. A wish holds for one refusal of another, because whoever had it may have given up.
const TAKE: &str = "
    update messaging_call_turns as turns
       set taken_by = case when asked.is_free and asked.is_next then $2 else turns.taken_by end,
           node_id = case when asked.is_free and asked.is_next then $3 else turns.node_id end,
           wanted_by = case when asked.is_free then null else coalesce(turns.wanted_by, $2) end
      from (select instance_id,
                   taken_by is null
                       or taken_by = $2
                       or not exists (select
                                        from messaging_nodes as nodes
                                       where nodes.id = messaging_call_turns.node_id) as is_free,
                   wanted_by is null or wanted_by = $2 as is_next
              from messaging_call_turns
             where instance_id = $1
               for update) as asked
     where turns.instance_id = asked.instance_id
    returning asked.is_free and asked.is_next as is_taken";

const GIVE_BACK: &str = "
    update messaging_call_turns
       set taken_by = nullif(taken_by, $2),
           node_id = case when taken_by = $2 then null else node_id end,
           wanted_by = nullif(wanted_by, $2)
     where instance_id = $1
       and (taken_by = $2 or wanted_by = $2)";

#[async_trait]
impl CallTurns for PgCallTurns {
    async fn take(&self, instance: InstanceId, message: MessageId, node: NodeId) -> Result<bool, RepositoryError> {
        let take = async || {
            let query = sqlx::query(TAKE).bind(instance.0).bind(message.0).bind(node.0);
            let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
            row.as_ref().map(|row| get::<bool>(row, "is_taken")).transpose()
        };
        if let Some(is_taken) = take().await? {
            return Ok(is_taken);
        }
        let query = sqlx::query(MAKE).bind(instance.0);
        self.database.run(async |connection| query.execute(connection).await).await?;
        // Deleted together with its instance meanwhile: then there is no turn to have.
        Ok(take().await?.unwrap_or(false))
    }

    async fn give_back(&self, instance: InstanceId, message: MessageId) -> Result<(), RepositoryError> {
        let query = sqlx::query(GIVE_BACK).bind(instance.0).bind(message.0);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }
}
