//! The partitions: one a week, and the default one for what lies in none.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::infrastructure::storage::shared::first_id;

/// The current week and those that follow it: so many are there ahead of time.
pub const WEEKS: u64 = 5;

pub const MESSAGES: Partitioned = Partitioned { name: "messaging_messages", key: "id" };
pub const ATTEMPTS: Partitioned = Partitioned { name: "messaging_message_attempts", key: "message_id" };
pub const PARTITIONED: [&Partitioned; 2] = [&MESSAGES, &ATTEMPTS];

/// A table that is partitioned by weeks.
#[derive(Debug)]
pub struct Partitioned {
    pub name: &'static str,
    /// The column whose ids say in which week a row lies.
    pub key: &'static str,
}

impl Partitioned {
    /// The name of its default partition.
    pub fn default_partition(&self) -> String {
        format!("{}_default", self.name)
    }

    /// Those that there are, the oldest first.
    pub async fn weeks(&'static self, connection: &mut PgConnection) -> Result<Vec<Partition>, sqlx::Error> {
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
        .bind(self.name)
        .fetch_all(connection)
        .await?;
        Ok(rows.into_iter().map(|(name, from, to)| Partition { table: self, name, from, to }).collect())
    }
}

#[derive(Clone, Debug)]
pub struct Partition {
    pub table: &'static Partitioned,
    /// E.g. `messaging_messages_2026_w48`, by the ISO week.
    pub name: String,
    /// The least id in it, and the least one above it.
    pub from: Uuid,
    pub to: Uuid,
}

impl Partition {
    /// The one of the week in which `now` lies, or of a later one.
    pub fn of(table: &'static Partitioned, now: Timestamp, weeks_ahead: u64) -> Option<Self> {
        let today = now.date_naive();
        let monday = today.checked_sub_days(Days::new(today.weekday().num_days_from_monday().into()))?;
        let from = monday.checked_add_days(Days::new(7 * weeks_ahead))?;
        let to = from.checked_add_days(Days::new(7))?;
        let week = from.iso_week();
        Some(Self {
            table,
            name: format!("{}_{}_w{:02}", table.name, week.year(), week.week()),
            from: id_of_midnight(from),
            to: id_of_midnight(to),
        })
    }

    /// The one of the week in which this id lies.
    pub fn holding(table: &'static Partitioned, id: Uuid) -> Option<Self> {
        let milliseconds = i64::try_from(id.as_u128() >> 80).ok()?;
        Self::of(table, DateTime::from_timestamp_millis(milliseconds)?, 0)
    }

    /// Whether it is a week from Monday to Monday, as the counts have them.
    pub fn is_whole(&self) -> bool {
        Self::holding(self.table, self.from).is_some_and(|week| (week.from, week.to) == (self.from, self.to))
    }

    /// Whether there is a partition already that has a part of this week, or all of it.
    pub async fn exists(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(
            "select exists (
                 select
                   from pg_inherits
                   join pg_class
                     on pg_class.oid = pg_inherits.inhrelid
                  cross join lateral regexp_match(
                        pg_get_expr(pg_class.relpartbound, 0),
                        'FROM \\(''([0-9a-f-]{36})''\\) TO \\(''([0-9a-f-]{36})''\\)') as bounds
                  where pg_inherits.inhparent = to_regclass($1)
                    and bounds[1]::uuid < $3
                    and bounds[2]::uuid > $2)",
        )
        .bind(self.table.name)
        .bind(self.from)
        .bind(self.to)
        .fetch_one(connection)
        .await
    }

    /// How many rows of this week are in the default partition, counted up to `limit`.
    pub async fn strays(&self, connection: &mut PgConnection, limit: i64) -> Result<i64, sqlx::Error> {
        let (default, key) = (self.table.default_partition(), self.table.key);
        // Names cannot be parameters; these are constants.
        sqlx::query_scalar(AssertSqlSafe(format!(
            "select count(*)
               from (select
                       from {default}
                      where {key} >= $1
                        and {key} < $2
                      order by {key}
                      limit $3) as counted"
        )))
        .bind(self.from)
        .bind(self.to)
        .bind(limit)
        .fetch_one(connection)
        .await
    }
}

fn id_of_midnight(day: NaiveDate) -> Uuid {
    first_id(day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_and_has_the_year_it_mostly_lies_in() {
        let now = "2026-12-31T23:59:59Z".parse().unwrap();
        let names: Vec<String> = (0..2).map(|week| Partition::of(&MESSAGES, now, week).unwrap().name).collect();
        assert_eq!(names, ["messaging_messages_2026_w53", "messaging_messages_2027_w01"]);
    }

    #[test]
    fn every_id_of_a_week_lies_within_its_bounds_and_weeks_touch() {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let [this, next] = [0, 1].map(|week| Partition::of(&MESSAGES, now, week).unwrap());
        let sunday: Timestamp = "2026-11-29T23:59:59.999Z".parse().unwrap();
        let last = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, sunday.timestamp() as u64, 999_000_000));
        assert!(this.from < last && last < this.to);
        assert_eq!(this.to, next.from);
    }

    #[test]
    fn the_week_of_an_id_is_the_one_whose_bounds_are_around_it() {
        let now = "2026-12-31T23:59:59Z".parse().unwrap();
        let [this, next] = [0, 1].map(|week| Partition::of(&MESSAGES, now, week).unwrap());
        let last = Uuid::from_u128(this.to.as_u128() - 1);
        for (id, week) in [(this.from, &this), (last, &this), (this.to, &next)] {
            assert_eq!(Partition::holding(&MESSAGES, id).unwrap().name, week.name);
        }
        assert_eq!(Partition::holding(&MESSAGES, Uuid::nil()).unwrap().name, "messaging_messages_1970_w01");
        assert!(Partition::holding(&MESSAGES, Uuid::max()).is_some());
    }
}
