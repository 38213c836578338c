//! Putting messages off whose instance may not be called now.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::application::ports::RepositoryError;
use crate::domain::message::deferral::{Deferral, Deferred, MAX_DEFERRALS};
use crate::infrastructure::storage::shared::{Batch, Flaws};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{count_of, time_text};

pub struct Deferrals {
    database: SqliteDatabase,
}

impl Deferrals {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

/// What is asked, in the transaction of [`DEFER`].
const FOUND: &str = "
    select deferrals
      from messaging_messages
     where id = ?1
       and status = 'queued'
       and next_attempt_at is null";

pub const DEFER: &str = "
    update messaging_messages
        set status = 'queued',
            next_attempt_at = ?2,
            deferrals = min(max(deferrals, 0), 2147483646) + 1,
            deferred_since = iif(?5, coalesce(deferred_since, ?3), deferred_since),
            error = ?4,
            updated_at = ?3
      where id = ?1
        and status = 'queued'";

#[async_trait]
impl Batch for Deferrals {
    type Request = Deferral;
    type Answer = Deferred;

    async fn execute(&self, deferrals: &[Deferral]) -> Result<Vec<Deferred>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let mut answers = Vec::with_capacity(deferrals.len());
        for deferral in deferrals {
            answers.push(defer(&mut transaction, deferral).await?);
        }
        transaction.commit().await.map_err(translate)?;
        Ok(answers)
    }
}

async fn defer(connection: &mut SqliteConnection, deferral: &Deferral) -> Result<Deferred, RepositoryError> {
    let id = deferral.id.0.hyphenated();
    let found = sqlx::query(FOUND).bind(id).fetch_optional(&mut *connection).await.map_err(translate)?;
    let Some(row) = found else { return Ok(Deferred::Nothing) };
    let times = count_of(&row, "deferrals", &mut Flaws::default());
    if times >= MAX_DEFERRALS {
        return Ok(Deferred::TooOften);
    }
    let until = deferral.until(times);
    sqlx::query(DEFER)
        .bind(id)
        .bind(time_text(until))
        .bind(time_text(deferral.now))
        .bind(&deferral.reason)
        .bind(deferral.is_undeliverable)
        .execute(connection)
        .await
        .map_err(translate)?;
    Ok(Deferred::Until(until))
}
