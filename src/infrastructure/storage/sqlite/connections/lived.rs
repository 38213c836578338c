//! Until when the database has lived, kept in the file: there is one clock here, and it may be wrong.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Sqlite, Transaction};
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::infrastructure::storage::shared::time_of;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::time_text;

const SECONDS_A_MINUTE: i64 = 60;

/// What the file says, as it was read or written last. Nothing is forgotten by a later time.
#[derive(Default)]
pub(in crate::infrastructure::storage::sqlite) struct Lived(Mutex<Option<Timestamp>>);

impl Lived {
    /// As a parameter of a statement.
    pub(in crate::infrastructure::storage::sqlite) fn text(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(time_text)
    }

    /// The file keeps it in minutes since 1970, in the number that SQLite keeps for its applications; 0 is a file of a version
    /// that kept none, whose youngest message says as much. Never before its oldest message: a database that began with a
    /// clock that was far behind would never delete anything.
    pub(super) async fn read(&self, pool: &SqlitePool) -> Result<Option<Timestamp>, RepositoryError> {
        let kept: i64 = sqlx::query_scalar("pragma user_version").fetch_one(pool).await.map_err(translate)?;
        let (oldest, youngest): (Option<String>, Option<String>) = sqlx::query_as(
            "select (select min(id) from messaging_messages),
                    (select max(id) from messaging_messages)",
        )
        .fetch_one(pool)
        .await
        .map_err(translate)?;
        let accepted = |id: Option<String>| id.and_then(|id| Uuid::from_str(&id).ok()).map(time_of);
        let lived = match Timestamp::from_timestamp(kept * SECONDS_A_MINUTE, 0) {
            Some(kept) if kept > Timestamp::UNIX_EPOCH => accepted(oldest).max(Some(kept)),
            _ => accepted(youngest),
        };
        lived.inspect(|lived| self.raise(*lived));
        Ok(lived)
    }

    /// Writes that it has lived until then.
    pub(super) async fn keep(
        &self,
        until: Timestamp,
        mut transaction: Transaction<'static, Sqlite>,
    ) -> Result<(), RepositoryError> {
        let minutes = i32::try_from(until.timestamp() / SECONDS_A_MINUTE).unwrap_or(i32::MAX);
        let kept: i64 =
            sqlx::query_scalar("pragma user_version").fetch_one(&mut *transaction).await.map_err(translate)?;
        if kept < i64::from(minutes) {
            // A pragma takes no parameters.
            let keep = format!("pragma user_version = {minutes}");
            sqlx::raw_sql(AssertSqlSafe(keep)).execute(&mut *transaction).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        self.raise(until);
        Ok(())
    }

    fn raise(&self, until: Timestamp) {
        let mut lived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *lived = Some(lived.map_or(until, |before| before.max(until)));
    }
}
