//! Taking back a message that no node has claimed.

use crate::application::ports::{Cancellation, CancelledMessages, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::broadcast::Broadcast;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{status, time_text};

/// No claim is lost here: each is on disk when it is answered.
pub const CANCEL: &str = "
    update messaging_messages
       set status = 'cancelled',
           next_attempt_at = null,
           updated_at = ?1
     where id = ?2
       and tenant = ?3
       and status = 'queued'";

pub async fn cancel(
    database: &SqliteDatabase,
    (tenant, id): (&Tenant, MessageId),
    now: Timestamp,
) -> Result<Cancellation, RepositoryError> {
    let mut transaction = database.begin().await?;
    let written = sqlx::query(CANCEL)
        .bind(time_text(now))
        .bind(id.0.hyphenated())
        .bind(tenant.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
    let found = sqlx::query("select status from messaging_messages where id = ?1 and tenant = ?2")
        .bind(id.0.hyphenated())
        .bind(tenant.as_str())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(translate)?;
    transaction.commit().await.map_err(translate)?;
    let now_is = found.as_ref().map(|row| status(row, "status")).transpose()?;
    Ok(Cancellation::of(now_is, written.rows_affected() == 1))
}

/// As above, of many: in portions.
pub const CANCEL_OF_BROADCAST: &str = "
    update messaging_messages
       set status = 'cancelled',
           next_attempt_at = null,
           updated_at = ?5
     where id in (
           select id
             from messaging_messages
            where id >= ?1
              and id <= ?2
              and broadcast_id = ?3
              and status = 'queued'
            order by id
            limit ?4)
       and status = 'queued'";

pub async fn cancel_of_broadcast(
    database: &SqliteDatabase,
    broadcast: &Broadcast,
    limit: u32,
    now: Timestamp,
) -> Result<CancelledMessages, RepositoryError> {
    database.is_in_its_place()?;
    let (first, last) = broadcast.message_ids();
    let cancelled = sqlx::query(CANCEL_OF_BROADCAST)
        .bind(first.0.hyphenated())
        .bind(last.0.hyphenated())
        .bind(broadcast.id.0.hyphenated())
        .bind(limit)
        .bind(time_text(now))
        .execute(database.writer())
        .await
        .map_err(translate)?;
    Ok(CancelledMessages::Cancelled(u32::try_from(cancelled.rows_affected()).unwrap_or(u32::MAX)))
}
