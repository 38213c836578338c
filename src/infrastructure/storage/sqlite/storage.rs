use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::SqliteDatabase;
use super::error::translate;
use super::row::time_text;
use crate::application::ports::{RepositoryError, Storage, WeeksStanding};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::KEPT;
use crate::domain::inbound::KEYS_KEPT;
use crate::infrastructure::storage::shared::first_id;

/// Keys deleted by one statement, so that no writer waits long.
const BATCH: u32 = 1_000;

/// Broadcasts deleted by one transaction.
const BROADCASTS: u32 = 100;

/// Messages deleted by one transaction, which also leave eight indexes.
const MESSAGES: u32 = 500;

#[derive(Clone)]
pub struct SqliteStorage {
    database: SqliteDatabase,
    /// Messages deleted since the log said so.
    deleted: Arc<AtomicU64>,
}

/// So many at the most are deleted without a word.
const UNSAID: u64 = 100_000;

impl SqliteStorage {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database, deleted: Arc::default() }
    }

    /// With their counts, and their recipients.
    async fn delete_broadcasts(&self, ended_before: Timestamp) -> Result<usize, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let deleted: Vec<String> = sqlx::query_scalar(
            "delete from messaging_broadcasts
              where id in (select id
                             from messaging_broadcasts
                            where finished_at < ?1
                              and status in ('cancelled', 'finished')
                            order by finished_at
                            limit ?2)
             returning id",
        )
        .bind(time_text(ended_before))
        .bind(BROADCASTS)
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
        for (id, statement) in deleted.iter().flat_map(|id| OF_A_BROADCAST.map(|statement| (id, statement))) {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(deleted.len())
    }

    /// Says in one line what several calls have deleted.
    fn report(&self, deleted: usize, before: Timestamp, is_all: bool) {
        let deleted = deleted as u64;
        let unsaid = self.deleted.fetch_add(deleted, Ordering::Relaxed) + deleted;
        if unsaid > 0 && (is_all || unsaid >= UNSAID) {
            self.deleted.fetch_sub(unsaid, Ordering::Relaxed);
            let accepted_before = before.format("%FT%TZ");
            tracing::info!(messages = unsaid, %accepted_before, "messages older than MESSAGE_RETENTION were deleted");
        }
    }
}

/// What goes with a message.
const OF_A_MESSAGE: [&str; 2] = [
    "delete from messaging_message_attempts where message_id = ?1",
    "delete from messaging_channel_messages where message_id = ?1",
];

/// What goes with a broadcast.
const OF_A_BROADCAST: [&str; 2] = [
    "delete from messaging_broadcast_recipients where broadcast_id = ?1",
    "delete from messaging_broadcast_counts where broadcast_id = ?1",
];

#[async_trait]
impl Storage for SqliteStorage {
    async fn ping(&self) -> Result<(), RepositoryError> {
        self.database.is_in_its_place()?;
        sqlx::query("select 1").execute(self.database.readers()).await.map_err(translate)?;
        Ok(())
    }

    fn troubles(&self) -> Vec<String> {
        Vec::from_iter(self.database.trouble())
    }

    async fn lived_until(&self) -> Result<Option<Timestamp>, RepositoryError> {
        self.database.lived_until().await
    }

    async fn maintain(&self, now: Timestamp) -> Result<(), RepositoryError> {
        // There are no weeks.
        self.database.live_until(now).await
    }

    async fn delete_expired_keys(&self, now: Timestamp) -> Result<bool, RepositoryError> {
        let deleted = sqlx::query(
            "delete from messaging_idempotency_keys
              where (tenant, key) in (
                    select tenant, key
                      from messaging_idempotency_keys
                     where expires_at <= ?1
                     limit ?2)",
        )
        .bind(time_text(now))
        .bind(BATCH)
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        let forgotten = sqlx::query(
            "delete from messaging_received_messages
              where message_id in (
                    select message_id
                      from messaging_received_messages
                     where message_id < ?1
                     order by message_id
                     limit ?2)",
        )
        .bind(first_id(now - KEYS_KEPT).hyphenated())
        .bind(BATCH)
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok([deleted, forgotten].iter().any(|deleted| deleted.rows_affected() == u64::from(BATCH)))
    }

    async fn roll_up(&self) -> Result<(), RepositoryError> {
        // There is one writer, which counts immediately.
        Ok(())
    }

    async fn overhaul(&self, _: Timestamp) -> Result<(), RepositoryError> {
        // What was deleted is written over: there is nothing to be vacuumed.
        Ok(())
    }

    async fn delete_history(&self, retention: Duration, now: Timestamp) -> Result<bool, RepositoryError> {
        let before = now - retention;
        let mut transaction = self.database.begin().await?;
        let deleted: Vec<String> = sqlx::query_scalar(
            "delete from messaging_messages
              where id in (
                    select id
                      from messaging_messages
                     where id < ?1
                       and status not in ('pending', 'queued', 'processing')
                       and (status <> 'failed' or dead_lettered_at is not null)
                     order by id
                     limit ?2)
             returning id",
        )
        .bind(first_id(before).hyphenated())
        .bind(MESSAGES)
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
        for (id, statement) in deleted.iter().flat_map(|id| OF_A_MESSAGE.map(|statement| (id, statement))) {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        let is_all = deleted.len() < MESSAGES as usize;
        self.report(deleted.len(), before, is_all);
        let broadcasts = self.delete_broadcasts(before.min(now - KEPT)).await?;
        Ok(!is_all || broadcasts == BROADCASTS as usize)
    }

    async fn weeks(&self, _: Timestamp) -> Result<Option<WeeksStanding>, RepositoryError> {
        Ok(None)
    }
}
