use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::telling::{mend, note_endings, note_missed, tell_next, tell_noted};
use crate::application::ports::{Compose, RepositoryError, StatusChanges, Told};
use crate::domain::Timestamp;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::shared::first_id;

#[derive(Clone)]
pub struct PgStatusChanges {
    database: PgDatabase,
    /// How far the last look at what was missed has come.
    looked_at: Arc<Mutex<Uuid>>,
}

impl PgStatusChanges {
    pub fn new(database: PgDatabase) -> Self {
        Self { database, looked_at: Arc::default() }
    }
}

/// Of processes one tells: so the changes of a message are told in their order. The others find nothing to do.
const IS_ALONE: &str = "select pg_try_advisory_xact_lock(hashtext('correio status webhooks'))";

const HAS_WORK: &str = "
    select exists (select from messaging_status_changes)
        or exists (select from messaging_status_endings)
        or exists (select from messaging_status_tellings where is_next)";

#[async_trait]
impl StatusChanges for PgStatusChanges {
    async fn tell(&self, compose: &Compose<'_>) -> Result<Told, RepositoryError> {
        let tell = async |connection: &mut PgConnection| {
            if !sqlx::query_scalar::<_, bool>(HAS_WORK).fetch_one(&mut *connection).await? {
                return Ok(Told::default());
            }
            // Each statement sees what was committed before it.
            let mut transaction = connection.begin_with("begin isolation level read committed").await?;
            if !sqlx::query_scalar::<_, bool>(IS_ALONE).fetch_one(&mut *transaction).await? {
                transaction.rollback().await?;
                return Ok(Told::default());
            }
            let more_ended = note_endings(&mut transaction).await?;
            let (next, more_next) = tell_next(&mut transaction, compose).await?;
            let (noted, more_noted) = tell_noted(&mut transaction, compose).await?;
            transaction.commit().await?;
            Ok(Told { messages: next + noted, more: more_ended || more_next || more_noted })
        };
        self.database.run(tell).await
    }

    async fn note_missed(&self, before: Timestamp) -> Result<(), RepositoryError> {
        let after = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let bounds = (after, first_id(before));
        let look = async |connection: &mut PgConnection| {
            mend(connection).await?;
            note_missed(connection, bounds).await
        };
        let last = self.database.run(look).await?;
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = last.unwrap_or_default();
        Ok(())
    }
}
