//! Partitions of minutes, in the place of those of weeks.

use std::time::Duration;

use chrono::Utc;

use crate::Result;
use crate::database::Database;

const TABLES: [&str; 2] = ["messaging_messages", "messaging_message_attempts"];

/// Shorter ones, as when the tool is only tried, are over before a program has started: what comes then lies in none of them.
const SHORTEST: Duration = Duration::from_secs(10);

/// Weeks that are as long as this, from a minute ago on.
pub struct ShortWeeks {
    /// Milliseconds since 1970.
    begin: i64,
    length: Duration,
    made: u32,
}

impl ShortWeeks {
    /// Drops the weeks that a program has just made, and makes those until now and so many after it. A process makes none where there is
    /// a part of one.
    pub async fn begin(database: &mut Database, length: Duration, ahead: u32) -> Result<Self> {
        for table in TABLES {
            database.execute(drop_weeks(table)).await?;
        }
        let mut weeks = Self { begin: Utc::now().timestamp_millis() - 60_000, length, made: 0 };
        weeks.go_on(database, ahead).await?;
        Ok(weeks)
    }

    /// So that as many lie ahead after this time as in the beginning: as many as there are, whatever is dropped.
    pub async fn go_on(&mut self, database: &mut Database, ahead: u32) -> Result<()> {
        if self.length < SHORTEST {
            return self.make(database, ahead).await;
        }
        let since = Utc::now().timestamp_millis() - self.begin;
        let over = u32::try_from(since / self.milliseconds())?;
        self.make(database, over + ahead).await
    }

    async fn make(&mut self, database: &mut Database, until: u32) -> Result<()> {
        while self.made < until {
            let bounds = [0, 1].map(|more| least_id(self.begin + i64::from(self.made + more) * self.milliseconds()));
            for table in TABLES {
                let [from, to] = &bounds;
                let number = self.made;
                database
                    .execute(format!(
                        "create table {table}_part_{number} partition of {table} for values from ('{from}') to ('{to}')"
                    ))
                    .await?;
            }
            self.made += 1;
        }
        Ok(())
    }

    fn milliseconds(&self) -> i64 {
        i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The least id (a UUID of version 7) of this time.
fn least_id(milliseconds: i64) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::from(milliseconds.unsigned_abs()) << 80)
}

fn drop_weeks(table: &str) -> String {
    format!(
        "do $$
         declare
             week regclass;
         begin
             for week in
                 select inhrelid
                   from pg_inherits
                  where inhparent = '{table}'::regclass
                    and inhrelid <> '{table}_default'::regclass
             loop
                 execute format('drop table %s', week);
             end loop;
         end $$"
    )
}
