use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{RepositoryError, Storage, WeeksStanding};
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::infrastructure::storage::shared::first_id;

use super::database::MemoryDatabase;
use super::tables::{Bug, Tables};

const DELETE_HISTORY: &str = "storage.delete_history";

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

    async fn maintain(&self, _: Timestamp) -> Result<(), RepositoryError> {
        self.database.run_now("storage.maintain", |_| Ok(())).await
    }

    async fn delete_expired_keys(&self, now: Timestamp) -> Result<bool, RepositoryError> {
        let delete_some = |tables: &mut Tables| {
            let keys = tables.idempotency_keys.iter().filter(|(_, kept)| kept.expires_at <= now);
            let mut expired: Vec<_> = keys.map(|(place, kept)| (kept.expires_at, place.clone())).collect();
            expired.sort();
            expired.truncate(BATCH);
            for (_, place) in &expired {
                tables.idempotency_keys.remove(place);
                tables.sync();
            }
            let before = MessageId(first_id(now - correio::domain::inbound::KEYS_KEPT));
            tables.received.retain(|_, message| *message >= before);
            expired.len()
        };
        self.database.run_now("storage.delete_expired_keys", |tables| Ok(delete_some(tables) == BATCH)).await
    }

    async fn roll_up(&self) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn overhaul(&self, _: Timestamp) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn delete_history(&self, retention: Duration, now: Timestamp) -> Result<bool, RepositoryError> {
        let before = MessageId(first_id(now - retention));
        if self.database.has(Bug::DeletesWhatItLookedAt) {
            let old = self.database.run_now(DELETE_HISTORY, |tables| Ok(ended(tables, before))).await?;
            return self.database.run_now(DELETE_HISTORY, |tables| Ok(forget(tables, &old))).await;
        }
        let ended_before = now - retention;
        let delete = |tables: &mut Tables| {
            let is_old = |at: Timestamp| at < ended_before;
            tables.broadcasts.retain(|_, row| !row.broadcast.finished_at.is_some_and(is_old));
            let old = ended(tables, before);
            forget(tables, &old)
        };
        self.database.run_now(DELETE_HISTORY, |tables| Ok(delete(tables))).await
    }

    async fn weeks(&self, _: Timestamp) -> Result<Option<WeeksStanding>, RepositoryError> {
        Ok(None)
    }
}

/// Some that are older, and neither open nor owed.
fn ended(tables: &Tables, before: MessageId) -> Vec<MessageId> {
    let old = tables.messages.range(..before).map(|(_, message)| message);
    let is_at_its_end = |message: &&Message| {
        !message.status.is_open() && (message.status != MessageStatus::Failed || message.dead_lettered_at.is_some())
    };
    old.filter(is_at_its_end).map(|message| message.id).take(BATCH).collect()
}

/// Whether there may be more.
fn forget(tables: &mut Tables, messages: &[MessageId]) -> bool {
    for id in messages {
        tables.forget(*id);
    }
    messages.len() == BATCH
}
