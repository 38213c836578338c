use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::application::ports::{MOST_COUNTED, RepositoryError, StuckMessages};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::receipt::{StuckOfInstance, StuckSince};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::floor::{Floor, Span};
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::awaits_receipt;

/// The last two weeks, and those ahead, are counted each time; the older ones in turns, eight weeks at a time, as the looks of the
/// relay ask about them: what is counted there is kept until their turn comes again.
#[derive(Clone)]
pub struct PgStuckMessages {
    database: PgDatabase,
    /// Of these counts alone: whose turn is next.
    turns: Floor,
    older: Arc<Mutex<HashMap<Span, Vec<StuckOfInstance>>>>,
}

/// Of weeks whose bounds are in the text, so that no others are planned for. Each instance is a range of the index.
pub const COUNT: &str = concat!(
    "select instances.id as instance_id, stuck.count, stuck.none_since
       from (select unnest($1::text[]) as channel, unnest($2::timestamptz[]) as sent_before) as asked
       join messaging_instances as instances
         on instances.channel = asked.channel
       left join messaging_receipt_times as times
         on times.instance_id = instances.id
      cross join lateral (
                select count(*) as count,
                       min(sent_at) filter (where times.last_at is null or sent_at > times.last_at) as none_since
                  from (select messages.sent_at
                          from messaging_messages as messages
                         where ",
    awaits_receipt!(),
    "                      and messages.instance_id = instances.id
                           and messages.sent_at < asked.sent_before
                           and messages.id >= :from
                           and messages.id < :to
                         order by messages.sent_at desc
                         limit $3) as latest) as stuck
      where stuck.count > 0"
);

/// Planned for what is there: a plan that was made while a week was empty would be kept when it is full.
pub const MADE_NOW: &str = "set local plan_cache_mode = force_custom_plan;
                        set local statement_timeout = '3s';
                        set local lock_timeout = '1s'";

impl PgStuckMessages {
    pub fn new(database: PgDatabase) -> Self {
        Self { database, turns: Floor::default(), older: Arc::default() }
    }

    async fn count_in(&self, weeks: Span, stuck: &[StuckSince]) -> Result<Vec<StuckOfInstance>, RepositoryError> {
        let channels: Vec<String> = stuck.iter().map(|stuck| stuck.channel.as_str().to_owned()).collect();
        let times: Vec<Timestamp> = stuck.iter().map(|stuck| stuck.sent_before).collect();
        let query = sqlx::query(AssertSqlSafe(weeks.name_in(COUNT)))
            .bind(channels)
            .bind(times)
            .bind(MOST_COUNTED.cast_signed())
            .persistent(false);
        let count = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            sqlx::raw_sql(MADE_NOW).execute(&mut *transaction).await?;
            let rows = query.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        self.database.run(count).await?.iter().map(stuck_of_instance).collect()
    }

    fn older(&self) -> MutexGuard<'_, HashMap<Span, Vec<StuckOfInstance>>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StuckMessages for PgStuckMessages {
    async fn count(&self, stuck: &[StuckSince], now: Timestamp) -> Result<Vec<StuckOfInstance>, RepositoryError> {
        let asking = self.turns.begin(now, Instant::now());
        if asking.are_all() {
            self.older().clear();
        }
        for span in &asking.spans {
            let counted = self.count_in(*span, stuck).await?;
            self.older().insert(*span, counted);
        }
        self.turns.take_in(&asking, &vec![Some(false); asking.spans.len()], Instant::now());
        let recent = self.count_in(asking.recent_weeks(), stuck).await?;
        let mut counts: HashMap<InstanceId, StuckOfInstance> = HashMap::new();
        for one in self.older().values().flatten().chain(&recent) {
            counts.entry(one.instance).and_modify(|sum| *sum = added(*sum, *one)).or_insert(*one);
        }
        Ok(counts.into_values().collect())
    }

    async fn note_receipts(&self, came: &[(InstanceId, Timestamp)]) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "insert into messaging_receipt_times as times (instance_id, last_at)
             select instance_id, max(last_at)
               from (select unnest($1::uuid[]) as instance_id, unnest($2::timestamptz[]) as last_at) as came
              group by instance_id
              order by instance_id
                 on conflict (instance_id) do update
                set last_at = excluded.last_at
              where times.last_at < excluded.last_at",
        )
        .bind(came.iter().map(|(instance, _)| instance.0).collect::<Vec<Uuid>>())
        .bind(came.iter().map(|(_, at)| *at).collect::<Vec<_>>());
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn publish(&self, after: &[(ChannelName, Duration)]) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "with said as (
                  select unnest($1::text[]) as channel, unnest($2::bigint[]) as milliseconds
             ), withdrawn as (
                  delete from messaging_stuck_after
                   where channel <> all($1)
             )
             insert into messaging_stuck_after as stuck (channel, milliseconds)
             select channel, milliseconds
               from said
              order by channel
                 on conflict (channel) do update
                set milliseconds = excluded.milliseconds
              where stuck.milliseconds <> excluded.milliseconds",
        )
        .bind(after.iter().map(|(channel, _)| channel.as_str().to_owned()).collect::<Vec<_>>())
        .bind(after.iter().map(|(_, after)| i64::try_from(after.as_millis()).unwrap_or(i64::MAX)).collect::<Vec<_>>());
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }
}

/// What is stuck of one instance in different weeks.
fn added(one: StuckOfInstance, other: StuckOfInstance) -> StuckOfInstance {
    StuckOfInstance {
        instance: one.instance,
        count: (one.count + other.count).min(MOST_COUNTED),
        none_since: one.none_since.into_iter().chain(other.none_since).min(),
    }
}

fn stuck_of_instance(row: &PgRow) -> Result<StuckOfInstance, RepositoryError> {
    let count: i64 = get(row, "count")?;
    Ok(StuckOfInstance {
        instance: InstanceId(get(row, "instance_id")?),
        count: count.cast_unsigned(),
        none_since: get(row, "none_since")?,
    })
}
