//! The weekly partitions of messages and attempts, made ahead of time.

use chrono::{Datelike, Days, NaiveTime};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::connections::PgDatabase;
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::infrastructure::storage::shared::first_id;

/// The current week and those that follow it.
const WEEKS: u64 = 5;

const PARTITIONED: [&str; 2] = ["messaging_messages", "messaging_message_attempts"];

/// Creates the partitions of this week and the next four. One that cannot be created now is left to the next time: the
/// default partition takes its rows, and is also the usual reason, once it has some.
pub(super) async fn create_ahead(database: &PgDatabase, now: Timestamp) {
    for table in PARTITIONED {
        for week in 0..WEEKS {
            let Some(partition) = Partition::of(table, now, week) else { continue };
            if let Err(error) = partition.create(database).await {
                tracing::warn!(partition = partition.name, %error, "a partition could not be made");
            }
        }
    }
}

/// PostgreSQL's SQLSTATE.
const DUPLICATE_TABLE: &str = "42P07";

struct Partition {
    table: &'static str,
    /// E.g. `messaging_messages_2026_w48`, by the ISO week.
    name: String,
    from: Uuid,
    to: Uuid,
}

impl Partition {
    fn of(table: &'static str, now: Timestamp, weeks_ahead: u64) -> Option<Self> {
        let today = now.date_naive();
        let monday = today.checked_sub_days(Days::new(today.weekday().num_days_from_monday().into()))?;
        let from = monday.checked_add_days(Days::new(7 * weeks_ahead))?;
        let to = from.checked_add_days(Days::new(7))?;
        let week = from.iso_week();
        Some(Self {
            table,
            name: format!("{table}_{}_w{:02}", week.year(), week.week()),
            from: first_id(from.and_time(NaiveTime::MIN).and_utc()),
            to: first_id(to.and_time(NaiveTime::MIN).and_utc()),
        })
    }

    async fn create(&self, database: &PgDatabase) -> Result<(), RepositoryError> {
        database
            .run(async |connection| {
                if self.exists(connection).await? {
                    return Ok(());
                }
                let mut transaction = connection.begin().await?;
                // Creating a partition waits for every user of the table, and all later ones then wait behind it.
                sqlx::query("set local lock_timeout = '1s'").execute(&mut *transaction).await?;
                sqlx::query("select pg_advisory_xact_lock(hashtext('correio partitions'))")
                    .execute(&mut *transaction)
                    .await?;
                if self.exists(&mut transaction).await? {
                    return Ok(());
                }
                // Identifiers and bounds cannot be parameters; these are made above, of nothing but letters and digits.
                let created = sqlx::query(AssertSqlSafe(format!(
                    "create table {} partition of {} for values from ('{}') to ('{}')",
                    self.name, self.table, self.from, self.to
                )))
                .execute(&mut *transaction)
                .await;
                match created {
                    Ok(_) => transaction.commit().await,
                    // A partition that another process created while we waited is not always seen by the check above.
                    Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(DUPLICATE_TABLE) => Ok(()),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    async fn exists(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("select to_regclass($1) is not null").bind(&self.name).fetch_one(connection).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_and_has_the_year_it_mostly_lies_in() {
        let now = "2026-12-31T23:59:59Z".parse().unwrap();
        let names: Vec<String> = (0..2).map(|week| Partition::of("m", now, week).unwrap().name).collect();
        assert_eq!(names, ["m_2026_w53", "m_2027_w01"]);
    }

    #[test]
    fn every_id_of_a_week_lies_within_its_bounds_and_weeks_touch() {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let [this, next] = [0, 1].map(|week| Partition::of("m", now, week).unwrap());
        let sunday: Timestamp = "2026-11-29T23:59:59.999Z".parse().unwrap();
        let last = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, sunday.timestamp() as u64, 999_000_000));
        assert!(this.from < last && last < this.to);
        assert_eq!(this.to, next.from);
    }
}
