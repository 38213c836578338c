//! Taking back a message that no node has claimed.

use std::time::Duration;

use crate::application::ports::{Cancellation, CancelledMessages, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::broadcast::Broadcast;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, only, status};

/// Locked first, so that the returned state is the one that was found, not one from before a concurrent claim.
///
/// A claim is not on disk immediately. The server forgets it when it restarts, and also when one of its backends is
/// killed by a signal, after which it recovers without a new `pg_postmaster_start_time`; but then, too, its statistics
/// are reset. Both are times of the beginning of the recovery.
///
/// The update checks no state itself: it would check that of the row's version when the statement began, which may not be
/// the one that is locked.
pub const CANCEL: &str = "
    with found as materialized (
         select id, status
           from messaging_messages
          where id = $1
            and tenant = $2
            for update
     ), cancelled as (
         update messaging_messages
            set status = 'cancelled',
                next_attempt_at = null,
                updated_at = $3
          -- Said twice, so that no other week is planned for.
          where id = $1
            and id = (select id from found where status = 'queued')
            and greatest(pg_postmaster_start_time(), (select stats_reset from pg_stat_archiver))
                <= clock_timestamp() - make_interval(secs => $4)
         returning id
     )
     select status,
            exists (select from cancelled) as written
       from found";

pub async fn cancel(
    database: &PgDatabase,
    (tenant, id): (&Tenant, MessageId),
    unsettled: Duration,
    now: Timestamp,
) -> Result<Cancellation, RepositoryError> {
    let query = sqlx::query(CANCEL).bind(id.0).bind(tenant.as_str()).bind(now).bind(unsettled.as_secs_f64());
    let rows = database.run(async |connection| query.fetch_all(connection).await).await?;
    let Some(row) = only(rows) else { return Ok(Cancellation::Unknown) };
    Ok(Cancellation::of(Some(status(&row, "status")?), get(&row, "written")?))
}

/// As above, of many: in portions, of the weeks in which messages of the broadcast can be.
pub const CANCEL_OF_BROADCAST: &str = "
    with found as materialized (
         select id
           from messaging_messages
          where id >= $1
            and id <= $2
            and broadcast_id = $3
            and status = 'queued'
          order by id
          limit $4
            for update
     ), settled as materialized (
         select greatest(pg_postmaster_start_time(), (select stats_reset from pg_stat_archiver))
                    <= clock_timestamp() - make_interval(secs => $6) as are_claims_settled
     ), cancelled as (
         update messaging_messages
            set status = 'cancelled',
                next_attempt_at = null,
                updated_at = $5
          where id >= $1
            and id <= $2
            and id in (select id from found)
            and (select are_claims_settled from settled)
         returning id
     )
     select are_claims_settled,
            (select count(*) from cancelled) as count
       from settled";

pub async fn cancel_of_broadcast(
    database: &PgDatabase,
    broadcast: &Broadcast,
    unsettled: Duration,
    limit: u32,
    now: Timestamp,
) -> Result<CancelledMessages, RepositoryError> {
    let (first, last) = broadcast.message_ids();
    let query = sqlx::query(CANCEL_OF_BROADCAST)
        .bind(first.0)
        .bind(last.0)
        .bind(broadcast.id.0)
        .bind(i64::from(limit))
        .bind(now)
        .bind(unsettled.as_secs_f64())
        .persistent(false);
    let rows = database.run(async |connection| query.fetch_all(connection).await).await?;
    let Some(row) = only(rows) else { return Ok(CancelledMessages::InDoubt) };
    if !get::<bool>(&row, "are_claims_settled")? {
        return Ok(CancelledMessages::InDoubt);
    }
    Ok(CancelledMessages::Cancelled(u32::try_from(get::<i64>(&row, "count")?).unwrap_or(u32::MAX)))
}
