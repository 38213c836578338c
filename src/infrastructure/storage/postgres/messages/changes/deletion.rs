//! Deleting an instance, which fails its open messages.

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, only};

/// One statement is one transaction. A queued message is claimed and failed in one write, so that a late claim's
/// outcome has another try number. Open rows are found in the two indexes that hold no others, and checked again to be
/// open once they are locked. Locked in order of id, so that two concurrent changes do not deadlock.
pub const DELETE: &str = "
    with deleted as (
         delete from messaging_instances
          where tenant = $1
            and id = $2
         returning id
     ), open as materialized (
         select id
           from messaging_messages
          where status in ('pending', 'queued', 'processing')
            and id = any(array(
                    select id
                      from messaging_messages
                     where next_attempt_at is null
                       and status in ('pending', 'queued', 'processing')
                       and instance_id = (select id from deleted)
                    union all
                    select id
                      from messaging_messages
                     where next_attempt_at is not null
                       and status in ('pending', 'queued', 'processing')
                       and instance_id = (select id from deleted)))
          order by id
            for update
     ), failed as (
         update messaging_messages
            set attempt_started_at = case when status = 'queued' then $4 else attempt_started_at end,
                -- A count that somebody wrote may be out of bounds.
                retries = least(greatest(retries, 0), 2147483647 - (status = 'queued')::integer) + (status = 'queued')::integer,
                try = least(greatest(try, 0), 2147483647 - (status = 'queued')::integer) + (status = 'queued')::integer,
                status = 'failed',
                failure = 'channel',
                error = $3,
                attempt_http_status = null,
                next_attempt_at = null,
                dead_lettered_at = $5,
                updated_at = $4
          where id = any(array(select id from open))
         returning id, try, attempt_started_at
     ), told as (
         insert into messaging_message_attempts
                (message_id, number, started_at, finished_at, outcome, error)
         select id, try, attempt_started_at, $4, 'permanent', $3
           from failed
         on conflict do nothing
     )
     select exists (select from deleted) as deleted";

/// False when the tenant has no such instance.
pub async fn delete_instance(
    database: &PgDatabase,
    (tenant, id): (&Tenant, InstanceId),
    reason: &str,
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, RepositoryError> {
    let query = sqlx::query(DELETE).bind(tenant.as_str()).bind(id.0).bind(reason).bind(now).bind(dead_lettered_at);
    let rows = database.run(async |connection| query.fetch_all(connection).await).await?;
    only(rows).as_ref().map_or(Ok(false), |row| get(row, "deleted"))
}
