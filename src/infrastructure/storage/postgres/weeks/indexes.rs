//! Indexes that a migration of a large table left to be made, one partition after the other, while it is read and written.

use sqlx::{AssertSqlSafe, PgConnection};

use super::failures::Failures;
use super::parameters::passed_over;
use super::partition::MESSAGES;

/// An index of the table that some partitions do not have, in one of them.
struct Missing {
    index: String,
    partition: String,
    /// What it is called there.
    name: String,
    /// Whether it is there but invalid, left by a creation that was interrupted.
    is_torn: bool,
    /// From `using` on.
    definition: String,
}

/// Makes what is missing. The planner uses what is made as soon as it is there. What cannot be had now is left to the next
/// time.
pub async fn complete(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut failures = Failures::default();
    for missing in missing(connection).await? {
        let made = make(connection, &missing).await;
        failures.note(&missing.name, passed_over(&missing.name, made));
    }
    failures.first()
}

async fn make(connection: &mut PgConnection, missing: &Missing) -> Result<(), sqlx::Error> {
    let Missing { index, partition, name, is_torn, definition } = missing;
    // This waits for the transactions that use the partition at the moment, and no other waits for it.
    run(connection, "set lock_timeout = 0".to_owned()).await?;
    if *is_torn {
        run(connection, format!("drop index concurrently {name}")).await?;
    }
    run(connection, format!("create index concurrently if not exists {name} on {partition} {definition}")).await?;
    // While this waits for a transaction that has read the partition, all others wait behind it.
    run(connection, "set lock_timeout = '100ms'".to_owned()).await?;
    run(connection, format!("alter index {index} attach partition {name}")).await?;
    tracing::info!(partition, index, "an index was made");
    Ok(())
}

/// The youngest partitions first: they are searched most.
async fn missing(connection: &mut PgConnection) -> Result<Vec<Missing>, sqlx::Error> {
    let rows: Vec<(String, String, String, bool, String)> = sqlx::query_as(
        "select parent.indexrelid::regclass::text as index,
                partition.oid::regclass::text as partition,
                made.name,
                coalesce(not (select indisvalid from pg_index where indexrelid = to_regclass(made.name)), false) as is_torn,
                substring(pg_get_indexdef(parent.indexrelid) from ' (USING .*)$') as definition
           from pg_index as parent
           join pg_inherits
             on pg_inherits.inhparent = parent.indrelid
           join pg_class as partition
             on partition.oid = pg_inherits.inhrelid
          cross join lateral (
                    select quote_ident(partition.relname
                           || replace((select relname from pg_class where oid = parent.indexrelid), $1, ''))) as made (name)
          where parent.indrelid = to_regclass($1)
            and not parent.indisvalid
            and not exists (
                select
                  from pg_inherits as attached
                  join pg_index as child
                    on child.indexrelid = attached.inhrelid
                 where attached.inhparent = parent.indexrelid
                   and child.indrelid = partition.oid)
          order by pg_get_expr(partition.relpartbound, 0) desc, index",
    )
    .bind(MESSAGES.name)
    .fetch_all(connection)
    .await?;
    let missing =
        |(index, partition, name, is_torn, definition)| Missing { index, partition, name, is_torn, definition };
    Ok(rows.into_iter().map(missing).collect())
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}
