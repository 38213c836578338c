use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{RepositoryError, Storage, WeeksStanding};
use correio::domain::Timestamp;
use correio::domain::message::{MessageId, MessageStatus};
use correio::infrastructure::storage::shared::first_id;

use super::database::MemoryDatabase;
use super::tables::Tables;

/// Deleted at once, as by the others: what comes between is seen here too.
const BATCH: usize = 1_000;

#[derive(Clone)]
pub struct MemoryStorage {
    database: MemoryDatabase,
}

impl MemoryStorage {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn ping(&self) -> Result<(), RepositoryError> {
        self.database.run_now("storage.ping", |_| Ok(())).await
    }

    async fn maintain(&self, now: Timestamp) -> Result<(), RepositoryError> {
        let delete_some = |tables: &mut Tables| {
            let keys = tables.idempotency_keys.iter().filter(|(_, kept)| kept.expires_at <= now);
            let mut expired: Vec<_> = keys.map(|(place, kept)| (kept.expires_at, place.clone())).collect();
            expired.sort();
            expired.truncate(BATCH);
            for (_, place) in &expired {
                tables.idempotency_keys.remove(place);
                tables.sync();
            }
            expired.len()
        };
        while self.database.run_now("storage.maintain", |tables| Ok(delete_some(tables))).await? == BATCH {}
        Ok(())
    }

    async fn roll_up(&self) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn overhaul(&self, _: Timestamp) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn delete_history(&self, retention: Duration, now: Timestamp) -> Result<bool, RepositoryError> {
        let before = MessageId(first_id(now - retention));
        let delete = move |tables: &mut Tables| {
            let old = tables.messages.range(..before).map(|(_, message)| message);
            let ended = old.filter(|message| {
                !message.status.is_open()
                    && (message.status != MessageStatus::Failed || message.dead_lettered_at.is_some())
            });
            let ended: Vec<MessageId> = ended.map(|message| message.id).take(BATCH).collect();
            for id in &ended {
                tables.forget(*id);
            }
            ended.len() == BATCH
        };
        self.database.run_now("storage.delete_history", |tables| Ok(delete(tables))).await
    }

    async fn weeks(&self, _: Timestamp) -> Result<Option<WeeksStanding>, RepositoryError> {
        Ok(None)
    }
}
