use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::application::ports::{Allowance, RepositoryError, RequestAllowances};
use crate::domain::Timestamp;
use crate::domain::access::request_limit::{Counted, MINUTE};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{number_option, time};

/// How many minutes are forgotten in one statement.
const AT_ONCE: i64 = 1_000;

pub struct PgRequestAllowances {
    database: PgDatabase,
}

impl PgRequestAllowances {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

/// A minute that is over, or begins later than now (a clock was set), gives way to one that begins now.
const TAKE: &str = "
    insert into request_allowances as kept (counted, began_at, taken, granted)
    values ($1, $2, least($3::integer, $4::integer), least($3::integer, $4::integer))
        on conflict (counted) do update
       set began_at = case when kept.began_at > $2 or kept.began_at <= $5 then $2 else kept.began_at end,
           taken = case when kept.began_at > $2 or kept.began_at <= $5 then least($3::integer, $4::integer)
                        else greatest(kept.taken, least($3::integer, kept.taken + $4::integer)) end,
           granted = case when kept.began_at > $2 or kept.began_at <= $5 then least($3::integer, $4::integer)
                          else greatest(0, least($4::integer, $3::integer - kept.taken)) end
    returning began_at, taken, granted";

#[async_trait]
impl RequestAllowances for PgRequestAllowances {
    async fn take(
        &self,
        counted: &Counted,
        limit: u32,
        wanted: u32,
        now: Timestamp,
    ) -> Result<Allowance, RepositoryError> {
        let digest = Sha256::digest(counted.as_str().as_bytes());
        let query = sqlx::query(TAKE)
            .bind(&digest[..])
            .bind(now)
            .bind(i32::try_from(limit).unwrap_or(i32::MAX / 2))
            .bind(i32::try_from(wanted).unwrap_or(i32::MAX / 2))
            .bind(now - MINUTE);
        let row = self.database.run(async |connection| query.fetch_one(connection).await).await?;
        Ok(Allowance {
            granted: number_option(&row, "granted")?.unwrap_or_default(),
            taken: number_option(&row, "taken")?.unwrap_or_default(),
            began_at: time(&row, "began_at")?,
        })
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "delete from request_allowances
              where counted in (select counted
                                  from request_allowances
                                 where began_at < $1
                                 limit $2)",
        )
        .bind(time)
        .bind(AT_ONCE);
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(deleted.rows_affected() >= AT_ONCE.unsigned_abs())
    }
}
