use async_trait::async_trait;
use sqlx::SqliteExecutor;

use super::error::translate;
use super::row::{get, id, message, message_columns, only, sha256, status, time_text, time_text_option};
use super::{SqliteDatabase, row};
use crate::application::ports::{Accepted, KeptRequest, MessageRepository, Outcome, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::idempotency::{IdempotencyKey, IdempotentRequest, KEPT};
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;
use crate::domain::principal::Tenant;
use crate::infrastructure::sql::OutcomeRow;

#[derive(Clone)]
pub struct SqliteMessageRepository {
    database: SqliteDatabase,
}

impl SqliteMessageRepository {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl MessageRepository for SqliteMessageRepository {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        let Some(request) = request else {
            insert(self.database.writer(), message).await?;
            return Ok(Accepted::Stored);
        };
        let mut transaction = self.database.begin().await?;
        if keep(&mut *transaction, message, request).await? {
            insert(&mut *transaction, message).await?;
            transaction.commit().await.map_err(translate)?;
            return Ok(Accepted::Stored);
        }
        transaction.rollback().await.map_err(translate)?;
        let kept = self.kept_request(&message.tenant, &request.key, message.created_at).await?;
        kept.map(|kept| Accepted::KeyTaken(Box::new(kept)))
            .ok_or_else(|| RepositoryError::Corrupt("an idempotency key names no message".to_owned()))
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptRequest>, RepositoryError> {
        let kept = sqlx::query(
            "select fingerprint, accepted_as, message_id
               from messaging_idempotency_keys
              where tenant = ?1
                and key = ?2
                and expires_at > ?3",
        )
        .bind(tenant.as_str())
        .bind(key.as_str())
        .bind(time_text(now))
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        let Some(kept) = kept else { return Ok(None) };
        let message = self.find(MessageId(id(&kept, "message_id")?)).await?;
        let (fingerprint, accepted_as) = (sha256(&kept, "fingerprint")?, status(&kept, "accepted_as")?);
        Ok(message.map(|message| KeptRequest { fingerprint, accepted_as, message }))
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, RepositoryError> {
        let row = sqlx::query(concat!("select ", message_columns!(), " from messaging_messages where id = ?1"))
            .bind(id.0.hyphenated())
            .fetch_optional(self.database.readers())
            .await
            .map_err(translate)?;
        row.as_ref().map(message).transpose()
    }

    async fn claim(&self, id: MessageId, node: NodeId, now: Timestamp) -> Result<Option<Message>, RepositoryError> {
        // Not guarded on the owner: with such a guard two relays can take turns for ever.
        let rows = sqlx::query(concat!(
            "update messaging_messages
                set status = 'processing',
                    node_id = ?2,
                    -- A count that somebody wrote may be out of bounds.
                    try = min(max(try, 0), 2147483646) + 1,
                    retries = min(max(retries, 0), 2147483646) + 1,
                    attempt_started_at = ?3,
                    attempt_http_status = null,
                    updated_at = ?3
              where id = ?1
                and status = 'queued'
                and next_attempt_at is null
             returning ",
            message_columns!()
        ))
        .bind(id.0.hyphenated())
        .bind(node.0.hyphenated())
        .bind(time_text(now))
        .fetch_all(self.database.writer())
        .await
        .map_err(translate)?;
        only(rows).as_ref().map(message).transpose()
    }

    async fn still_holds(&self, guard: &Guard) -> Result<bool, RepositoryError> {
        let row = sqlx::query(
            "select exists (
                 select 1
                   from messaging_messages
                  where id = ?1
                    and status = ?2
                    and node_id is ?3
                    and try = ?4
             ) as holds",
        )
        .bind(guard.id.0.hyphenated())
        .bind(guard.status.as_str())
        .bind(guard.node.map(|node| node.0.hyphenated()))
        .bind(guard.try_number)
        .fetch_one(self.database.readers())
        .await
        .map_err(translate)?;
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

impl SqliteMessageRepository {
    async fn write(&self, outcome: &Outcome, row: &OutcomeRow) -> Result<bool, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        // The guard on the state names those from which a try can end, whatever the caller believes.
        let written = sqlx::query(
            "update messaging_messages
                set status = ?5,
                    channel_message_id = coalesce(?6, channel_message_id),
                    error = ?7,
                    failure = ?8,
                    attempt_http_status = ?9,
                    next_attempt_at = ?10,
                    dead_lettered_at = ?11,
                    sent_at = coalesce(?12, sent_at),
                    updated_at = ?13
              where id = ?1
                and status = ?2
                and status in ('pending', 'processing')
                and node_id is ?3
                and try = ?4",
        )
        .bind(outcome.guard.id.0.hyphenated())
        .bind(outcome.guard.status.as_str())
        .bind(outcome.guard.node.map(|node| node.0.hyphenated()))
        .bind(outcome.guard.try_number)
        .bind(row.status.as_str())
        .bind(&row.channel_message_id)
        .bind(&row.error)
        .bind(row.failure.map(|failure| failure.as_str()))
        .bind(row.http_status)
        .bind(time_text_option(row.next_attempt_at))
        .bind(time_text_option(row.dead_lettered_at))
        .bind(time_text_option(row.sent_at))
        .bind(time_text(outcome.finished_at))
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
        if written.rows_affected() == 0 {
            return Ok(false);
        }
        if row.told {
            // A try has one row; whoever got past the guard first wrote it.
            sqlx::query(
                "insert into messaging_message_attempts
                        (message_id, number, started_at, finished_at, outcome, error, http_status)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 on conflict do nothing",
            )
            .bind(outcome.guard.id.0.hyphenated())
            .bind(outcome.guard.try_number)
            .bind(time_text(outcome.started_at))
            .bind(time_text(outcome.finished_at))
            .bind(row.attempt.as_str())
            .bind(&row.error)
            .bind(row.http_status)
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(true)
    }
}

/// Keeps the key for this message; false when another message has it. An expired key is nobody's.
async fn keep(
    executor: impl SqliteExecutor<'_>,
    message: &Message,
    request: &IdempotentRequest,
) -> Result<bool, RepositoryError> {
    let kept = sqlx::query(
        "insert into messaging_idempotency_keys
                (tenant, key, fingerprint, message_id, accepted_as, created_at, expires_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         on conflict (tenant, key) do update
            set fingerprint = excluded.fingerprint,
                message_id = excluded.message_id,
                accepted_as = excluded.accepted_as,
                created_at = excluded.created_at,
                expires_at = excluded.expires_at
          where messaging_idempotency_keys.expires_at <= excluded.created_at",
    )
    .bind(message.tenant.as_str())
    .bind(request.key.as_str())
    .bind(&request.fingerprint[..])
    .bind(message.id.0.hyphenated())
    .bind(message.status.as_str())
    .bind(time_text(message.created_at))
    .bind(time_text(message.created_at + KEPT))
    .execute(executor)
    .await
    .map_err(translate)?;
    Ok(kept.rows_affected() == 1)
}

async fn insert(executor: impl SqliteExecutor<'_>, message: &Message) -> Result<(), RepositoryError> {
    sqlx::query(concat!(
        "insert into messaging_messages (",
        row::message_columns!(),
        ")
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                 ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
                 ?20, ?21, ?22, ?23, ?24, ?25, ?26,
                 ?27, ?28, ?29)"
    ))
    .bind(message.id.0.hyphenated())
    .bind(message.tenant.as_str())
    .bind(&message.user_id)
    .bind(message.instance_id.0.hyphenated())
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
    .bind(message.retries)
    .bind(message.max_retries)
    .bind(message.try_number)
    .bind(time_text_option(message.attempt_started_at))
    .bind(message.attempt_http_status)
    .bind(message.node.map(|node| node.0.hyphenated()))
    .bind(time_text_option(message.next_attempt_at))
    .bind(time_text_option(message.dead_lettered_at))
    .bind(time_text_option(message.sent_at))
    .bind(time_text_option(message.delivered_at))
    .bind(time_text_option(message.read_at))
    .bind(time_text(message.created_at))
    .bind(time_text(message.updated_at))
    .execute(executor)
    .await
    .map_err(translate)?;
    Ok(())
}
