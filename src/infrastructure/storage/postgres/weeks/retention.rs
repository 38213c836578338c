//! Forgetting: weeks are dropped, and what lies in none is deleted.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::failures::Failures;
use super::partition::{ATTEMPTS, MESSAGES, Partition, Partitioned};
use super::strays::{BATCH, delete_broadcasts, delete_names, delete_stray_attempts, delete_strays};
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::idempotency::KEPT;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::messages::count_anew;
use crate::infrastructure::storage::shared::{first_id, time_of};

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
    table: &'static Partitioned,
    before: Uuid,
    failures: &mut Failures<RepositoryError>,
) -> Result<bool, RepositoryError> {
    let mut in_use = 0;
    for week in database
        .run(async |connection| table.weeks(connection).await)
        .await?
        .into_iter()
        .filter(|week| week.to <= before)
    {
        match drop_if_over(database, table, &week).await {
            Ok(true) => {
                tracing::info!(partition = week.name, "a week that is over was dropped");
                if table.name == MESSAGES.name && week.is_whole() {
                    let counted = database.run(async |connection| count_dropped(connection, &week).await).await;
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

async fn drop_if_over(
    database: &PgDatabase,
    table: &'static Partitioned,
    week: &Partition,
) -> Result<bool, RepositoryError> {
    let is_over = database.run(async |connection| unless_gone(is_over(connection, table, week).await)).await?;
    Ok(is_over && database.run(async |connection| unless_gone(drop_week(connection, table, week).await)).await?)
}

/// Nothing is left of it to be read.
async fn count_dropped(connection: &mut PgConnection, week: &Partition) -> Result<(), sqlx::Error> {
    let number = sqlx::query_scalar("select messaging_week_of($1)").bind(week.from).fetch_one(&mut *connection).await?;
    count_anew(connection, number).await
}

/// A week that another process has dropped meanwhile is none that can go.
fn unless_gone(asked: Result<bool, sqlx::Error>) -> Result<bool, sqlx::Error> {
    const UNDEFINED_TABLE: &str = "42P01";
    match asked {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Ok(false),
        asked => asked,
    }
}

/// Asked without a lock that keeps others waiting: most weeks that stay are found by this.
async fn is_over(
    connection: &mut PgConnection,
    table: &'static Partitioned,
    week: &Partition,
) -> Result<bool, sqlx::Error> {
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
async fn drop_week(
    connection: &mut PgConnection,
    table: &'static Partitioned,
    week: &Partition,
) -> Result<bool, sqlx::Error> {
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
        .bind(week.from)
        .bind(Uuid::from_u128(week.to.as_u128().saturating_sub(1)))
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Whether all messages of a week are at an end and owe no dead letter; of attempts, whether their messages are gone.
async fn ask(
    connection: &mut PgConnection,
    table: &'static Partitioned,
    week: &Partition,
) -> Result<bool, sqlx::Error> {
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
        .bind(week.from)
        .bind(week.to)
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
        .bind(time_of(week.from))
        .bind(time_of(week.to))
        .persistent(false)
        .fetch_one(connection)
        .await
}
