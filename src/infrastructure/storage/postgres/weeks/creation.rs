//! Making weeks: ahead of time, or late, when rows of theirs are in the default partition already.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::parameters::written;
use super::partition::{PARTITIONED, Partition, Partitioned, WEEKS};
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::infrastructure::storage::postgres::PgDatabase;

/// Rows that are moved while every other statement waits: about a second's work.
pub const MOVED_AT_ONCE: i64 = 20_000;

/// Bytes of a default partition, long texts included, that are looked through while every other statement waits. It is also
/// the most that is moved.
pub const LOOKED_THROUGH: i64 = 128 << 20;

/// Weeks that are made late in one round: others get their turn in between.
const MADE_LATE: usize = 8;

/// Weeks of the past that are looked for in one round.
const PAST_WEEKS: usize = 200;

/// PostgreSQL's SQLSTATE.
const DUPLICATE_TABLE: &str = "42P07";

/// Makes the partitions of this week and the next four, and of weeks before, as far as the default partition has rows of
/// theirs. One that cannot be made now is left to the next time: the default partition takes its rows until then.
pub async fn keep(database: &PgDatabase, now: Timestamp) {
    for table in PARTITIONED {
        let wanted = match wanted(database, table, now).await {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::warn!(table = table.name, %error, "the default partition could not be looked at");
                continue;
            }
        };
        let mut made = 0;
        for partition in wanted {
            match partition.make(database).await {
                Ok(false) => {}
                Ok(true) => made += 1,
                // Something uses the table for longer than others may wait behind this; nor would the next week get it.
                Err(error @ RepositoryError::Contested(_)) => {
                    tracing::warn!(partition = partition.name, %error, "a partition could not be made");
                    break;
                }
                Err(error) => tracing::warn!(partition = partition.name, %error, "a partition could not be made"),
            }
            if made == MADE_LATE {
                break;
            }
        }
    }
}

/// Weeks that shall be there. Those further ahead are not: what a clock that jumped put there waits in the default
/// partition until its time is near.
async fn wanted(
    database: &PgDatabase,
    table: &'static Partitioned,
    now: Timestamp,
) -> Result<Vec<Partition>, RepositoryError> {
    let ahead: Vec<Partition> = (0..WEEKS).filter_map(|week| Partition::of(table, now, week)).collect();
    let Some(this) = ahead.first() else { return Ok(ahead) };
    let mut wanted = database.run(async |connection| past(connection, this).await).await?;
    // These first: messages of this week are coming in.
    wanted.splice(0..0, ahead);
    Ok(wanted)
}

/// The weeks before this one of which the default partition has rows, one probe each.
async fn past(connection: &mut PgConnection, this: &Partition) -> Result<Vec<Partition>, sqlx::Error> {
    let (default, key) = (this.table.default_partition(), this.table.key);
    let (mut weeks, mut from) = (Vec::new(), Uuid::nil());
    while weeks.len() < PAST_WEEKS {
        let stray: Option<Uuid> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select {key} from {default} where {key} >= $1 and {key} < $2 order by {key} limit 1"
        )))
        .bind(from)
        .bind(this.from)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(week) = stray.and_then(|id| Partition::holding(this.table, id)) else { break };
        from = week.to;
        weeks.push(week);
    }
    Ok(weeks)
}

impl Partition {
    /// Makes the partition, with those of its rows that are in the default one, unless there are too many of them or that
    /// is too large to be looked through while others wait: see `overhaul.rs`. True when it was made.
    async fn make(&self, database: &PgDatabase) -> Result<bool, RepositoryError> {
        database
            .run(async |connection| {
                if self.exists(connection).await? || self.is_large(connection).await? {
                    return Ok(false);
                }
                let mut transaction = connection.begin().await?;
                // Making a partition waits for every user of the table, and all later ones then wait behind it.
                sqlx::raw_sql("set local lock_timeout = '1s'; set local statement_timeout = '5s'")
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query("select pg_advisory_xact_lock(hashtext('correio partitions'))")
                    .execute(&mut *transaction)
                    .await?;
                if self.exists(&mut transaction).await? {
                    return Ok(false);
                }
                match sqlx::raw_sql(AssertSqlSafe(self.creation())).execute(&mut *transaction).await {
                    Ok(_) => transaction.commit().await.map(|()| true),
                    // A partition that another process made while we waited is not always seen by the check above.
                    Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(DUPLICATE_TABLE) => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// Whether making it would keep others waiting for long.
    pub async fn is_large(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let default = self.table.default_partition();
        let bytes: i64 = sqlx::query_scalar("select pg_table_size(to_regclass($1))")
            .bind(default)
            .fetch_one(&mut *connection)
            .await?;
        Ok(bytes > LOOKED_THROUGH || self.strays(connection, MOVED_AT_ONCE + 1).await? > MOVED_AT_ONCE)
    }

    /// The parent is locked first, and for itself: whatever statement has it already is waited for, and whatever comes
    /// waits there and plans with the new week. One that waited for the default partition alone, its plan half made, would
    /// look for a moved row where it is no longer, and an outcome would be lost without a word.
    ///
    /// Names and bounds cannot be parameters; these are made of nothing but letters and digits.
    fn creation(&self) -> String {
        let Self { table, name, from, to } = self;
        let (parent, key, default) = (table.name, table.key, table.default_partition());
        let like = self.empty_table();
        format!(
            "lock table only {parent} in access exclusive mode;
             lock table {default} in access exclusive mode;
             {like};
             with moved as (
                  delete from {default}
                   where {key} >= '{from}'
                     and {key} < '{to}'
                  returning *
             )
             insert into {name}
             select * from moved;
             alter table {parent} attach partition {name} for values from ('{from}') to ('{to}');
             alter table {name} drop constraint {name}_week"
        )
    }

    /// A table like the parent whose check says what the partition's bounds will: it is not looked through when it becomes
    /// one.
    pub fn empty_table(&self) -> String {
        let Self { table, name, from, to } = self;
        let (parent, key, parameters) = (table.name, table.key, written(table));
        format!(
            "create table {name} (
                 like {parent} including all,
                 constraint {name}_week check ({key} >= '{from}' and {key} < '{to}')
             ) with ({parameters})"
        )
    }
}
