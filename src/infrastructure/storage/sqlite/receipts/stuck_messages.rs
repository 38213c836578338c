use std::time::Duration;

use async_trait::async_trait;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteRow;

use crate::application::ports::{RepositoryError, SearchError, StuckMessages};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::receipt::{StuckOfInstance, StuckSince};
use crate::infrastructure::storage::shared::awaits_receipt;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, id, time_option, time_text};

#[derive(Clone)]
pub struct SqliteStuckMessages {
    database: SqliteDatabase,
}

/// The last of an instance, each a range of the index; no newer than a time.
macro_rules! latest {
    ($what:literal, $more:literal) => {
        concat!(
            "(select ",
            $what,
            " from (select messages.sent_at
                      from messaging_messages as messages indexed by messaging_messages_awaiting_receipts
                     where ",
            awaits_receipt!(),
            "          and messages.tenant = instances.tenant
                       and messages.channel = instances.channel
                       and messages.instance_id = instances.id
                       and messages.sent_at < asked.sent_before ",
            $more,
            "        order by messages.sent_at desc
                     limit 100000))"
        )
    };
}

const COUNT: &str = concat!(
    ") select instances.id as instance_id, ",
    latest!("count(*)", ""),
    " as count, ",
    latest!("min(sent_at)", "and messages.sent_at > coalesce(times.last_at, '')"),
    " as none_since
       from asked
       join messaging_instances as instances
         on instances.channel = asked.channel
       left join messaging_receipt_times as times
         on times.instance_id = instances.id
      where count > 0"
);

impl SqliteStuckMessages {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl StuckMessages for SqliteStuckMessages {
    async fn count(&self, stuck: &[StuckSince], _: Timestamp) -> Result<Vec<StuckOfInstance>, RepositoryError> {
        if stuck.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.database.searches().find(None, statement(stuck)).await.map_err(|error| match error {
            SearchError::Repository(error) => error,
            error => RepositoryError::Unavailable(error.to_string()),
        })?;
        rows.iter().map(stuck_of_instance).collect()
    }

    async fn note_receipts(&self, came: &[(InstanceId, Timestamp)]) -> Result<(), RepositoryError> {
        let mut transaction = self.database.begin().await?;
        for (instance, at) in came {
            let note = "insert into messaging_receipt_times (instance_id, last_at)
                        values (?1, ?2)
                            on conflict do update
                           set last_at = excluded.last_at
                         where last_at < excluded.last_at";
            let note = sqlx::query(note).bind(instance.0.hyphenated()).bind(time_text(*at));
            note.execute(&mut *transaction).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)
    }

    async fn publish(&self, after: &[(ChannelName, Duration)]) -> Result<(), RepositoryError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("delete from messaging_stuck_after").execute(&mut *transaction).await.map_err(translate)?;
        for (channel, after) in after {
            sqlx::query("insert into messaging_stuck_after (channel, milliseconds) values (?1, ?2)")
                .bind(channel.as_str())
                .bind(i64::try_from(after.as_millis()).unwrap_or(i64::MAX))
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)
    }
}

fn statement(stuck: &[StuckSince]) -> QueryBuilder<sqlx::Sqlite> {
    let mut query = QueryBuilder::new("with asked (channel, sent_before) as (");
    query.push_values(stuck, |mut row, stuck| {
        row.push_bind(stuck.channel.as_str().to_owned());
        row.push_bind(time_text(stuck.sent_before));
    });
    query.push(COUNT);
    query
}

fn stuck_of_instance(row: &SqliteRow) -> Result<StuckOfInstance, RepositoryError> {
    let count: i64 = get(row, "count")?;
    Ok(StuckOfInstance {
        instance: InstanceId(id(row, "instance_id")?),
        count: count.cast_unsigned(),
        none_since: time_option(row, "none_since")?,
    })
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row};

    use super::*;
    use crate::application::ports::MOST_COUNTED;

    #[test]
    fn as_many_are_counted_as_the_port_says() {
        assert_eq!(COUNT.matches(&format!("limit {MOST_COUNTED})")).count(), 2);
    }

    /// However long the history is, what waits for a receipt is read, and each instance's apart.
    #[tokio::test]
    async fn each_instance_is_a_range_of_the_index_of_what_waits() {
        let directory = tempfile::tempdir().unwrap();
        let database = SqliteDatabase::open(&directory.path().join("correio.db")).await.unwrap();
        database.migrate().await.unwrap();
        let stuck = StuckSince { channel: ChannelName::new("whatsapp_evolution"), sent_before: Timestamp::UNIX_EPOCH };
        let explain = format!("explain query plan {}", statement(&[stuck]).into_string());
        let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(database.readers()).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        let of_messages: Vec<&String> = steps.iter().filter(|step| step.contains("messages USING")).collect();
        assert!(!of_messages.is_empty(), "{steps:#?}");
        for step in of_messages {
            let range = "(tenant=? AND channel=? AND instance_id=? AND sent_at";
            assert!(step.contains("INDEX messaging_messages_awaiting_receipts") && step.contains(range), "{steps:#?}");
        }
    }
}
