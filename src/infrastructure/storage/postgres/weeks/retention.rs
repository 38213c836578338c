//! Forgetting: weeks are dropped, and what lies in the default partition is deleted.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::failures::Failures;
use super::partition::{ATTEMPTS, MESSAGES, Partitioned};
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::idempotency::KEPT;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::messages::count_anew;
use crate::infrastructure::storage::shared::{first_id, time_of};

/// Rows deleted by one statement.
const BATCH: i64 = 1_000;

/// A week that has a partition.
struct Week {
    name: String,
    from_id: Uuid,
    to_id: Uuid,
}

/// Milliseconds.
const WEEK: u128 = 7 * 24 * 60 * 60 * 1_000;

/// From the beginning of 1970 back to the Monday before.
const MONDAY: u128 = 3 * 24 * 60 * 60 * 1_000;

impl Week {
    /// Counting it reads nothing once it is dropped.
    fn is_whole(&self) -> bool {
        let [from, to] = [self.from_id, self.to_id].map(|id| id.as_u128() >> 80);
        to == from + WEEK && (from + MONDAY).is_multiple_of(WEEK)
    }

    /// As `messaging_week_of` has it.
    fn number(&self) -> i64 {
        i64::try_from(((self.from_id.as_u128() >> 80) + MONDAY) / WEEK).unwrap_or(i64::MAX)
    }
}

/// Deletes a part of what was accepted longer ago than `retention`: one week, or one batch. True when there may be more.
pub async fn delete_history(
    database: &PgDatabase,
    retention: Duration,
    now: Timestamp,
) -> Result<bool, RepositoryError> {
    let now = database.run(async |connection| earlier(connection, now).await).await?;
    let ended_before = (now - retention - A_WEEK).min(now - KEPT);
    let before = first_id(now - retention);
    let mut failures = Failures::default();
    for table in [&MESSAGES, &ATTEMPTS] {
        if drop_one(database, table, before, &mut failures).await? {
            // What failed is tried again, and fails again, when nothing else can be dropped.
            return Ok(true);
        }
    }
    let messages = database.run(async |connection| delete_strays(connection, before).await).await;
    let attempts = database.run(async |connection| delete_stray_attempts(connection, before).await).await;
    let names = database.run(async |connection| delete_names(connection, before).await).await;
    let broadcasts = database.run(async |connection| delete_broadcasts(connection, ended_before).await).await;
    let is_more = [&messages, &attempts, &names, &broadcasts].iter().any(|deleted| matches!(deleted, Ok(BATCH)));
    failures.note("stray messages", messages.map(|_| ()));
    failures.note("stray attempts", attempts.map(|_| ()));
    failures.note("names at channels", names.map(|_| ()));
    failures.note("broadcasts", broadcasts.map(|_| ()));
    if is_more { Ok(true) } else { failures.first().map(|()| false) }
}

/// A message stays until all of its week can go: its broadcast does, too.
const A_WEEK: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// With their counts.
async fn delete_broadcasts(connection: &mut PgConnection, ended_before: Timestamp) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with ended as (
             delete from messaging_broadcasts
              where id in (select id
                             from messaging_broadcasts
                            where finished_at < $1
                              and status in ('cancelled', 'finished')
                            order by finished_at
                            limit $2
                              for update skip locked)
             returning id
         ),
         counts as (
             delete from messaging_broadcast_counts
              using ended
              where broadcast_id = ended.id
         ),
         changes as (
             delete from messaging_broadcast_count_changes
              using ended
              where broadcast_id = ended.id
         )
         select count(*) from ended",
    )
    .persistent(false)
    .bind(ended_before)
    .bind(BATCH)
    .fetch_one(connection)
    .await
}

/// Of two clocks the one that is behind: one that has jumped ahead must not make everything look old.
async fn earlier(connection: &mut PgConnection, now: Timestamp) -> Result<Timestamp, sqlx::Error> {
    sqlx::query_scalar("select least($1, clock_timestamp())").bind(now).fetch_one(connection).await
}

/// Weeks in a row that may be in use when they are to be dropped: all other statements wait behind each of these tries. One
/// is read by itself, as by a report; two, as by a dump, and so are the others.
const IN_USE: usize = 2;

/// Drops the oldest week that can go; what fails at one week keeps none of the others. False when there is none.
///
/// # Errors
/// When the database does not answer at all.
async fn drop_one(
    database: &PgDatabase,
    table: &Partitioned,
    before: Uuid,
    failures: &mut Failures<RepositoryError>,
) -> Result<bool, RepositoryError> {
    let mut in_use = 0;
    for week in database.run(async |connection| old_weeks(connection, table, before).await).await? {
        match drop_if_over(database, table, &week).await {
            Ok(true) => {
                tracing::info!(partition = week.name, "a week that is over was dropped");
                if table.name == MESSAGES.name && week.is_whole() {
                    let counted = database.run(async |connection| count_anew(connection, week.number()).await).await;
                    failures.note("counts of a dropped week", counted);
                }
                return Ok(true);
            }
            Ok(false) => {}
            // Something uses the table for longer than others may wait behind this.
            Err(error @ RepositoryError::Contested(_)) => {
                tracing::warn!(partition = week.name, %error, "a week could not be dropped; tried again in the next round");
                in_use += 1;
                if in_use == IN_USE {
                    return Ok(false);
                }
            }
            Err(error) => {
                failures.note(&week.name, Err(error));
                database.run(async |connection| connection.ping().await).await?;
            }
        }
    }
    Ok(false)
}

async fn drop_if_over(database: &PgDatabase, table: &Partitioned, week: &Week) -> Result<bool, RepositoryError> {
    let is_over = database.run(async |connection| unless_gone(is_over(connection, table, week).await)).await?;
    Ok(is_over && database.run(async |connection| unless_gone(drop_week(connection, table, week).await)).await?)
}

/// A week that another process has dropped meanwhile is none that can go.
fn unless_gone(asked: Result<bool, sqlx::Error>) -> Result<bool, sqlx::Error> {
    const UNDEFINED_TABLE: &str = "42P01";
    match asked {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Ok(false),
        asked => asked,
    }
}

/// Partitions all of whose ids are less than `before`, the oldest first.
async fn old_weeks(connection: &mut PgConnection, table: &Partitioned, before: Uuid) -> Result<Vec<Week>, sqlx::Error> {
    let weeks = weeks_of(connection, table).await?;
    Ok(weeks.into_iter().filter(|week| week.to_id <= before).collect())
}

/// The oldest first.
async fn weeks_of(connection: &mut PgConnection, table: &Partitioned) -> Result<Vec<Week>, sqlx::Error> {
    let rows: Vec<(String, Uuid, Uuid)> = sqlx::query_as(
        "select pg_class.oid::regclass::text,
                bounds[1]::uuid,
                bounds[2]::uuid
           from pg_inherits
           join pg_class
             on pg_class.oid = pg_inherits.inhrelid
          cross join lateral regexp_match(
                pg_get_expr(pg_class.relpartbound, 0),
                'FROM \\(''([0-9a-f-]{36})''\\) TO \\(''([0-9a-f-]{36})''\\)') as bounds
          where pg_inherits.inhparent = to_regclass($1)
            and bounds is not null
          order by bounds[1]",
    )
    .bind(table.name)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(name, from_id, to_id)| Week { name, from_id, to_id }).collect())
}

/// Asked without a lock that keeps others waiting: most weeks that stay are found by this.
async fn is_over(connection: &mut PgConnection, table: &Partitioned, week: &Week) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("set local lock_timeout = '1s'").execute(&mut *transaction).await?;
    let is_over = ask(&mut transaction, table, week).await?;
    transaction.rollback().await?;
    Ok(is_over)
}

/// The parent first, and for itself: a statement that has it already may go on to the partition and is waited for; one
/// that comes later waits there, and then plans without the partition. The check is a statement of its own, which sees
/// what those that were waited for have written: with the locks in one statement, or in one snapshot with them, it would
/// see the week as it was before. A replay either was first, and the week stays, or finds nothing.
async fn drop_week(connection: &mut PgConnection, table: &Partitioned, week: &Week) -> Result<bool, sqlx::Error> {
    let (parent, name) = (table.name, &week.name);
    let mut transaction = connection.begin_with("begin isolation level read committed").await?;
    let lock = format!(
        "set local lock_timeout = '1s';
         set local statement_timeout = '5s';
         lock table only {parent} in access exclusive mode;
         lock table {name} in access exclusive mode"
    );
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await?;
    if !ask(&mut transaction, table, week).await? {
        return Ok(false);
    }
    sqlx::raw_sql(AssertSqlSafe(format!("drop table {name}"))).execute(&mut *transaction).await?;
    if table.name == MESSAGES.name {
        // Nothing is left of it, as a rule, and that is counted next.
        sqlx::query(
            "insert into messaging_uncounted_weeks
             select generate_series(messaging_week_of($1), messaging_week_of($2))
                 on conflict do nothing",
        )
        .bind(week.from_id)
        .bind(Uuid::from_u128(week.to_id.as_u128().saturating_sub(1)))
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Whether all messages of a week are at an end and owe no dead letter; of attempts, whether their messages are gone.
async fn ask(connection: &mut PgConnection, table: &Partitioned, week: &Week) -> Result<bool, sqlx::Error> {
    // Each is a probe of an index that holds nothing else, whatever the planner believes about a week it never analyzed.
    sqlx::raw_sql("set local enable_seqscan = off; set local enable_bitmapscan = off")
        .execute(&mut *connection)
        .await?;
    if table.name == ATTEMPTS.name {
        return sqlx::query_scalar(
            "select not exists (
                 select
                   from messaging_messages
                  where id >= $1
                    and id < $2)",
        )
        .persistent(false)
        .bind(week.from_id)
        .bind(week.to_id)
        .fetch_one(connection)
        .await;
    }
    let name = &week.name;
    let statement = format!(
        "select not exists (
                select
                  from {name}
                 where next_attempt_at is null
                   and status in ('pending', 'queued', 'processing'))
            and not exists (
                select
                  from {name}
                 where next_attempt_at is not null
                   and status in ('pending', 'queued', 'processing'))
            and not exists (
                select
                  from {name}
                 where status = 'failed'
                   and dead_lettered_at is null)
            -- A broadcast may still make messages in it.
            and not exists (
                select
                  from messaging_broadcasts
                 where status in ('scheduled', 'expanding', 'paused')
                   and ids_at >= $1
                   and ids_at <= $2)"
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(time_of(week.from_id))
        .bind(time_of(week.to_id))
        .persistent(false)
        .fetch_one(connection)
        .await
}

/// Asked again in the DELETE: what was replayed since the statement began is found by its first part as it was then.
async fn delete_strays(connection: &mut PgConnection, before: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with ended as materialized (
             select id
               from messaging_messages_default
              where id < $1
                and status not in ('pending', 'queued', 'processing')
                and (status <> 'failed' or dead_lettered_at is not null)
              order by id
              limit $2
                for update skip locked
         ),
         deleted as (
             delete from messaging_messages_default
              where id = any(array(select id from ended))
                and status not in ('pending', 'queued', 'processing')
                and (status <> 'failed' or dead_lettered_at is not null)
             returning id, tenant, status, direction, purpose
         ),
         counted as (
             insert into messaging_message_count_changes (tenant, week, status, change)
             select tenant, messaging_week_of(id), status, -count(*)
               from deleted
              where direction = 'sent'
                and purpose is null
              group by tenant, messaging_week_of(id), status
         ),
         attempts as (
             delete from messaging_message_attempts
              where message_id = any(array(select id from deleted))
         )
         select count(*) from deleted",
    )
    .persistent(false)
    .bind(before)
    .bind(BATCH)
    .fetch_one(connection)
    .await
}

async fn delete_stray_attempts(connection: &mut PgConnection, before: Uuid) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // It looks for messages in all weeks, some of which an operator may be working on.
    sqlx::raw_sql("set local lock_timeout = '1s'").execute(&mut *transaction).await?;
    let deleted = sqlx::query_scalar(
        "with orphans as materialized (
             select message_id, number
               from messaging_message_attempts_default as attempts
              where message_id < $1
                and not exists (
                    select
                      from messaging_messages
                     where id = attempts.message_id
                       -- Of later weeks there are none: they are not even planned.
                       and id < $1)
              order by message_id
              limit $2
         ),
         deleted as (
             delete from messaging_message_attempts_default
              where (message_id, number) in (select message_id, number from orphans)
             returning message_id
         )
         select count(*) from deleted",
    )
    .persistent(false)
    .bind(before)
    .bind(BATCH)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}

/// Names at channels whose messages are gone: those of the times for which there is no week any more. Names of a week that is
/// there are not looked at: its messages go with it, or not at all.
async fn delete_names(connection: &mut PgConnection, before: Uuid) -> Result<i64, sqlx::Error> {
    for (from, to) in without_week(connection, before).await? {
        let deleted = delete_names_between(connection, from, to).await?;
        if deleted == BATCH {
            return Ok(deleted);
        }
    }
    Ok(0)
}

/// The ids less than `before` that lie in no week, in stretches: from, and to what is not in it any more.
async fn without_week(connection: &mut PgConnection, before: Uuid) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let weeks = weeks_of(connection, &MESSAGES).await?;
    let mut stretches = Vec::new();
    let mut from = Uuid::nil();
    for week in weeks.iter().take_while(|week| week.from_id < before) {
        if from < week.from_id {
            stretches.push((from, week.from_id));
        }
        from = from.max(week.to_id);
    }
    if from < before {
        stretches.push((from, before));
    }
    Ok(stretches)
}

async fn delete_names_between(connection: &mut PgConnection, from: Uuid, to: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with orphans as materialized (
             select instance_id, channel_message_id
               from messaging_channel_messages as names
              where message_id >= $1
                and message_id < $2
                -- Where there is no week.
                and not exists (
                    select
                      from messaging_messages_default
                     where id = names.message_id)
              order by message_id
              limit $3
         ),
         deleted as (
             delete from messaging_channel_messages
              where (instance_id, channel_message_id) in (select instance_id, channel_message_id from orphans)
             returning message_id
         )
         select count(*) from deleted",
    )
    .persistent(false)
    .bind(from)
    .bind(to)
    .bind(BATCH)
    .fetch_one(connection)
    .await
}
