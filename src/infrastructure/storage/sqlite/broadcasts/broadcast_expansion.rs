use async_trait::async_trait;
use uuid::Uuid;

use super::broadcast_repository::COUNTS;
use crate::application::ports::{BroadcastExpansion, RepositoryError, TakeBroadcasts};
use crate::domain::Timestamp;
use crate::domain::broadcast::Broadcast;
use crate::domain::broadcast::counts::BroadcastCounts;
use crate::domain::broadcast::recipient::BroadcastRecipient;
use crate::domain::message::Message;
use crate::infrastructure::storage::shared::broadcasts::{broadcast, broadcast_columns, counts, part_of, read_part};
use crate::infrastructure::storage::shared::rows::readable;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::messages::insert_those_missing;
use crate::infrastructure::storage::sqlite::row::{get, id_list, time_text, time_text_option};

#[derive(Clone)]
pub struct SqliteBroadcastExpansion {
    database: SqliteDatabase,
}

impl SqliteBroadcastExpansion {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

const BEGIN_DUE: &str = "
    update messaging_broadcasts
       set status = 'expanding',
           updated_at = ?1
     where status = 'scheduled'
       and send_at <= ?1";

const TAKE: &str = concat!(
    "update messaging_broadcasts
        set node_id = ?1
      where id in (
            select id
              from messaging_broadcasts
             where status = 'expanding'
               and (node_id is null
                    or node_id = ?1
                    or node_id in (select value from json_each(?2))
                    or node_id not in (select id from messaging_nodes))
               and id > ?4
               and (paced_at is null or paced_at <= ?5 or paced_at > ?6)
             order by id
             limit ?3)
     returning ",
    broadcast_columns!()
);

/// The cursor is the lock: of two that make the same chunk, one finds it as it was.
const MOVE_CURSOR: &str = "
    update messaging_broadcasts
       set cursor = cursor + ?3,
           status = iif(cursor + ?3 >= total, 'expanded', status),
           paced_at = ?5,
           updated_at = ?4
     where id = ?1
       and status = 'expanding'
       and cursor = ?2";

const FINISH: &str = "
    update messaging_broadcasts
       set status = 'finished',
           finished_at = ?1,
           updated_at = ?1
     where status = 'expanded'
       and not exists (
           select 1
             from messaging_broadcast_counts as counts
            where counts.broadcast_id = messaging_broadcasts.id
              and counts.status in ('pending', 'queued', 'processing')
              and counts.count > 0)";

/// Nobody reads the recipients of one that has ended.
const FORGET: &str = "
    delete from messaging_broadcast_recipients
     where broadcast_id in (select id
                              from messaging_broadcasts
                             where status in ('cancelled', 'finished')
                               and finished_at > coalesce(?1, ''))";

#[async_trait]
impl BroadcastExpansion for SqliteBroadcastExpansion {
    async fn is_needed(&self) -> Result<bool, RepositoryError> {
        sqlx::query_scalar(
            "select exists (
                 select 1
                   from messaging_broadcasts
                  where status in ('scheduled', 'expanding', 'expanded'))",
        )
        .fetch_one(self.database.readers())
        .await
        .map_err(translate)
    }

    async fn begin_due(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        let begun = sqlx::query(BEGIN_DUE).bind(time_text(now)).execute(self.database.writer()).await;
        Ok(begun.map_err(translate)?.rows_affected())
    }

    async fn take(&self, take: &TakeBroadcasts) -> Result<Vec<Broadcast>, RepositoryError> {
        let rows = sqlx::query(TAKE)
            .bind(take.node.0.hyphenated())
            .bind(id_list(take.gone.iter().map(|node| node.0)))
            .bind(take.limit)
            .bind(take.after.map_or_else(Uuid::nil, |after| after.0).hyphenated())
            .bind(time_text(take.enough.0))
            .bind(time_text(take.enough.1))
            .fetch_all(self.database.writer())
            .await
            .map_err(translate)?;
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
        let row = sqlx::query(
            "select recipients
               from messaging_broadcast_recipients
              where broadcast_id = ?1
                and first = ?2",
        )
        .bind(broadcast.id.0.hyphenated())
        .bind(first)
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        let Some(row) = row else { return Ok(Vec::new()) };
        read_part(get(&row, "recipients")?, first, from, most)
    }

    async fn counts(&self, broadcast: &Broadcast) -> Result<BroadcastCounts, RepositoryError> {
        let rows = sqlx::query(COUNTS)
            .bind(broadcast.id.0.hyphenated())
            .fetch_all(self.database.readers())
            .await
            .map_err(translate)?;
        counts(&rows)
    }

    async fn expand(
        &self,
        broadcast: &Broadcast,
        messages: &[Message],
        paced_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let moved = sqlx::query(MOVE_CURSOR)
            .bind(broadcast.id.0.hyphenated())
            .bind(broadcast.cursor)
            .bind(i64::try_from(messages.len()).unwrap_or(i64::MAX))
            .bind(time_text(now))
            .bind(time_text_option(paced_at))
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        insert_those_missing(&mut transaction, messages).await?;
        transaction.commit().await.map_err(translate)?;
        Ok(true)
    }

    async fn finish(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        let finished = sqlx::query(FINISH).bind(time_text(now)).execute(self.database.writer()).await;
        Ok(finished.map_err(translate)?.rows_affected())
    }

    async fn forget(&self, ended_since: Option<Timestamp>) -> Result<(), RepositoryError> {
        let forget = sqlx::query(FORGET).bind(time_text_option(ended_since));
        forget.execute(self.database.writer()).await.map_err(translate)?;
        Ok(())
    }
}
