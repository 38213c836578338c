//! The storage parameters of each partition, by which the server's autovacuum decides when to vacuum it.
//!
//! By default it comes when a fifth of a table has changed, which in a week of a hundred million messages is never. Each
//! message leaves two dead entries in the index of what nodes own, and the relay walks past all that no vacuum has removed.

use sqlx::{AssertSqlSafe, PgConnection};

use super::partition::{MESSAGES, Partitioned};

/// For a week that is being written, and for the default partition.
const WRITTEN: &str = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000";

/// For a week that is being written, and for the default partition of its table.
pub fn written(table: &Partitioned) -> String {
    // A message is written three times. With room for that on its page, what did not change is not written to the WAL.
    let room = if table.name == MESSAGES.name { ", fillfactor = 60" } else { "" };
    format!("{WRITTEN}{room}")
}

/// For a week that is over and was vacuumed since. What changes in it still is little, and shall not lie about for ever.
///
/// This is also how a vacuumed week is known: it stays with the table in a dump, on a replica and after a crash, which the
/// server's statistics do not, and goes when the week is dropped.
pub const CLOSED: &str = "autovacuum_vacuum_threshold = 5000, autovacuum_analyze_threshold = 5000";

/// How [`CLOSED`] is found in the catalog.
const IS_CLOSED: &str = "autovacuum_vacuum_threshold=5000";

/// Partitions without these parameters: made by an earlier version, or by hand.
pub async fn unset(connection: &mut PgConnection, table: &Partitioned) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select pg_class.oid::regclass::text
           from pg_inherits
           join pg_class
             on pg_class.oid = pg_inherits.inhrelid
          where pg_inherits.inhparent = to_regclass($1)
            and (not coalesce(pg_class.reloptions::text like '%autovacuum\\_vacuum\\_threshold=%', false)
                 or $3 and pg_class.reloptions::text not like '%fillfactor=%' and not pg_class.reloptions @> array[$2])
          order by 1",
    )
    .bind(table.name)
    .bind(IS_CLOSED)
    .bind(table.name == MESSAGES.name)
    .fetch_all(connection)
    .await
}

/// Weeks all of whose ids are less than `before`, and which have not been vacuumed since they were over; the oldest first.
pub async fn unclosed(
    connection: &mut PgConnection,
    table: &Partitioned,
    before: uuid::Uuid,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select pg_class.oid::regclass::text
           from pg_inherits
           join pg_class
             on pg_class.oid = pg_inherits.inhrelid
          cross join lateral regexp_match(
                pg_get_expr(pg_class.relpartbound, 0), 'TO \\(''([0-9a-f-]{36})''\\)') as bounds
          where pg_inherits.inhparent = to_regclass($1)
            and bounds[1]::uuid <= $2
            and not coalesce(pg_class.reloptions @> array[$3], false)
          order by bounds[1]",
    )
    .bind(table.name)
    .bind(before)
    .bind(IS_CLOSED)
    .fetch_all(connection)
    .await
}

/// Waits for no reader and no writer, and lets none wait.
pub async fn set(connection: &mut PgConnection, partition: &str, parameters: &str) -> Result<(), sqlx::Error> {
    let statement = format!("alter table {partition} set ({parameters})");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// A partition that something else uses exclusively, the server's own vacuum among others, or that was dropped meanwhile,
/// is left to the next time.
pub fn passed_over(partition: &str, done: Result<(), sqlx::Error>) -> Result<(), sqlx::Error> {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const UNDEFINED_TABLE: &str = "42P01";
    match done {
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| [LOCK_NOT_AVAILABLE, UNDEFINED_TABLE].contains(&code.as_ref())) =>
        {
            tracing::debug!(partition, %error, "in use, or dropped; left to the next time");
            Ok(())
        }
        done => done,
    }
}
