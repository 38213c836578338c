//! How many messages are in which state, without reading them: triggers write each change beside the messages that change
//! (see the migration that made them), and from time to time the changes are added to the counts.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};

use crate::application::ports::{RepositoryError, SearchError};
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageStatus;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, status};

/// A tenant's messages. Those of weeks that are not counted yet are read.
pub async fn of_tenant(database: &PgDatabase, tenant: &Tenant) -> Result<HashMap<MessageStatus, u64>, SearchError> {
    let mut query = QueryBuilder::<Postgres>::new("with asked (tenant) as (select ");
    query.push_bind(tenant.as_str().to_owned());
    query.push(
        "::text),
         parts (status, count) as (
              select counts.status, counts.count
                from messaging_message_counts as counts
                join asked
                  on asked.tenant = counts.tenant
               where not exists (select from messaging_uncounted_weeks as uncounted where uncounted.week = counts.week)
              union all
              select changes.status, changes.change
                from messaging_message_count_changes as changes
                join asked
                  on asked.tenant = changes.tenant
               where not exists (select from messaging_uncounted_weeks as uncounted where uncounted.week = changes.week)
              union all
              select messages.status, 1
                from asked
               cross join messaging_uncounted_weeks as uncounted
               cross join lateral (
                         select status
                           from messaging_messages
                          where tenant = asked.tenant
                            and id >= messaging_first_id_of(uncounted.week)
                            and id < messaging_first_id_of(uncounted.week + 1)) as messages)
         select status, sum(count)::bigint as count
           from parts
          group by status
         having sum(count) > 0",
    );
    let rows = database.searches.find(query).await?;
    rows.iter().map(|row| Ok((status(row, "status")?, count(row)?))).collect()
}

/// What is open, of all tenants. While a week is not counted yet, what is open is read.
pub async fn open(database: &PgDatabase) -> Result<u64, RepositoryError> {
    // Read in two parts, each in an index that has nothing but open rows.
    let query = sqlx::query(
        "select case
                    when exists (select from messaging_uncounted_weeks)
                    then (select count(*)
                            from messaging_messages
                           where next_attempt_at is null
                             and status in ('pending', 'queued', 'processing'))
                       + (select count(*)
                            from messaging_messages
                           where next_attempt_at is not null
                             and status in ('pending', 'queued', 'processing'))
                    else greatest(
                         coalesce((select sum(count)::bigint
                                     from messaging_message_counts
                                    where status in ('pending', 'queued', 'processing')), 0)
                       + coalesce((select sum(change)::bigint
                                     from messaging_message_count_changes
                                    where status in ('pending', 'queued', 'processing')), 0), 0)
                end as count",
    );
    let row = database.run(async |connection| query.fetch_one(connection).await).await?;
    count(&row)
}

/// Adds the changes to the counts; does nothing while another process does it.
pub async fn roll_up(database: &PgDatabase) -> Result<(), RepositoryError> {
    database
        .upkeep
        .run(async |connection| {
            let mut transaction = connection.begin().await?;
            let is_alone: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtext('correio counts'))")
                .fetch_one(&mut *transaction)
                .await?;
            if is_alone {
                sqlx::query(ROLL_UP).execute(&mut *transaction).await?;
                sqlx::query(
                    "delete from messaging_message_counts
                      where count = 0
                        and status in ('pending', 'queued', 'processing')",
                )
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await
        })
        .await
}

const ROLL_UP: &str = "
    with changes as (
         delete from messaging_message_count_changes
         returning tenant, week, status, change
     )
     insert into messaging_message_counts as counts (tenant, week, status, count)
     select tenant, week, status, sum(change)::bigint
       from changes
      group by tenant, week, status
     having sum(change) <> 0
         on conflict (tenant, week, status) do update set count = counts.count + excluded.count";

/// Weeks that are to be counted anew.
pub async fn uncounted(connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("select week from messaging_uncounted_weeks order by week desc").fetch_all(connection).await
}

/// Counts the messages of a week. One statement sees one moment: the messages as they are then, and the counts and changes
/// that are to say the same. What is changed meanwhile is not in its moment, and writes a change of its own.
///
/// Whoever drops a part of the week waits for this: it reads `messaging_messages` until it is committed.
pub async fn count_anew(connection: &mut PgConnection, week: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with counted as (
              delete from messaging_uncounted_weeks
               where week = $1
         )
         insert into messaging_message_count_changes (tenant, week, status, change)
         select tenant, $1, status, sum(count)::bigint
           from (select tenant, status, count(*) as count
                   from messaging_messages
                  where id >= messaging_first_id_of($1)
                    and id < messaging_first_id_of($1 + 1)
                  group by tenant, status
                 union all
                 select tenant, status, -count
                   from messaging_message_counts
                  where week = $1
                 union all
                 select tenant, status, -change
                   from messaging_message_count_changes
                  where week = $1) as parts
          group by tenant, status
         having sum(count) <> 0",
    )
    .bind(week)
    .execute(connection)
    .await?;
    Ok(())
}

/// A column `count`.
pub fn count(row: &PgRow) -> Result<u64, RepositoryError> {
    let count: i64 = get(row, "count")?;
    u64::try_from(count).map_err(|_| RepositoryError::Corrupt(format!("a count is {count}")))
}
