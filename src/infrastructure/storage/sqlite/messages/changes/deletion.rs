//! Deleting an instance, which fails its open messages.

use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{self, id_list, time_text, time_text_option};

/// A queued message is claimed and failed in one write, so that a late claim's outcome has another try number.
pub const FAIL: &str = "
    update messaging_messages
        set attempt_started_at = case when status = 'queued' then ?3 else attempt_started_at end,
            -- A count that somebody wrote may be out of bounds.
            retries = min(max(retries, 0), 2147483647 - (status = 'queued')) + (status = 'queued'),
            try = min(max(try, 0), 2147483647 - (status = 'queued')) + (status = 'queued'),
            status = 'failed',
            failure = 'channel',
            error = ?2,
            attempt_http_status = null,
            next_attempt_at = null,
            dead_lettered_at = ?4,
            updated_at = ?3
      where instance_id = ?1
        and status in ('pending', 'queued', 'processing')
     returning id";

/// False when the tenant has no such instance.
pub async fn delete_instance(
    database: &SqliteDatabase,
    (tenant, id): (&Tenant, InstanceId),
    reason: &str,
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, RepositoryError> {
    let mut transaction = database.begin().await?;
    let deleted = sqlx::query("delete from messaging_instances where tenant = ?1 and id = ?2")
        .bind(tenant.as_str())
        .bind(id.0.hyphenated())
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    let failed = sqlx::query(FAIL)
        .bind(id.0.hyphenated())
        .bind(reason)
        .bind(time_text(now))
        .bind(time_text_option(dead_lettered_at))
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
    let failed = failed.iter().map(|row| row::id(row, "id")).collect::<Result<Vec<Uuid>, _>>()?;
    sqlx::query(
        "insert into messaging_message_attempts
                (message_id, number, started_at, finished_at, outcome, error)
         select id, try, attempt_started_at, ?2, 'permanent', ?3
           from messaging_messages
          where id in (select value from json_each(?1))
         on conflict do nothing",
    )
    .bind(id_list(failed))
    .bind(time_text(now))
    .bind(reason)
    .execute(&mut *transaction)
    .await
    .map_err(translate)?;
    transaction.commit().await.map_err(translate)?;
    Ok(true)
}
