use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::application::ports::{RepositoryError, SignInEnd, SignInFailures};
use crate::domain::Timestamp;
use crate::domain::access::lockout::Failures;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::time_text;

/// How many names are forgotten in one statement.
const AT_ONCE: i64 = 1_000;

pub struct SqliteSignInFailures {
    database: SqliteDatabase,
}

impl SqliteSignInFailures {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

const FIND: &str = "
    select failed_at
      from sign_in_failures
     where name_hash = ?1";

const WRITE: &str = "
    insert into sign_in_failures (name_hash, failed_at, last_at)
    values (?1, ?2, ?3)
        on conflict (name_hash) do update
       set failed_at = excluded.failed_at,
           last_at = excluded.last_at";

fn read(kept: Option<String>) -> Failures {
    Failures::new(kept.unwrap_or_default().split(' ').filter_map(|time| time.parse().ok()).collect())
}

async fn write(
    connection: &mut SqliteConnection,
    name: &[u8; 32],
    failures: &Failures,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let times: Vec<String> = failures.times().iter().map(|time| time_text(*time)).collect();
    let query = sqlx::query(WRITE).bind(&name[..]).bind(times.join(" ")).bind(time_text(now));
    query.execute(connection).await.map(|_| ())
}

#[async_trait]
impl SignInFailures for SqliteSignInFailures {
    async fn locked_until(&self, name: &[u8; 32], now: Timestamp) -> Result<Option<Timestamp>, RepositoryError> {
        let query = sqlx::query_scalar(FIND).bind(&name[..]);
        let kept = query.fetch_optional(self.database.readers()).await.map_err(translate)?;
        Ok(read(kept).locked_until(now))
    }

    async fn end(&self, name: &[u8; 32], succeeded: bool, now: Timestamp) -> Result<SignInEnd, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let query = sqlx::query_scalar(FIND).bind(&name[..]);
        let failures = read(query.fetch_optional(&mut *transaction).await.map_err(translate)?);
        if let Some(until) = failures.locked_until(now) {
            return Ok(SignInEnd::LockedUntil(until));
        }
        if succeeded {
            let forget = sqlx::query("delete from sign_in_failures where name_hash = ?1").bind(&name[..]);
            forget.execute(&mut *transaction).await.map_err(translate)?;
        } else {
            write(&mut transaction, name, &failures.and(now), now).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(SignInEnd::Noted)
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "delete from sign_in_failures
              where name_hash in (select name_hash
                                    from sign_in_failures
                                   where last_at < ?1
                                   limit ?2)",
        )
        .bind(time_text(time))
        .bind(AT_ONCE);
        let deleted = query.execute(self.database.writer()).await.map_err(translate)?;
        Ok(deleted.rows_affected() >= AT_ONCE.unsigned_abs())
    }
}
