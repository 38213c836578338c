use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use super::telling::{mend, note_endings, note_missed, tell_next, tell_noted};
use crate::application::ports::{Compose, RepositoryError, StatusChanges, Told};
use crate::domain::Timestamp;
use crate::infrastructure::storage::shared::first_id;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;

#[derive(Clone)]
pub struct SqliteStatusChanges {
    database: SqliteDatabase,
    /// How far the last look at what was missed has come.
    looked_at: Arc<Mutex<Uuid>>,
}

impl SqliteStatusChanges {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database, looked_at: Arc::default() }
    }
}

const HAS_WORK: &str = "
    select exists (select 1 from messaging_status_changes)
        or exists (select 1 from messaging_status_endings)
        or exists (select 1 from messaging_status_tellings where is_next)";

#[async_trait]
impl StatusChanges for SqliteStatusChanges {
    /// There is one writer: no other tells at the same time.
    async fn tell(&self, compose: &Compose<'_>) -> Result<Told, RepositoryError> {
        let has_work: bool =
            sqlx::query_scalar(HAS_WORK).fetch_one(self.database.readers()).await.map_err(translate)?;
        if !has_work {
            return Ok(Told::default());
        }
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let more_ended = note_endings(&mut transaction).await?;
        let (next, more_next) = tell_next(&mut transaction, compose).await?;
        let (noted, more_noted) = tell_noted(&mut transaction, compose).await?;
        transaction.commit().await.map_err(translate)?;
        Ok(Told { messages: next + noted, more: more_ended || more_next || more_noted })
    }

    async fn note_missed(&self, before: Timestamp) -> Result<(), RepositoryError> {
        let after = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        mend(&self.database).await?;
        let last = note_missed(&self.database, (after, first_id(before))).await?;
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = last.unwrap_or_default();
        Ok(())
    }
}
