//! Failing what is open of instances that were deleted.

use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::message::delivery::{EARLIER_MAY_HAVE_BEEN_DELIVERED, MAY_HAVE_BEEN_DELIVERED};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{self, id_list, time_text, time_text_option};

/// A queued message is claimed and failed in one write, so that a late claim's outcome has another try number.
pub const FAIL: &str = "
    update messaging_messages
        set attempt_started_at = case when status = 'queued' then ?4 else attempt_started_at end,
            -- A count that was edited by hand may be out of bounds.
            retries = min(max(retries, 0), 2147483647 - (status = 'queued')) + (status = 'queued'),
            try = min(max(try, 0), 2147483647 - (status = 'queued')) + (status = 'queued'),
            failure = iif(status = 'queued' and not unanswered, 'channel', 'unknown'),
            error = ?3 || iif(status = 'queued', iif(unanswered, ?7, ''), ?6),
            unanswered = max(unanswered, status <> 'queued'),
            status = 'failed',
            attempt_http_status = null,
            next_attempt_at = null,
            dead_lettered_at = ?5,
            updated_at = ?4
      where id in (select value from json_each(?1))
        and instance_id in (select value from json_each(?2))
        and status in ('pending', 'queued', 'processing')
     returning id";

/// Returns how many failed.
pub async fn fail_open_messages(
    database: &SqliteDatabase,
    (instances, messages): (&[InstanceId], &[MessageId]),
    reason: &str,
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<u64, RepositoryError> {
    let mut transaction = database.begin().await?;
    // Nobody is called for these.
    let queued = sqlx::query(
        "select id
           from messaging_messages
          where id in (select value from json_each(?1))
            and status = 'queued'",
    )
    .bind(id_list(messages.iter().map(|message| message.0)))
    .fetch_all(&mut *transaction)
    .await
    .map_err(translate)?;
    let queued = queued.iter().map(|row| row::id(row, "id")).collect::<Result<Vec<Uuid>, _>>()?;
    let failed = sqlx::query(FAIL)
        .bind(id_list(messages.iter().map(|message| message.0)))
        .bind(id_list(instances.iter().map(|instance| instance.0)))
        .bind(reason)
        .bind(time_text(now))
        .bind(time_text_option(dead_lettered_at))
        .bind(MAY_HAVE_BEEN_DELIVERED)
        .bind(EARLIER_MAY_HAVE_BEEN_DELIVERED)
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
    let failed = failed.iter().map(|row| row::id(row, "id")).collect::<Result<Vec<Uuid>, _>>()?;
    let count = failed.len() as u64;
    sqlx::query(
        "insert into messaging_message_attempts
                (message_id, number, started_at, finished_at, outcome, error)
         select id, try, attempt_started_at, ?2, iif(id in (select value from json_each(?3)), 'permanent', 'unknown'), error
           from messaging_messages
          where id in (select value from json_each(?1))
         on conflict do nothing",
    )
    .bind(id_list(failed))
    .bind(time_text(now))
    .bind(id_list(queued))
    .execute(&mut *transaction)
    .await
    .map_err(translate)?;
    transaction.commit().await.map_err(translate)?;
    Ok(count)
}
