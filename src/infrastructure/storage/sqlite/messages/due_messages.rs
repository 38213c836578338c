use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::changes::{relaying, retiming, turns};
use crate::application::ports::{
    DueMessages, Forgotten, Recall, RepositoryError, Retimed, Retiming, Take, Turns, TurnsTaken,
};
use crate::domain::Timestamp;
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::shared::Flaws;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{count_of, id, id_list, parsed_option, status};

#[derive(Clone)]
pub struct SqliteDueMessages {
    database: SqliteDatabase,
}

impl SqliteDueMessages {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl DueMessages for SqliteDueMessages {
    async fn take(&self, take: &Take) -> Result<Vec<Message>, RepositoryError> {
        relaying::take(&self.database, take).await
    }

    async fn take_in_turns(&self, turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
        turns::take_in_turns(&self.database, turns).await
    }

    async fn in_delivery(&self, nodes: &[NodeId]) -> Result<Vec<Guard>, RepositoryError> {
        // The index serves conditions that are written as its own are; `+id`: not in order of the primary key.
        let rows = sqlx::query(
            "select id, status, node_id, try
               from messaging_messages
              where node_id in (select value from json_each(?1))
                and status in ('pending', 'processing')
                and status in ('pending', 'queued', 'processing')
                and next_attempt_at is null
              order by +id",
        )
        .bind(id_list(nodes.iter().map(|node| node.0)))
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        let named = |row| {
            guard(row)
                .inspect_err(|error| tracing::error!(%error, "a message's row cannot be read and is skipped"))
                .ok()
        };
        Ok(rows.iter().filter_map(named).collect())
    }

    async fn give_back(&self, forgotten: &[Forgotten], now: Timestamp) -> Result<u64, RepositoryError> {
        relaying::give_back(&self.database, forgotten, now).await
    }

    async fn make_due(&self, messages: &[(MessageId, NodeId)], now: Timestamp) -> Result<u64, RepositoryError> {
        relaying::make_due(&self.database, messages, now).await
    }

    async fn retime(&self, retiming: &Retiming) -> Result<Retimed, RepositoryError> {
        retiming::retime(&self.database, retiming).await
    }

    async fn recall(&self, recall: &Recall) -> Result<Retimed, RepositoryError> {
        retiming::recall(&self.database, recall).await
    }

    async fn call_in(&self, now: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        retiming::call_in(&self.database, now, limit).await
    }
}

fn guard(row: &SqliteRow) -> Result<Guard, RepositoryError> {
    Ok(Guard {
        id: MessageId(id(row, "id")?),
        status: status(row, "status")?,
        node: parsed_option(row, "node_id", |text| text.parse().ok())?.map(NodeId),
        try_number: count_of(row, "try", &mut Flaws::default()),
    })
}
