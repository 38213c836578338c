use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, QueryBuilder};

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
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::messages::cancel_of_broadcast;
use crate::infrastructure::storage::postgres::row::{count_of_found, get, message_columns, messages, sha256};
use crate::infrastructure::storage::shared::broadcasts::{broadcast_columns, parts, standing};

#[derive(Clone)]
pub struct PgBroadcastRepository {
    database: PgDatabase,
}

impl PgBroadcastRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

/// An expired key is free.
const FREE: &str = "
    update messaging_broadcasts
       set idempotency_key = null
     where tenant = $1
       and idempotency_key = $2
       and created_at <= least($3, clock_timestamp()) - make_interval(secs => $4)";

const INSERT: &str = concat!(
    "insert into messaging_broadcasts (",
    broadcast_columns!(),
    ", idempotency_key, fingerprint)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10, $11, $12::json, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
             $23, $24, $25, $26, $27, $28)
         on conflict (tenant, idempotency_key) where idempotency_key is not null do nothing"
);

const INSERT_RECIPIENTS: &str = "
    insert into messaging_broadcast_recipients (broadcast_id, first, recipients)
    select $1, unnest($2::integer[]), unnest($3::text[])";

pub(super) const COUNTS: &str = "
    select status, sum(count)::bigint as count
      from (select status, count
              from messaging_broadcast_counts
             where broadcast_id = $1
            union all
            select status, change
              from messaging_broadcast_count_changes
             where broadcast_id = $1) as parts
     group by status
    having sum(count) > 0";

/// In one statement, which sees one moment: a chunk moves the cursor and makes messages at once.
const FIND: &str = concat!(
    "select ",
    broadcast_columns!(),
    ", (select json_object_agg(counted.status, counted.count)
          from (select parts.status, sum(parts.count)::bigint as count
                  from (select status, count
                          from messaging_broadcast_counts
                         where broadcast_id = $2
                        union all
                        select status, change
                          from messaging_broadcast_count_changes
                         where broadcast_id = $2) as parts
                 group by parts.status
                having sum(parts.count) > 0) as counted) as counts
       from messaging_broadcasts
      where tenant = $1
        and id = $2"
);

/// By the index of those that may be made.
const UNMADE: &str = "
    select coalesce(sum(total - cursor), 0)::bigint as count
      from messaging_broadcasts
     where tenant = $1
       and status in ('scheduled', 'expanding', 'paused')";

/// Which state one that is resumed has follows from its time and its cursor.
const CHANGE: &str = "
    update messaging_broadcasts
       set status = case
                        when $4 <> 'resume' then $4
                        when cursor >= total then 'expanded'
                        when send_at > $5 then 'scheduled'
                        else 'expanding'
                    end,
           finished_at = case when $4 = 'cancelled' then $5 end,
           updated_at = $5
     where tenant = $1
       and id = $2
       and status = any($3)";

/// A page of the messages of which the table `found` has ids.
const PAGE: &str = "
    ), fitting as (
         select id
           from (select id,
                        row_number() over (order by id) as place,
                        coalesce(sum(bytes) over (order by id rows between unbounded preceding and 1 preceding), 0) as before
                   from found) as sized
          where before < 16777216
            and place <= ";
const OF_PAGE: &str = concat!(
    ")
     select (select count(*) from found) as count, ",
    message_columns!(),
    " from messaging_messages
      where id in (select id from fitting)"
);

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// False when the key is taken.
async fn insert(
    connection: &mut PgConnection,
    broadcast: &Broadcast,
    request: Option<&IdempotentRequest>,
) -> Result<bool, sqlx::Error> {
    let media = broadcast.content.media.as_ref();
    let inserted = sqlx::query(INSERT)
        .bind(broadcast.id.0)
        .bind(broadcast.tenant.as_str())
        .bind(&broadcast.user_id)
        .bind(broadcast.instance_id.0)
        .bind(broadcast.channel.as_str())
        .bind(&broadcast.channel_instance_id)
        .bind(broadcast.group.map(|group| group.0))
        .bind(&broadcast.content.text)
        .bind(&broadcast.content.payload)
        .bind(media.map(|media| media.url.as_str()))
        .bind(media.map(|media| media.media_type.as_str()))
        .bind(&broadcast.content.template)
        .bind(broadcast.is_template)
        .bind(number(broadcast.max_tries))
        .bind(broadcast.priority.map(|priority| i32::from(priority.number())))
        .bind(broadcast.rate_per_minute.map(number))
        .bind(broadcast.paced_at)
        .bind(broadcast.send_at)
        .bind(broadcast.status.as_str())
        .bind(number(broadcast.total))
        .bind(number(broadcast.cursor))
        .bind(broadcast.node.map(|node| node.0))
        .bind(broadcast.ids_at)
        .bind(broadcast.created_at)
        .bind(broadcast.updated_at)
        .bind(broadcast.finished_at)
        .bind(request.map(|request| request.key.as_str()))
        .bind(request.map(|request| &request.fingerprint[..]))
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() > 0)
}

#[async_trait]
impl BroadcastRepository for PgBroadcastRepository {
    async fn accept(
        &self,
        broadcast: &Broadcast,
        recipients: &[BroadcastRecipient],
        request: Option<&IdempotentRequest>,
    ) -> Result<AcceptedBroadcast, RepositoryError> {
        let (firsts, texts): (Vec<i32>, Vec<String>) = parts(recipients).into_iter().unzip();
        let work = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            if let Some(request) = request {
                sqlx::query(FREE)
                    .bind(broadcast.tenant.as_str())
                    .bind(request.key.as_str())
                    .bind(broadcast.created_at)
                    .bind(KEPT.as_secs_f64())
                    .execute(&mut *transaction)
                    .await?;
            }
            let inserted = insert(&mut transaction, broadcast, request).await?;
            if !inserted {
                return Ok(false);
            }
            sqlx::query(INSERT_RECIPIENTS)
                .bind(broadcast.id.0)
                .bind(&firsts)
                .bind(&texts)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(true)
        };
        if self.database.run(work).await? {
            return Ok(AcceptedBroadcast::Stored);
        }
        let key = request.map(|request| &request.key).ok_or(RepositoryError::Conflict)?;
        let kept = self.kept_request(&broadcast.tenant, key, broadcast.created_at).await?;
        kept.map(AcceptedBroadcast::KeyTaken).ok_or_else(|| RepositoryError::Contested("a key expired".to_owned()))
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptBroadcast>, RepositoryError> {
        let query = sqlx::query(
            "select id, fingerprint
               from messaging_broadcasts
              where tenant = $1
                and idempotency_key = $2
                and created_at > $3",
        )
        .bind(tenant.as_str())
        .bind(key.as_str())
        .bind(now - KEPT);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        let kept = |row: &PgRow| {
            Ok(KeptBroadcast { fingerprint: sha256(row, "fingerprint")?, id: BroadcastId(get(row, "id")?) })
        };
        row.as_ref().map(kept).transpose()
    }

    async fn find(&self, tenant: &Tenant, id: BroadcastId) -> Result<Option<BroadcastStanding>, RepositoryError> {
        let query = sqlx::query(FIND).bind(tenant.as_str()).bind(id.0);
        let found = self.database.read(async |connection| query.fetch_optional(connection).await).await?;
        found.as_ref().map(standing).transpose()
    }

    async fn unmade(&self, tenant: &Tenant) -> Result<u64, RepositoryError> {
        let query = sqlx::query(UNMADE).bind(tenant.as_str());
        let row = self.database.run(async |connection| query.fetch_one(connection).await).await?;
        Ok(u64::try_from(get::<i64>(&row, "count")?).unwrap_or_default())
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
                        coalesce(octet_length(message), 0) + coalesce(octet_length(payload::text), 0)
                            + coalesce(octet_length(template::text), 0) + coalesce(octet_length(media_url), 0) as bytes
                   from messaging_messages
                  where id >= ",
        );
        query.push_bind(first.0).push(" and id <= ").push_bind(last.0);
        query.push(" and broadcast_id = ").push_bind(broadcast.id.0);
        if let Some(after) = after {
            query.push(" and id > ").push_bind(after.0);
        }
        query.push(" order by id limit ").push_bind(i64::from(limit) + 1);
        query.push(PAGE).push_bind(i64::from(limit)).push(OF_PAGE);
        query.push(" and id >= ").push_bind(first.0).push(" and id <= ").push_bind(last.0).push(" order by id");
        let rows = self.database.searches.begin(Some(&broadcast.tenant)).await?.find_planned(query).await?;
        let more = count_of_found(&rows)? > rows.len() as i64;
        Ok(Listed { messages: messages(&rows), more })
    }

    async fn failures(&self, broadcast: &Broadcast, limit: u32) -> Result<Vec<(String, String)>, SearchError> {
        let (first, last) = broadcast.message_ids();
        let mut query = QueryBuilder::new("select remote_jid, error from messaging_messages where id >= ");
        query.push_bind(first.0).push(" and id <= ").push_bind(last.0);
        query.push(" and broadcast_id = ").push_bind(broadcast.id.0);
        query.push(" and status = 'failed' order by id limit ").push_bind(i64::from(limit));
        let rows = self.database.searches.begin(Some(&broadcast.tenant)).await?.find_planned(query).await?;
        let failure =
            |row: &PgRow| Ok((get(row, "remote_jid")?, get::<Option<String>>(row, "error")?.unwrap_or_default()));
        Ok(rows.iter().map(failure).collect::<Result<_, RepositoryError>>()?)
    }

    async fn change(
        &self,
        tenant: &Tenant,
        id: BroadcastId,
        change: BroadcastChange,
        now: Timestamp,
    ) -> Result<ChangedBroadcast, RepositoryError> {
        let from: Vec<&str> = change.from().iter().map(|status| status.as_str()).collect();
        let to = match change {
            BroadcastChange::Pause => BroadcastStatus::Paused.as_str(),
            BroadcastChange::Cancel => BroadcastStatus::Cancelled.as_str(),
            BroadcastChange::Resume => "resume",
        };
        let query = sqlx::query(CHANGE).bind(tenant.as_str()).bind(id.0).bind(from).bind(to).bind(now);
        let written = self.database.run(async |connection| query.execute(connection).await).await?.rows_affected() > 0;
        let Some(standing) = self.find(tenant, id).await? else { return Ok(ChangedBroadcast::Unknown) };
        let status = standing.broadcast.status;
        if written || change.is_done(status) {
            return Ok(ChangedBroadcast::Done(Box::new(standing)));
        }
        Ok(ChangedBroadcast::Refused(status))
    }

    async fn cancel_messages(
        &self,
        broadcast: &Broadcast,
        claims_in_doubt: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<CancelledMessages, RepositoryError> {
        cancel_of_broadcast(&self.database, broadcast, claims_in_doubt, limit, now).await
    }
}
