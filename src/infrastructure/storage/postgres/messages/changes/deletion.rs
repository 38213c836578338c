//! Failing what is open of instances that were deleted.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::message::delivery::{EARLIER_MAY_HAVE_BEEN_DELIVERED, MAY_HAVE_BEEN_DELIVERED};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_look;
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::{get, only};

/// A queued message is claimed and failed in one write, so that a late claim's outcome has another try number. Locked,
/// and checked again to be open once it is. What another transaction holds is passed over: the work of
/// another process at the same messages, or a claim or an outcome, which is not to wait for a thousand others.
pub const FAIL: &str = "
    with open as materialized (
         select messages.id, messages.status, messages.unanswered
           from unnest($1::uuid[]) as asked (id)
           join messaging_messages as messages
             on messages.id = asked.id
          where (messages.id between :least and :greatest or messages.id = :least)
            and messages.status in ('pending', 'queued', 'processing')
            and messages.instance_id = any($2)
            for update of messages skip locked
     ), failed as (
         update messaging_messages as messages
            set attempt_started_at = case when open.status = 'queued' then $4 else attempt_started_at end,
                -- A count that somebody wrote may be out of bounds.
                retries = least(greatest(retries, 0), 2147483647 - (open.status = 'queued')::integer)
                        + (open.status = 'queued')::integer,
                try = least(greatest(try, 0), 2147483647 - (open.status = 'queued')::integer)
                    + (open.status = 'queued')::integer,
                status = 'failed',
                failure = case when open.status = 'queued' and not open.unanswered then 'channel' else 'unknown' end,
                error = $3::text || case
                                        when open.status <> 'queued' then $6::text
                                        when open.unanswered then $7::text
                                        else ''
                                    end,
                unanswered = open.unanswered or open.status <> 'queued',
                attempt_http_status = null,
                next_attempt_at = null,
                dead_lettered_at = $5,
                updated_at = $4
           from open
          where messages.id = open.id
            and (messages.id between :least and :greatest or messages.id = :least)
         returning messages.id, messages.try, messages.attempt_started_at, messages.error, open.status as was
     ), told as (
         insert into messaging_message_attempts
                (message_id, number, started_at, finished_at, outcome, error)
         select id, try, attempt_started_at, $4,
                case was when 'queued' then 'permanent' else 'unknown' end, error
           from failed
         on conflict do nothing
     )
     select count(*) as failed
       from failed";

/// Returns how many failed.
pub async fn fail_open_messages(
    database: &PgDatabase,
    (instances, messages): (&[InstanceId], &[MessageId]),
    reason: &str,
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<u64, RepositoryError> {
    let fail = NamedWeeks::of(messages.iter().copied()).name_in(FAIL);
    let query = sqlx::query(AssertSqlSafe(fail))
        .bind(messages.iter().map(|message| message.0).collect::<Vec<Uuid>>())
        .bind(instances.iter().map(|instance| instance.0).collect::<Vec<Uuid>>())
        .bind(reason)
        .bind(now)
        .bind(dead_lettered_at)
        .bind(MAY_HAVE_BEEN_DELIVERED)
        .bind(EARLIER_MAY_HAVE_BEEN_DELIVERED);
    let fail = async |connection: &mut sqlx::PgConnection| {
        let mut look = begin_look(connection).await?;
        let rows = query.fetch_all(&mut *look).await?;
        look.commit().await?;
        Ok(rows)
    };
    let failed = only(database.upkeep.run(fail).await?).map(|row| get::<i64>(&row, "failed")).transpose()?;
    Ok(failed.and_then(|failed| u64::try_from(failed).ok()).unwrap_or(0))
}
