use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use crate::application::ports::{
    AcceptedBroadcast, BroadcastChange, BroadcastRepository, CancelledMessages, ChangedBroadcast, KeptBroadcast,
    Listed, RepositoryError, SearchError,
};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::{IdempotencyKey, IdempotentRequest, KEPT};
use crate::domain::access::principal::Tenant;
use crate::domain::broadcast::counts::BroadcastStanding;
use crate::domain::broadcast::recipient::BroadcastRecipient;
use crate::domain::broadcast::{Broadcast, BroadcastId, BroadcastStatus};
use crate::domain::message::MessageId;
use crate::infrastructure::storage::shared::broadcasts::{broadcast_columns, parts, standing};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::messages::cancel_of_broadcast;
use crate::infrastructure::storage::sqlite::row::{
    count_of_found, get, id, message_columns, messages, sha256, time_text, time_text_option,
};

#[derive(Clone)]
pub struct SqliteBroadcastRepository {
    database: SqliteDatabase,
}

impl SqliteBroadcastRepository {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

/// An expired key is free.
const FREE: &str = "
    update messaging_broadcasts
       set idempotency_key = null
     where tenant = ?1
       and idempotency_key = ?2
       and created_at <= ?3";

const INSERT: &str = concat!(
    "insert into messaging_broadcasts (",
    broadcast_columns!(),
    ", idempotency_key, fingerprint)
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
             ?25, ?26, ?27, ?28)
         on conflict (tenant, idempotency_key) where idempotency_key is not null do nothing"
);

pub(super) const COUNTS: &str = "
    select status, count
      from messaging_broadcast_counts
     where broadcast_id = ?1
       and count > 0";

/// In one statement, which sees one moment: a chunk moves the cursor and makes messages at once.
const FIND: &str = concat!(
    "select ",
    broadcast_columns!(),
    ", (select json_group_object(counted.status, counted.count)
          from messaging_broadcast_counts as counted
         where counted.broadcast_id = ?2
           and counted.count > 0) as counts
       from messaging_broadcasts
      where tenant = ?1
        and id = ?2"
);

/// By the index of those that may be made.
const UNMADE: &str = "
    select coalesce(sum(total - cursor), 0)
      from messaging_broadcasts
     where tenant = ?1
       and status in ('scheduled', 'expanding', 'paused')";

/// Which state one that is resumed has follows from its time and its cursor.
const CHANGE: &str = "
    update messaging_broadcasts
       set status = case
                        when ?4 <> 'resume' then ?4
                        when cursor >= total then 'expanded'
                        when send_at > ?5 then 'scheduled'
                        else 'expanding'
                    end,
           finished_at = iif(?4 = 'cancelled', ?5, null),
           updated_at = ?5
     where tenant = ?1
       and id = ?2
       and status in (select value from json_each(?3))";

/// A page of the messages of which the table `found` has ids.
const PAGE: &str = "
    ), fitting as (
         select id
           from (select id,
                        row_number() over (order by id) as place,
                        coalesce(sum(bytes) over (order by id rows between unbounded preceding and 1 preceding), 0) as before
                   from found)
          where before < 16777216
            and place <= ";
const OF_PAGE: &str = concat!(
    ")
     select (select count(*) from found) as count, ",
    message_columns!(),
    " from messaging_messages
      where id in (select id from fitting)
      order by id"
);

/// False when the key is taken.
async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    broadcast: &Broadcast,
    request: Option<&IdempotentRequest>,
) -> Result<bool, RepositoryError> {
    let media = broadcast.content.media.as_ref();
    let inserted = sqlx::query(INSERT)
        .bind(broadcast.id.0.hyphenated())
        .bind(broadcast.tenant.as_str())
        .bind(&broadcast.user_id)
        .bind(broadcast.instance_id.0.hyphenated())
        .bind(broadcast.channel.as_str())
        .bind(&broadcast.channel_instance_id)
        .bind(broadcast.group.map(|group| group.0.hyphenated()))
        .bind(&broadcast.content.text)
        .bind(&broadcast.content.payload)
        .bind(media.map(|media| media.url.as_str()))
        .bind(media.map(|media| media.media_type.as_str()))
        .bind(&broadcast.content.template)
        .bind(broadcast.is_template)
        .bind(broadcast.max_tries)
        .bind(broadcast.priority.map(|priority| priority.number()))
        .bind(broadcast.rate_per_minute)
        .bind(time_text_option(broadcast.paced_at))
        .bind(time_text_option(broadcast.send_at))
        .bind(broadcast.status.as_str())
        .bind(broadcast.total)
        .bind(broadcast.cursor)
        .bind(broadcast.node.map(|node| node.0.hyphenated()))
        .bind(time_text(broadcast.ids_at))
        .bind(time_text(broadcast.created_at))
        .bind(time_text(broadcast.updated_at))
        .bind(time_text_option(broadcast.finished_at))
        .bind(request.map(|request| request.key.as_str()))
        .bind(request.map(|request| &request.fingerprint[..]))
        .execute(&mut **transaction)
        .await
        .map_err(translate)?;
    Ok(inserted.rows_affected() > 0)
}

#[async_trait]
impl BroadcastRepository for SqliteBroadcastRepository {
    async fn accept(
        &self,
        broadcast: &Broadcast,
        recipients: &[BroadcastRecipient],
        request: Option<&IdempotentRequest>,
    ) -> Result<AcceptedBroadcast, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        if let Some(request) = request {
            sqlx::query(FREE)
                .bind(broadcast.tenant.as_str())
                .bind(request.key.as_str())
                .bind(time_text(broadcast.created_at - KEPT))
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
        }
        if !insert(&mut transaction, broadcast, request).await? {
            drop(transaction);
            let key = request.map(|request| &request.key).ok_or(RepositoryError::Conflict)?;
            let kept = self.kept_request(&broadcast.tenant, key, broadcast.created_at).await?;
            let expired = || RepositoryError::Contested("a key expired".to_owned());
            return kept.map(AcceptedBroadcast::KeyTaken).ok_or_else(expired);
        }
        for (first, recipients) in parts(recipients) {
            sqlx::query("insert into messaging_broadcast_recipients values (?1, ?2, ?3)")
                .bind(broadcast.id.0.hyphenated())
                .bind(first)
                .bind(recipients)
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(AcceptedBroadcast::Stored)
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptBroadcast>, RepositoryError> {
        let row = sqlx::query(
            "select id, fingerprint
               from messaging_broadcasts
              where tenant = ?1
                and idempotency_key = ?2
                and created_at > ?3",
        )
        .bind(tenant.as_str())
        .bind(key.as_str())
        .bind(time_text(now - KEPT))
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        let kept = |row: &SqliteRow| {
            Ok(KeptBroadcast { fingerprint: sha256(row, "fingerprint")?, id: BroadcastId(id(row, "id")?) })
        };
        row.as_ref().map(kept).transpose()
    }

    async fn find(&self, tenant: &Tenant, id: BroadcastId) -> Result<Option<BroadcastStanding>, RepositoryError> {
        let _place = self.database.place_to_read().await?;
        let find = sqlx::query(FIND).bind(tenant.as_str()).bind(id.0.hyphenated());
        let found = find.fetch_optional(self.database.readers()).await.map_err(translate)?;
        found.as_ref().map(standing).transpose()
    }

    async fn unmade(&self, tenant: &Tenant) -> Result<u64, RepositoryError> {
        let count = sqlx::query_scalar::<_, i64>(UNMADE).bind(tenant.as_str());
        let count = count.fetch_one(self.database.readers()).await.map_err(translate)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn messages(
        &self,
        broadcast: &Broadcast,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Listed, SearchError> {
        let (first, last) = broadcast.message_ids();
        let mut query = QueryBuilder::new(
            "with found as (
                 select id,
                        coalesce(octet_length(message), 0) + coalesce(octet_length(payload), 0)
                            + coalesce(octet_length(template), 0) + coalesce(octet_length(media_url), 0) as bytes
                   from messaging_messages
                  where id >= ",
        );
        query.push_bind(first.0.hyphenated()).push(" and id <= ").push_bind(last.0.hyphenated());
        query.push(" and broadcast_id = ").push_bind(broadcast.id.0.hyphenated());
        if let Some(after) = after {
            query.push(" and id > ").push_bind(after.0.hyphenated());
        }
        query.push(" order by id limit ").push_bind(i64::from(limit) + 1);
        query.push(PAGE).push_bind(i64::from(limit)).push(OF_PAGE);
        let rows = self.database.searches().find(Some(&broadcast.tenant), query).await?;
        let more = count_of_found(&rows)? > rows.len() as i64;
        Ok(Listed { messages: messages(&rows), more })
    }

    async fn failures(&self, broadcast: &Broadcast, limit: u32) -> Result<Vec<(String, String)>, SearchError> {
        let (first, last) = broadcast.message_ids();
        let mut query = QueryBuilder::new("select remote_jid, error from messaging_messages where id >= ");
        query.push_bind(first.0.hyphenated()).push(" and id <= ").push_bind(last.0.hyphenated());
        query.push(" and broadcast_id = ").push_bind(broadcast.id.0.hyphenated());
        query.push(" and status = 'failed' order by id limit ").push_bind(i64::from(limit));
        let rows = self.database.searches().find(Some(&broadcast.tenant), query).await?;
        let failure =
            |row: &SqliteRow| Ok((get(row, "remote_jid")?, get::<Option<String>>(row, "error")?.unwrap_or_default()));
        Ok(rows.iter().map(failure).collect::<Result<_, RepositoryError>>()?)
    }

    async fn change(
        &self,
        tenant: &Tenant,
        id: BroadcastId,
        change: BroadcastChange,
        now: Timestamp,
    ) -> Result<ChangedBroadcast, RepositoryError> {
        self.database.is_in_its_place()?;
        let from: Vec<&str> = change.from().iter().map(|status| status.as_str()).collect();
        let to = match change {
            BroadcastChange::Pause => BroadcastStatus::Paused.as_str(),
            BroadcastChange::Cancel => BroadcastStatus::Cancelled.as_str(),
            BroadcastChange::Resume => "resume",
        };
        let written = sqlx::query(CHANGE)
            .bind(tenant.as_str())
            .bind(id.0.hyphenated())
            .bind(serde_json::Value::from(from).to_string())
            .bind(to)
            .bind(time_text(now))
            .execute(self.database.writer())
            .await
            .map_err(translate)?;
        let Some(standing) = self.find(tenant, id).await? else { return Ok(ChangedBroadcast::Unknown) };
        let status = standing.broadcast.status;
        if written.rows_affected() > 0 || change.is_done(status) {
            return Ok(ChangedBroadcast::Done(Box::new(standing)));
        }
        Ok(ChangedBroadcast::Refused(status))
    }

    async fn cancel_messages(
        &self,
        broadcast: &Broadcast,
        _: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<CancelledMessages, RepositoryError> {
        cancel_of_broadcast(&self.database, broadcast, limit, now).await
    }
}
