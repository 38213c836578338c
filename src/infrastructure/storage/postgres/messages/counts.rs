//! How many messages are in which state, without reading them: triggers write each change beside the messages that change
//! (see the migration that made them), and from time to time the changes are added to the counts.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::application::ports::{RepositoryError, SearchError};
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageStatus;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_look;
use crate::infrastructure::storage::postgres::row::{get, status};

/// Which changes there can be that were not added to the counts. After a restore the transactions of another server are ahead of
/// this one's.
macro_rules! uncounted_changes {
    () => {
        "written_by >= coalesce((select written_by
                                   from messaging_counted_until
                                  where written_by <= pg_snapshot_xmax(pg_current_snapshot())), '0')"
    };
}
pub(super) use uncounted_changes;

const UNCOUNTED_CHANGES: &str = uncounted_changes!();

/// A tenant's messages. Those of weeks that are not counted yet are read.
pub async fn of_tenant(database: &PgDatabase, tenant: &Tenant) -> Result<HashMap<MessageStatus, u64>, SearchError> {
    // A week that is counted meanwhile is read all the same. Apart, because a statement that may read messages takes locks
    // on all weeks there are.
    let search = database.searches.begin(Some(tenant)).await?;
    let weeks = "select week,
                        messaging_first_id_of(week) as first,
                        messaging_first_id_of(week + 1) as next
                   from messaging_uncounted_weeks";
    let uncounted = search.find(QueryBuilder::new(weeks)).await?;
    let weeks: Vec<i64> = uncounted.iter().map(|row| get(row, "week")).collect::<Result<_, _>>()?;
    let mut query = QueryBuilder::<Postgres>::new(concat!(
        "select status, sum(count)::bigint as count
           from (select tenant, week, status, count
                   from messaging_message_counts
                 union all
                 select tenant, week, status, change
                   from messaging_message_count_changes
                  where ",
        uncounted_changes!(),
        ") as parts
          where tenant = ",
    ));
    query.push_bind(tenant.as_str().to_owned()).push(" and week <> all(").push_bind(weeks);
    query.push(") group by status having sum(count) > 0");
    let mut counts = HashMap::new();
    for row in search.find(query).await? {
        counts.insert(status(&row, "status")?, count(&row)?);
    }
    for week in &uncounted {
        let mut query = QueryBuilder::<Postgres>::new("select status, count(*) as count from messaging_messages");
        query.push(" where tenant = ").push_bind(tenant.as_str().to_owned());
        query.push(" and direction = 'sent' and purpose is null and id >= ").push_bind(get::<Uuid>(week, "first")?);
        query.push(" and id < ").push_bind(get::<Uuid>(week, "next")?).push(" group by status");
        for row in search.find_planned(query).await? {
            *counts.entry(status(&row, "status")?).or_default() += count(&row)?;
        }
    }
    Ok(counts)
}

/// What was sent and is open, of all tenants or of one. Of weeks that are not counted yet it is read.
pub async fn open(database: &PgDatabase, tenant: Option<&Tenant>) -> Result<u64, RepositoryError> {
    let look = async |connection: &mut PgConnection| {
        let mut transaction = begin_look(connection).await?;
        let open = open_in(&mut transaction, tenant.map(Tenant::as_str)).await?;
        transaction.commit().await?;
        Ok(open)
    };
    database
        .run(look)
        .await
        .and_then(|count| u64::try_from(count).map_err(|_| RepositoryError::Corrupt(format!("a count is {count}"))))
}

async fn open_in(connection: &mut PgConnection, tenant: Option<&str>) -> Result<i64, sqlx::Error> {
    let uncounted: Vec<(i64, Uuid, Uuid)> = sqlx::query_as(
        "select week,
                messaging_first_id_of(week),
                messaging_first_id_of(week + 1)
           from messaging_uncounted_weeks",
    )
    .fetch_all(&mut *connection)
    .await?;
    let weeks: Vec<i64> = uncounted.iter().map(|(week, ..)| *week).collect();
    // Two texts, so that each has its index.
    let of_tenant = if tenant.is_some() { "and tenant = $2" } else { "and $2::text is null" };
    let counted = format!(
        "select greatest(coalesce(sum(count), 0), 0)::bigint
           from (select tenant, week, status, count
                   from messaging_message_counts
                 union all
                 select tenant, week, status, change
                   from messaging_message_count_changes
                  where {UNCOUNTED_CHANGES}) as parts
          where status in ('pending', 'queued', 'processing')
            and week <> all($1)
            {of_tenant}"
    );
    let mut open: i64 =
        sqlx::query_scalar(AssertSqlSafe(counted)).bind(weeks).bind(tenant).fetch_one(&mut *connection).await?;
    // In two parts, each in an index that has nothing but open rows; planned with its bounds, so that it looks at one week.
    let part = |timed: &str| {
        format!(
            "(select count(*)
                from messaging_messages
               where next_attempt_at {timed}
                 and status in ('pending', 'queued', 'processing')
                 and id >= $1
                 and id < $3
                 and purpose is null
                 {of_tenant})"
        )
    };
    let read = format!("select {} + {}", part("is null"), part("is not null"));
    for (_, first, next) in uncounted {
        open += sqlx::query_scalar::<_, i64>(AssertSqlSafe(read.clone()))
            .persistent(false)
            .bind(first)
            .bind(tenant)
            .bind(next)
            .fetch_one(&mut *connection)
            .await?;
    }
    Ok(open)
}

/// What was counted, of all tenants.
pub async fn all(database: &PgDatabase) -> Result<HashMap<MessageStatus, u64>, RepositoryError> {
    let query = sqlx::query(concat!(
        "select status, sum(count)::bigint as count
           from (select status, count
                   from messaging_message_counts
                 union all
                 select status, change
                   from messaging_message_count_changes
                  where ",
        uncounted_changes!(),
        ") as parts
          group by status
         having sum(count) > 0"
    ));
    let look = async |connection: &mut PgConnection| {
        let mut transaction = begin_look(connection).await?;
        let rows = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    };
    let rows = database.run(look).await?;
    rows.iter().map(|row| Ok((status(row, "status")?, count(row)?))).collect()
}

/// Adds changes to the counts, as many as a second's work; does nothing while another process does it.
pub async fn roll_up(database: &PgDatabase) -> Result<(), RepositoryError> {
    database
        .upkeep
        .run(async |connection| {
            let mut transaction = begin_look(connection).await?;
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

/// In one statement, which sees one moment: transactions that were under way in it may write changes later.
const ROLL_UP: &str = concat!(
    "
    with changes as (
         delete from messaging_message_count_changes
          where ctid = any(array(select ctid
                                   from messaging_message_count_changes
                                  where ",
    uncounted_changes!(),
    "
                                  order by written_by
                                  limit 200000))
         returning tenant, week, status, change, written_by
     ),
     passed as (
         update messaging_counted_until
            set written_by = least(
                    pg_snapshot_xmin(pg_current_snapshot()),
                    (select case when count(*) = 200000 then (array_agg(written_by order by written_by desc))[1] end
                       from changes))
     )
     insert into messaging_message_counts as counts (tenant, week, status, count)
     select tenant, week, status, sum(change)::bigint
       from changes
      group by tenant, week, status
     having sum(change) <> 0
         on conflict (tenant, week, status) do update set count = counts.count + excluded.count"
);

/// Marks weeks that have counts and no messages: an operator or an older process dropped them without updating the counts.
pub async fn doubt_dropped(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let doubt = "insert into messaging_uncounted_weeks
                 select week
                   from (select distinct week from messaging_message_counts where count <> 0) as counted
                  where not exists (
                        select
                          from messaging_messages
                         where id >= messaging_first_id_of(counted.week)
                           and id < messaging_first_id_of(counted.week + 1))
                     on conflict do nothing";
    sqlx::raw_sql(doubt).execute(connection).await?;
    Ok(())
}

/// Deletes what has come to nothing, as of weeks that were dropped.
pub async fn delete_nothing(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("delete from messaging_message_counts where count = 0").execute(connection).await?;
    Ok(())
}

/// Weeks that are to be counted anew.
pub async fn uncounted(connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("select week from messaging_uncounted_weeks order by week desc").fetch_all(connection).await
}

/// Counts the messages of a week. One statement sees one moment: the messages as they are then, and the counts and changes
/// that are to say the same. What is changed meanwhile is not in its moment, and writes a change of its own.
///
/// A statement that drops a part of the week waits for this: it reads `messaging_messages` until it is committed.
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
                    and direction = 'sent'
                    and purpose is null
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
