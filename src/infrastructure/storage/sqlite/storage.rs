use async_trait::async_trait;

use super::SqliteDatabase;
use super::error::translate;
use super::row::time_text;
use crate::application::ports::{RepositoryError, Storage};
use crate::domain::Timestamp;

/// Keys deleted by one statement, so that no writer waits long.
const BATCH: u32 = 1_000;

#[derive(Clone)]
pub struct SqliteStorage {
    database: SqliteDatabase,
}

impl SqliteStorage {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn ping(&self) -> Result<(), RepositoryError> {
        sqlx::query("select 1").execute(self.database.readers()).await.map_err(translate)?;
        Ok(())
    }

    async fn maintain(&self, now: Timestamp) -> Result<(), RepositoryError> {
        loop {
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
            if deleted.rows_affected() < u64::from(BATCH) {
                return Ok(());
            }
        }
    }
}
