//! Storing messages, and with them the idempotency keys that they were sent with.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;

use super::SqliteDatabase;
use super::error::translate;
use super::row::{id, time_text, time_text_option};
use crate::application::ports::RepositoryError;
use crate::domain::idempotency::KEPT;
use crate::infrastructure::sql::{Accept, Batch};

pub(super) struct Accepts {
    database: SqliteDatabase,
}

impl Accepts {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

/// A key that no other message has; an expired one is nobody's. Both statements get the messages as one array.
const KEEP: &str = "
    insert into messaging_idempotency_keys
           (tenant, key, fingerprint, message_id, accepted_as, created_at, expires_at)
    select value ->> 'tenant', value ->> 'key', unhex(value ->> 'fingerprint'), value ->> 'id', value ->> 'status',
           value ->> 'created_at', value ->> 'expires_at'
      from json_each(?1)
     where value ->> 'key' is not null
    on conflict (tenant, key) do update
       set fingerprint = excluded.fingerprint,
           message_id = excluded.message_id,
           accepted_as = excluded.accepted_as,
           created_at = excluded.created_at,
           expires_at = excluded.expires_at
     where messaging_idempotency_keys.expires_at <= excluded.created_at
    returning message_id";

const INSERT: &str = "
    insert into messaging_messages
           (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, payload, media_url,
            media_type, direction, status, retries, max_retries, try, attempt_started_at, node_id, next_attempt_at,
            created_at, updated_at)
    select value ->> 'id', value ->> 'tenant', value ->> 'user_id', value ->> 'instance_id', value ->> 'channel',
           value ->> 'channel_instance_id', value ->> 'remote_jid', value ->> 'message', value ->> 'payload',
           value ->> 'media_url', value ->> 'media_type', value ->> 'direction', value ->> 'status',
           value ->> 'retries', value ->> 'max_retries', value ->> 'try', value ->> 'attempt_started_at',
           value ->> 'node_id', value ->> 'next_attempt_at', value ->> 'created_at', value ->> 'updated_at'
      from json_each(?1)";

#[async_trait]
impl Batch for Accepts {
    type Question = Accept;
    /// False when the key is taken.
    type Answer = bool;

    async fn ask(&self, accepts: &[Accept]) -> Result<Vec<bool>, RepositoryError> {
        let has_key = |accept: &&Accept| accept.request.is_some();
        let keyed: Vec<&Accept> = accepts.iter().filter(has_key).collect();
        if keyed.is_empty() {
            let query = sqlx::query(INSERT).bind(rows(accepts.iter()));
            query.execute(self.database.writer()).await.map_err(translate)?;
            return Ok(vec![true; accepts.len()]);
        }
        let mut transaction = self.database.begin().await?;
        let kept = sqlx::query(KEEP).bind(rows(keyed.into_iter()));
        let kept = kept.fetch_all(&mut *transaction).await.map_err(translate)?;
        let kept: HashSet<_> = kept.iter().map(|row: &SqliteRow| id(row, "message_id")).collect::<Result<_, _>>()?;
        let is_stored = |accept: &Accept| accept.request.is_none() || kept.contains(&accept.message.id.0);
        let insert = sqlx::query(INSERT).bind(rows(accepts.iter().filter(|accept| is_stored(accept))));
        insert.execute(&mut *transaction).await.map_err(translate)?;
        transaction.commit().await.map_err(translate)?;
        Ok(accepts.iter().map(is_stored).collect())
    }
}

/// A JSON array: the one parameter that can stand for any number of rows.
fn rows<'a>(accepts: impl Iterator<Item = &'a Accept>) -> String {
    Value::Array(accepts.map(row).collect()).to_string()
}

fn row(accept: &Accept) -> Value {
    let message = &accept.message;
    let media = message.content.media.as_ref();
    let request = accept.request.as_ref();
    json!({
        "id": message.id.0,
        "tenant": message.tenant.as_str(),
        "user_id": message.user_id,
        "instance_id": message.instance_id.0,
        "channel": message.channel.as_str(),
        "channel_instance_id": message.channel_instance_id,
        "remote_jid": message.recipient,
        "message": message.content.text,
        "payload": message.content.payload,
        "media_url": media.map(|media| &media.url),
        "media_type": media.map(|media| media.media_type.as_str()),
        "direction": message.direction.as_str(),
        "status": message.status.as_str(),
        "retries": message.retries,
        "max_retries": message.max_retries,
        "try": message.try_number,
        "attempt_started_at": time_text_option(message.attempt_started_at),
        "node_id": message.node.map(|node| node.0),
        "next_attempt_at": time_text_option(message.next_attempt_at),
        "created_at": time_text(message.created_at),
        "updated_at": time_text(message.updated_at),
        "key": request.map(|request| request.key.as_str()),
        "fingerprint": request.map(|request| hexadecimal(&request.fingerprint)),
        "expires_at": time_text(message.created_at + KEPT),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
