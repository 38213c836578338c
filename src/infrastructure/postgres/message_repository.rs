use async_trait::async_trait;

use super::PgDatabase;
use super::row::{get, message, message_columns, only, sha256, status};
use crate::application::ports::{Accepted, KeptRequest, MessageRepository, Outcome, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::idempotency::{IdempotencyKey, IdempotentRequest, KEPT};
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;
use crate::domain::principal::Tenant;
use crate::infrastructure::sql::OutcomeRow;

#[derive(Clone)]
pub struct PgMessageRepository {
    database: PgDatabase,
}

impl PgMessageRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

macro_rules! insert_message {
    ($rows:literal) => {
        concat!(
            "insert into messaging_messages
                    (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, payload,
                     media_url, media_type, direction, status, channel_message_id, error, failure, retries,
                     max_retries, try, attempt_started_at, attempt_http_status, node_id, next_attempt_at,
                     dead_lettered_at, sent_at, delivered_at, read_at, created_at, updated_at)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9::json,
                    $10, $11, $12, $13, $14, $15, $16, $17,
                    $18, $19, $20, $21, $22, $23,
                    $24, $25, $26, $27, $28, $29
            ",
            $rows
        )
    };
}

/// The key of this message, if no other message has it. An expired key is nobody's; a concurrent accept of the same key
/// is waited for.
macro_rules! keep_key {
    () => {
        "with kept as (
             insert into messaging_idempotency_keys
                    (tenant, key, fingerprint, message_id, accepted_as, created_at, expires_at)
             values ($2, $30, $31, $1, $13, $28, $32)
             on conflict (tenant, key) do update
                set fingerprint = excluded.fingerprint,
                    message_id = excluded.message_id,
                    accepted_as = excluded.accepted_as,
                    created_at = excluded.created_at,
                    expires_at = excluded.expires_at
              where messaging_idempotency_keys.expires_at <= excluded.created_at
             returning tenant
         )
         "
    };
}

#[async_trait]
impl MessageRepository for PgMessageRepository {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        let Some(request) = request else {
            self.insert(message).await?;
            return Ok(Accepted::Stored);
        };
        // The key may expire and be deleted between the two questions: then it is free after all.
        for _ in 0..3 {
            if self.insert_with_key(message, request).await? {
                return Ok(Accepted::Stored);
            }
            if let Some(kept) = self.kept_request(&message.tenant, &request.key, message.created_at).await? {
                return Ok(Accepted::KeyTaken(Box::new(kept)));
            }
        }
        Err(RepositoryError::Corrupt("an idempotency key names no message".to_owned()))
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptRequest>, RepositoryError> {
        let query = sqlx::query(
            "select fingerprint, accepted_as, message_id
               from messaging_idempotency_keys
              where tenant = $1
                and key = $2
                and expires_at > $3",
        )
        .bind(tenant.as_str())
        .bind(key.as_str())
        .bind(now);
        let kept = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        let Some(kept) = kept else { return Ok(None) };
        let message = self.find(MessageId(get(&kept, "message_id")?)).await?;
        let (fingerprint, accepted_as) = (sha256(&kept, "fingerprint")?, status(&kept, "accepted_as")?);
        Ok(message.map(|message| KeptRequest { fingerprint, accepted_as, message }))
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, RepositoryError> {
        let query =
            sqlx::query(concat!("select ", message_columns!(), " from messaging_messages where id = $1")).bind(id.0);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(message).transpose()
    }

    async fn claim(&self, id: MessageId, node: NodeId, now: Timestamp) -> Result<Option<Message>, RepositoryError> {
        // The guard on the state is the lock: of two that claim at once, the second waits, looks again, and gets nothing.
        // Not guarded on the owner: with such a guard two relays can take turns for ever.
        let query = sqlx::query(concat!(
            "update messaging_messages
                set status = 'processing',
                    node_id = $2,
                    -- A count that somebody wrote may be out of bounds.
                    try = least(greatest(try, 0), 2147483646) + 1,
                    retries = least(greatest(retries, 0), 2147483646) + 1,
                    attempt_started_at = $3,
                    attempt_http_status = null,
                    updated_at = $3
              where id = $1
                and status = 'queued'
                and next_attempt_at is null
             returning ",
            message_columns!()
        ))
        .bind(id.0)
        .bind(node.0)
        .bind(now);
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        only(rows).as_ref().map(message).transpose()
    }

    async fn still_holds(&self, guard: &Guard) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "select exists (
                 select
                   from messaging_messages
                  where id = $1
                    and status = $2
                    and node_id is not distinct from $3
                    and try = $4
             ) as holds",
        )
        .bind(guard.id.0)
        .bind(guard.status.as_str())
        .bind(guard.node.map(|node| node.0))
        .bind(i64::from(guard.try_number));
        let row = self.database.run(async |connection| query.fetch_one(connection).await).await?;
        get(&row, "holds")
    }

    async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError> {
        let row = OutcomeRow::of(outcome);
        match self.write(outcome, &row).await {
            Err(RepositoryError::Refused(reason)) => {
                tracing::warn!(message.id = %outcome.guard.id, reason, "recorded without the channel's words");
                self.write(outcome, &row.without_texts()).await
            }
            written => written,
        }
    }
}

impl PgMessageRepository {
    async fn insert(&self, message: &Message) -> Result<(), RepositoryError> {
        let query = bind_message(sqlx::query(insert_message!("")), message);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    /// False when the key is taken.
    async fn insert_with_key(&self, message: &Message, request: &IdempotentRequest) -> Result<bool, RepositoryError> {
        let query = sqlx::query(concat!(keep_key!(), insert_message!("from kept")));
        let query = bind_message(query, message)
            .bind(request.key.as_str())
            .bind(&request.fingerprint[..])
            .bind(message.created_at + KEPT);
        let inserted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn write(&self, outcome: &Outcome, row: &OutcomeRow) -> Result<bool, RepositoryError> {
        // One statement is one transaction. The guard on the state names those from which a try can end, whatever the
        // caller believes. A try has one attempt row; whoever got past the guard first wrote it.
        let query = sqlx::query(
            "with written as (
                 update messaging_messages
                    set status = $5,
                        channel_message_id = coalesce($6, channel_message_id),
                        error = $7,
                        failure = $8,
                        attempt_http_status = $9,
                        next_attempt_at = $10,
                        dead_lettered_at = $11,
                        sent_at = coalesce($12, sent_at),
                        updated_at = $13
                  where id = $1
                    and status = $2
                    and status in ('pending', 'processing')
                    and node_id is not distinct from $3
                    and try = $4
                 returning id, try
             ), told as (
                 insert into messaging_message_attempts
                        (message_id, number, started_at, finished_at, outcome, error, http_status)
                 select id, try, $14, $13, $15, $7, $9
                   from written
                  where $16
                 on conflict do nothing
             )
             select exists (select from written) as written",
        )
        .bind(outcome.guard.id.0)
        .bind(outcome.guard.status.as_str())
        .bind(outcome.guard.node.map(|node| node.0))
        .bind(i64::from(outcome.guard.try_number))
        .bind(row.status.as_str())
        .bind(&row.channel_message_id)
        .bind(&row.error)
        .bind(row.failure.map(|failure| failure.as_str()))
        .bind(row.http_status.map(i32::from))
        .bind(row.next_attempt_at)
        .bind(row.dead_lettered_at)
        .bind(row.sent_at)
        .bind(outcome.finished_at)
        .bind(outcome.started_at)
        .bind(row.attempt.as_str())
        .bind(row.told);
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        only(rows).as_ref().map_or(Ok(false), |row| get(row, "written"))
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind_message<'q>(query: Query<'q>, message: &'q Message) -> Query<'q> {
    query
        .bind(message.id.0)
        .bind(message.tenant.as_str())
        .bind(&message.user_id)
        .bind(message.instance_id.0)
        .bind(message.channel.as_str())
        .bind(&message.channel_instance_id)
        .bind(&message.recipient)
        .bind(&message.content.text)
        .bind(&message.content.payload)
        .bind(message.content.media.as_ref().map(|media| &media.url))
        .bind(message.content.media.as_ref().map(|media| media.media_type.as_str()))
        .bind(message.direction.as_str())
        .bind(message.status.as_str())
        .bind(&message.channel_message_id)
        .bind(&message.error)
        .bind(message.failure.map(|failure| failure.as_str()))
        .bind(i64::from(message.retries))
        .bind(i64::from(message.max_retries))
        .bind(i64::from(message.try_number))
        .bind(message.attempt_started_at)
        .bind(message.attempt_http_status.map(i32::from))
        .bind(message.node.map(|node| node.0))
        .bind(message.next_attempt_at)
        .bind(message.dead_lettered_at)
        .bind(message.sent_at)
        .bind(message.delivered_at)
        .bind(message.read_at)
        .bind(message.created_at)
        .bind(message.updated_at)
}
