//! Work on the partitions that may take hours, on a connection of its own and by one process at a time.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use super::failures::Failures;
use super::indexes;
use super::parameters::{CLOSED, passed_over, set, unclosed, unset, written};
use super::partition::{PARTITIONED, Partition, WEEKS};
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::error::translate;
use crate::infrastructure::storage::postgres::messages::{count_anew, delete_nothing, doubt_dropped, uncounted};
use crate::infrastructure::storage::shared::first_id;

/// After this time a server that answers nothing any more is given up. It ends what it does by itself.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// Days after its end at which a week is vacuumed: most retries, replays and receipts are behind it.
const DAYS_UNTIL_CLOSED: chrono::Duration = chrono::Duration::days(3);

/// Sets the storage parameters of the partitions, makes weeks that could not be made in passing, counts the messages of those
/// that are to be counted anew, makes indexes that are missing, and vacuums weeks that are over: after an update of a large
/// installation those take longest, and searches wait for none of them.
pub async fn overhaul(database: &PgDatabase, now: Timestamp) -> Result<(), RepositoryError> {
    let mut connection = database.server.connect_apart().await?;
    let work = async {
        // Nothing here keeps a reader or a writer waiting while it runs; what it waits for itself, it waits for briefly.
        sqlx::raw_sql("set statement_timeout = 0").execute(&mut connection).await?;
        let is_alone: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtext('correio overhaul'))")
            .fetch_one(&mut connection)
            .await?;
        if is_alone {
            make_steps(&mut connection, now).await?;
        }
        // The lock goes with the connection.
        connection.close().await
    };
    let done = timeout(LONGEST, work).await;
    done.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(translate)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Parameters,
    LargeWeeks,
    Counts,
    Indexes,
    Vacuums,
}

/// Makes them all, also after one that failed: what keeps failing must not keep the others from ever being made.
async fn make_steps(connection: &mut PgConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    let mut failures = Failures::default();
    for step in [Step::Parameters, Step::LargeWeeks, Step::Counts, Step::Indexes, Step::Vacuums] {
        let made = make_step(connection, step, now).await;
        failures.note(&format!("{step:?}"), made);
    }
    failures.first()
}

async fn make_step(connection: &mut PgConnection, step: Step, now: Timestamp) -> Result<(), sqlx::Error> {
    // The step before may have set another.
    sqlx::raw_sql("set lock_timeout = '1s'").execute(&mut *connection).await?;
    match step {
        Step::Parameters => set_parameters(connection).await,
        Step::LargeWeeks => make_large(connection, now).await,
        Step::Counts => count(connection).await,
        Step::Indexes => indexes::complete(connection).await,
        Step::Vacuums => close(connection, now).await,
    }
}

async fn set_parameters(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut failures = Failures::default();
    for table in PARTITIONED {
        for partition in unset(connection, table).await? {
            let done = passed_over(&partition, set(connection, &partition, &written(table)).await);
            failures.note(&partition, done);
        }
    }
    failures.first()
}

/// A week's last vacuum: when nothing is written any more, nothing calls for one, and what was dead by then would stay.
async fn close(connection: &mut PgConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    let before = first_id(now - DAYS_UNTIL_CLOSED);
    let mut failures = Failures::default();
    for table in PARTITIONED {
        for partition in unclosed(connection, table, before).await? {
            let closed = passed_over(&partition, vacuum(connection, &partition).await);
            failures.note(&partition, closed);
        }
    }
    failures.first()
}

/// Counts what was there before changes were counted, and weeks of which something was dropped; the youngest first.
async fn count(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut failures = Failures::default();
    failures.note("dropped weeks", doubt_dropped(connection).await);
    for week in uncounted(connection).await? {
        failures.note(&format!("week {week}"), count_anew(connection, week).await);
    }
    failures.note("counts of nothing", delete_nothing(connection).await);
    failures.first()
}

async fn vacuum(connection: &mut PgConnection, partition: &str) -> Result<(), sqlx::Error> {
    // Without the end being cut off, which would need the table exclusively.
    let statement = format!("vacuum (analyze, truncate off) {partition}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    set(connection, partition, CLOSED).await?;
    tracing::info!(partition, "a week that is over was vacuumed");
    Ok(())
}

/// Makes what can be made of a week whose rows in the default partition are too many to be moved, or of any week while the
/// default partition is too large to be looked through.
async fn make_large(connection: &mut PgConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    let mut failures = Failures::default();
    for table in PARTITIONED {
        let default = table.default_partition();
        // What a process that died here left behind would refuse messages once their time comes.
        let unfenced = unfence(connection, &default).await;
        failures.note(&default, passed_over(&default, unfenced));
        for week in (0..WEEKS).filter_map(|week| Partition::of(table, now, week)) {
            failures.note(&week.name, make_parts(connection, &week, now).await);
        }
    }
    failures.first()
}

async fn make_parts(connection: &mut PgConnection, week: &Partition, now: Timestamp) -> Result<(), sqlx::Error> {
    if week.exists(connection).await? || !week.is_large(connection).await? {
        return Ok(());
    }
    let (default, mut failures) = (week.table.default_partition(), Failures::default());
    for part in free_parts(connection, week, now).await? {
        let made = make_apart(connection, &part).await;
        failures.note(&part.name, passed_over(&part.name, made));
        let unfenced = unfence(connection, &default).await;
        failures.note(&default, passed_over(&default, unfenced));
    }
    failures.first()
}

const HOUR: u128 = 60 * 60 * 1_000;

/// The parts of a week that the default partition has no rows of and that begin in an hour or later: what lies before the
/// strays, and what lies behind them. Those of a clock that jumped lie close together.
async fn free_parts(
    connection: &mut PgConnection,
    week: &Partition,
    now: Timestamp,
) -> Result<Vec<Partition>, sqlx::Error> {
    let (default, key) = (week.table.default_partition(), week.table.key);
    let end = async |connection: &mut PgConnection, direction: &str| {
        let query = AssertSqlSafe(format!(
            "select {key} from {default} where {key} >= $1 and {key} < $2 order by {key} {direction} limit 1"
        ));
        sqlx::query_scalar::<_, uuid::Uuid>(query).bind(week.from).bind(week.to).fetch_optional(connection).await
    };
    let soon = hours_of(first_id(now)) + 2;
    let (first, last) = (end(connection, "asc").await?, end(connection, "desc").await?);
    let (from, to) = (hours_of(week.from), hours_of(week.to));
    let parts = match (first, last) {
        (Some(first), Some(last)) => vec![(from, hours_of(first)), (soon.max(hours_of(last) + 1), to)],
        _ => vec![(soon.max(from), to)],
    };
    let parts = parts.into_iter().filter(|(from, to)| *from >= soon && from < to);
    Ok(parts.map(|(from, to)| part(week, from, to)).collect())
}

fn hours_of(id: uuid::Uuid) -> u128 {
    (id.as_u128() >> 80) / HOUR
}

/// A part of a week, by hours since 1970: `.._w48` where it begins with the week, else e.g. `.._w48_from_d3h14`.
fn part(week: &Partition, from: u128, to: u128) -> Partition {
    let begun = from - hours_of(week.from);
    let name = match begun {
        0 => week.name.clone(),
        _ => format!("{}_from_d{}h{:02}", week.name, begun / 24 + 1, begun % 24),
    };
    let id = |hours: u128| uuid::Uuid::from_u128((hours * HOUR) << 80);
    Partition { name, from: id(from), to: id(to), ..week.clone() }
}

/// Makes a partition of which the default one has no rows, without that being looked through under a lock: a check proves
/// first, beside all readers and writers, that there are none. While it is there, such rows would be refused: hence only
/// of hours that are still to come.
async fn make_apart(connection: &mut PgConnection, part: &Partition) -> Result<(), sqlx::Error> {
    let Partition { table, name, from, to } = part;
    let (parent, key, default) = (table.name, table.key, table.default_partition());
    let run = async |connection: &mut PgConnection, statements: String| {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await
    };
    let fence = format!(
        "alter table {default}
           add constraint {default}_fence check ({key} < '{from}' or {key} >= '{to}') not valid"
    );
    run(connection, fence).await?;
    run(connection, format!("alter table {default} validate constraint {default}_fence")).await?;
    let like = part.empty_table();
    let mut transaction = connection.begin().await?;
    let attach = format!(
        "{like};
         alter table {parent} attach partition {name} for values from ('{from}') to ('{to}');
         alter table {name} drop constraint {name}_week;
         alter table {default} drop constraint {default}_fence"
    );
    run(&mut transaction, attach).await?;
    transaction.commit().await?;
    tracing::warn!(
        partition = name,
        "the partition is made; rows of its week stay in the default partition, because they are too many to be moved"
    );
    Ok(())
}

/// Takes away what [`make_apart`] has left when it failed. Looked for first: without one, no lock is taken.
async fn unfence(connection: &mut PgConnection, default: &str) -> Result<(), sqlx::Error> {
    let fence = format!("{default}_fence");
    let is_there: bool = sqlx::query_scalar(
        "select exists (
             select
               from pg_constraint
              where conrelid = to_regclass($1)
                and conname = $2)",
    )
    .bind(default)
    .bind(&fence)
    .fetch_one(&mut *connection)
    .await?;
    if is_there {
        let drop = format!("alter table {default} drop constraint if exists {fence}");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infrastructure::storage::postgres::weeks::partition::MESSAGES;

    #[test]
    fn a_part_of_a_week_says_when_it_begins() {
        let week = Partition::of(&MESSAGES, "2026-11-25T12:00:00Z".parse().unwrap(), 0).unwrap();
        let (from, to) = (hours_of(week.from), hours_of(week.to));
        let whole = part(&week, from, to);
        assert_eq!((&whole.name, whole.from, whole.to), (&week.name, week.from, week.to));
        let rest = part(&week, from + 2 * 24 + 14, to);
        assert_eq!((&*rest.name, rest.to), ("messaging_messages_2026_w48_from_d3h14", week.to));
        assert_eq!(rest.from, first_id("2026-11-25T14:00:00Z".parse().unwrap()));
    }
}
