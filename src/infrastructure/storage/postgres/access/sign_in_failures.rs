use async_trait::async_trait;
use sqlx::{Connection, PgConnection};

use crate::application::ports::{RepositoryError, SignInEnd, SignInFailures};
use crate::domain::Timestamp;
use crate::domain::access::lockout::Failures;
use crate::infrastructure::storage::postgres::PgDatabase;

/// How many names are forgotten in one statement.
const AT_ONCE: i64 = 1_000;

pub struct PgSignInFailures {
    database: PgDatabase,
}

impl PgSignInFailures {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

const MAKE: &str = "
    insert into sign_in_failures (name_hash, failed_at, last_at)
    values ($1, '{}', $2)
        on conflict do nothing";

/// The lock on the row lets one try at a time end.
const LOCK: &str = "
    select failed_at
      from sign_in_failures
     where name_hash = $1
       for update";

const WRITE: &str = "
    update sign_in_failures
       set failed_at = $2,
           last_at = $3
     where name_hash = $1";

async fn end(
    connection: &mut PgConnection,
    name: &[u8; 32],
    succeeded: bool,
    now: Timestamp,
) -> Result<SignInEnd, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if !succeeded {
        sqlx::query(MAKE).bind(&name[..]).bind(now).execute(&mut *transaction).await?;
    }
    let kept: Option<Vec<Timestamp>> =
        sqlx::query_scalar(LOCK).bind(&name[..]).fetch_optional(&mut *transaction).await?;
    let failures = Failures::new(kept.unwrap_or_default());
    if let Some(until) = failures.locked_until(now) {
        return Ok(SignInEnd::LockedUntil(until));
    }
    if succeeded {
        let forget = sqlx::query("delete from sign_in_failures where name_hash = $1").bind(&name[..]);
        forget.execute(&mut *transaction).await?;
    } else {
        let failures = failures.and(now);
        sqlx::query(WRITE).bind(&name[..]).bind(failures.times()).bind(now).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(SignInEnd::Noted)
}

#[async_trait]
impl SignInFailures for PgSignInFailures {
    async fn locked_until(&self, name: &[u8; 32], now: Timestamp) -> Result<Option<Timestamp>, RepositoryError> {
        let query = sqlx::query_scalar("select failed_at from sign_in_failures where name_hash = $1").bind(&name[..]);
        let kept: Option<Vec<Timestamp>> =
            self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        Ok(Failures::new(kept.unwrap_or_default()).locked_until(now))
    }

    async fn end(&self, name: &[u8; 32], succeeded: bool, now: Timestamp) -> Result<SignInEnd, RepositoryError> {
        self.database.run(async |connection| end(connection, name, succeeded, now).await).await
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "delete from sign_in_failures
              where name_hash in (select name_hash
                                    from sign_in_failures
                                   where last_at < $1
                                   limit $2)",
        )
        .bind(time)
        .bind(AT_ONCE);
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(deleted.rows_affected() >= AT_ONCE.unsigned_abs())
    }
}
