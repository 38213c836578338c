use async_trait::async_trait;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::broadcast_repository::COUNTS;
use crate::application::ports::{BroadcastExpansion, RepositoryError, TakeBroadcasts};
use crate::domain::Timestamp;
use crate::domain::broadcast::Broadcast;
use crate::domain::broadcast::counts::BroadcastCounts;
use crate::domain::broadcast::recipient::BroadcastRecipient;
use crate::domain::message::Message;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::messages::insert_those_missing;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::broadcasts::{broadcast, broadcast_columns, counts, part_of, read_part};
use crate::infrastructure::storage::shared::rows::readable;

#[derive(Clone)]
pub struct PgBroadcastExpansion {
    database: PgDatabase,
}

impl PgBroadcastExpansion {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

const BEGIN_DUE: &str = "
    update messaging_broadcasts
       set status = 'expanding',
           updated_at = $1
     where status = 'scheduled'
       and send_at <= $1";

const TAKE: &str = concat!(
    "update messaging_broadcasts
        set node_id = $1
      where id = any(array(
            select broadcasts.id
              from messaging_broadcasts as broadcasts
             where broadcasts.status = 'expanding'
               and (broadcasts.node_id is null
                    or broadcasts.node_id = $1
                    or broadcasts.node_id = any($2)
                    or not exists (select from messaging_nodes as nodes where nodes.id = broadcasts.node_id))
               and broadcasts.id > $4
               and (broadcasts.paced_at is null or broadcasts.paced_at <= $5 or broadcasts.paced_at > $6)
             order by broadcasts.id
             limit $3
               for update skip locked))
        and status = 'expanding'
     returning ",
    broadcast_columns!()
);

/// The cursor is the lock: of two that make the same chunk, one finds it as it was.
const MOVE_CURSOR: &str = "
    update messaging_broadcasts
       set cursor = cursor + $3,
           status = case when cursor + $3 >= total then 'expanded' else status end,
           paced_at = $5,
           updated_at = $4
     where id = $1
       and status = 'expanding'
       and cursor = $2";

/// No message of it is open, nor will one be: none is waiting. Counted in the statement's own moment.
const FINISH: &str = "
    update messaging_broadcasts as broadcasts
       set status = 'finished',
           finished_at = $1,
           updated_at = $1
     where broadcasts.status = 'expanded'
       and not exists (
           select
             from (select status, count
                     from messaging_broadcast_counts
                    where broadcast_id = broadcasts.id
                   union all
                   select status, change
                     from messaging_broadcast_count_changes
                    where broadcast_id = broadcasts.id) as parts
            where parts.status in ('pending', 'queued', 'processing')
           having sum(parts.count) <> 0)";

/// Nobody reads the recipients of one that has ended.
const FORGET: &str = "
    delete from messaging_broadcast_recipients
     where broadcast_id in (select id
                              from messaging_broadcasts
                             where status in ('cancelled', 'finished')
                               and finished_at > coalesce($1, '-infinity'))";

const ROLL_UP: &str = "
    with changes as (
         delete from messaging_broadcast_count_changes
          where ctid = any(array(select ctid
                                   from messaging_broadcast_count_changes
                                  limit 50000
                                    for update skip locked))
         returning broadcast_id, status, change
     )
     insert into messaging_broadcast_counts as counts (broadcast_id, status, count)
     select broadcast_id, status, sum(change)::bigint
       from changes
      group by broadcast_id, status
     having sum(change) <> 0
      order by broadcast_id, status
         on conflict (broadcast_id, status) do update set count = counts.count + excluded.count";

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[async_trait]
impl BroadcastExpansion for PgBroadcastExpansion {
    async fn is_needed(&self) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "select exists (
                 select
                   from messaging_broadcasts
                  where status in ('scheduled', 'expanding', 'expanded')) as is_needed",
        );
        let row = self.database.run(async |connection| query.fetch_one(connection).await).await?;
        get(&row, "is_needed")
    }

    async fn begin_due(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        let query = sqlx::query(BEGIN_DUE).bind(now);
        Ok(self.database.run(async |connection| query.execute(connection).await).await?.rows_affected())
    }

    async fn take(&self, take: &TakeBroadcasts) -> Result<Vec<Broadcast>, RepositoryError> {
        let gone: Vec<Uuid> = take.gone.iter().map(|node| node.0).collect();
        let after = take.after.map_or_else(Uuid::nil, |after| after.0);
        let (from, to) = take.enough;
        let query = sqlx::query(TAKE).bind(take.node.0).bind(gone).bind(i64::from(take.limit)).bind(after);
        let query = query.bind(from).bind(to);
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        let mut taken = readable(&rows, broadcast);
        taken.sort_unstable_by_key(|broadcast| broadcast.id);
        Ok(taken)
    }

    async fn recipients(
        &self,
        broadcast: &Broadcast,
        from: u32,
        most: u32,
    ) -> Result<Vec<BroadcastRecipient>, RepositoryError> {
        let first = part_of(from);
        let query = sqlx::query(
            "select recipients
               from messaging_broadcast_recipients
              where broadcast_id = $1
                and first = $2",
        )
        .bind(broadcast.id.0)
        .bind(first);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        let Some(row) = row else { return Ok(Vec::new()) };
        read_part(get(&row, "recipients")?, first, from, most)
    }

    async fn counts(&self, broadcast: &Broadcast) -> Result<BroadcastCounts, RepositoryError> {
        let query = sqlx::query(COUNTS).bind(broadcast.id.0);
        counts(&self.database.run(async |connection| query.fetch_all(connection).await).await?)
    }

    async fn expand(
        &self,
        broadcast: &Broadcast,
        messages: &[Message],
        paced_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, RepositoryError> {
        let work = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            let moved = sqlx::query(MOVE_CURSOR)
                .bind(broadcast.id.0)
                .bind(i32::try_from(broadcast.cursor).unwrap_or(i32::MAX))
                .bind(number(messages.len()))
                .bind(now)
                .bind(paced_at)
                .execute(&mut *transaction)
                .await?;
            if moved.rows_affected() == 0 {
                return Ok(false);
            }
            insert_those_missing(&mut transaction, messages).await?;
            transaction.commit().await?;
            Ok(true)
        };
        self.database.run(work).await
    }

    async fn finish(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        let work = async |connection: &mut PgConnection| {
            sqlx::query(ROLL_UP).execute(&mut *connection).await?;
            Ok(sqlx::query(FINISH).bind(now).execute(&mut *connection).await?.rows_affected())
        };
        self.database.run(work).await
    }

    async fn forget(&self, ended_since: Option<Timestamp>) -> Result<(), RepositoryError> {
        let query = sqlx::query(FORGET).bind(ended_since);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }
}
