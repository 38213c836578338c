use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::changes::{giving_back, relaying};
use crate::application::ports::{
    DueMessages, Forgotten, Recall, RepositoryError, Retimed, Retiming, Take, Turns, TurnsTaken,
};
use crate::domain::Timestamp;
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{count_of, get, status};
use crate::infrastructure::storage::shared::Flaws;

#[derive(Clone)]
pub struct PgDueMessages {
    database: PgDatabase,
}

impl PgDueMessages {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl DueMessages for PgDueMessages {
    async fn take(&self, take: &Take) -> Result<Vec<Message>, RepositoryError> {
        relaying::take(&self.database, take).await
    }

    async fn take_in_turns(&self, turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
        relaying::take_in_turns(&self.database, turns).await
    }

    async fn in_delivery(&self, nodes: &[NodeId]) -> Result<Vec<Guard>, RepositoryError> {
        let query = sqlx::query(AssertSqlSafe(self.database.floor.name_in(
            "select id, status, node_id, try
               from messaging_messages
              where id >= :floor
                and node_id = any($1)
                and status in ('pending', 'processing')
                and next_attempt_at is null
              order by id",
        )))
        .bind(nodes.iter().map(|node| node.0).collect::<Vec<Uuid>>());
        let rows = self.database.upkeep.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(guard).collect()
    }

    async fn give_back(&self, forgotten: &[Forgotten], now: Timestamp) -> Result<u64, RepositoryError> {
        giving_back::give_back(&self.database, forgotten, now).await
    }

    async fn make_due(&self, messages: &[(MessageId, NodeId)], now: Timestamp) -> Result<u64, RepositoryError> {
        giving_back::make_due(&self.database, messages, now).await
    }

    async fn retime(&self, retiming: &Retiming) -> Result<Retimed, RepositoryError> {
        giving_back::retime(&self.database, retiming).await
    }

    async fn recall(&self, recall: &Recall) -> Result<Retimed, RepositoryError> {
        giving_back::recall(&self.database, recall).await
    }

    async fn call_in(&self, now: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        giving_back::call_in(&self.database, now, limit).await
    }
}

fn guard(row: &PgRow) -> Result<Guard, RepositoryError> {
    Ok(Guard {
        id: MessageId(get(row, "id")?),
        status: status(row, "status")?,
        node: get::<Option<Uuid>>(row, "node_id")?.map(NodeId),
        try_number: count_of(row, "try", &mut Flaws::default()),
    })
}
