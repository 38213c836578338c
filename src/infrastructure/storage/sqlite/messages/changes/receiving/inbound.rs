//! Storing messages that channels bring.

use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite, Transaction};
use uuid::Uuid;

use crate::application::ports::{NOT_APART, Received, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::inbound::Author;
use crate::infrastructure::storage::shared::columns::{COLUMNS, OF_RECEIVED, Value};
use crate::infrastructure::storage::shared::{Batch, ReceivedRequest};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{time_text, time_text_option};

/// Stores what was received, and what was written on a phone and is not ours.
pub struct Receptions {
    pub database: SqliteDatabase,
}

/// Keeps what may be ours.
pub struct Undecided {
    pub database: SqliteDatabase,
}

const NAME: &str = "
    insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
    values (?1, ?2, ?3)
        on conflict do nothing";

const KEY: &str = "
    insert into messaging_received_messages (instance_id, channel_message_id, message_id, chat, sender)
    values (?1, ?2, ?3, ?4, ?5)
        on conflict do nothing";

const KEEP: &str = "
    insert into messaging_undecided_messages
           (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, payload, media_url, media_type,
            channel_message_id, sent_at, received_at)
    select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14
     where not exists (
           select 1
             from messaging_channel_messages
            where instance_id = ?4
              and channel_message_id = ?12)
        on conflict do nothing";

/// Decided by one transaction.
const PORTION: u32 = 200;

/// One of them, whose name no message has.
const DECIDE: &str = "
    insert into messaging_messages
           (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, payload, media_url, media_type,
            channel_message_id, sent_at, direction, status, retries, max_retries, try, created_at, updated_at)
    select id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, payload, media_url, media_type,
           channel_message_id, sent_at, 'sent', 'sent', 0, 0, 0, ?4, ?4
      from messaging_undecided_messages
     where instance_id = ?1
       and channel_message_id = ?2
       and id = ?3";

#[async_trait]
impl Batch for Receptions {
    type Request = ReceivedRequest;
    /// False when it is there already.
    type Answer = bool;

    async fn execute(&self, requests: &[ReceivedRequest]) -> Result<Vec<bool>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let mut are_new = Vec::with_capacity(requests.len());
        for ReceivedRequest { received } in requests {
            are_new.push(is_new(&mut transaction, received).await?);
        }
        let new = || requests.iter().zip(&are_new).filter(|(_, is_new)| **is_new).map(|(request, _)| &request.received);
        if new().next().is_some() {
            insert(new()).build().persistent(false).execute(&mut *transaction).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(are_new)
    }
}

/// Notes its key, unless that is there.
async fn is_new(transaction: &mut Transaction<'_, Sqlite>, received: &Received) -> Result<bool, RepositoryError> {
    let Received { key, author, message } = received;
    let query = sqlx::query(if *author == Author::Another { KEY } else { NAME })
        .bind(key.of.instance.0.hyphenated())
        .bind(&key.of.id)
        .bind(message.id.0.hyphenated());
    let query = if *author == Author::Another { query.bind(&key.chat).bind(&key.sender) } else { query };
    let noted = query.execute(&mut **transaction).await.map_err(translate)?;
    Ok(noted.rows_affected() == 1)
}

fn insert<'a>(received: impl Iterator<Item = &'a Received>) -> QueryBuilder<Sqlite> {
    let columns = || COLUMNS.iter().chain(OF_RECEIVED);
    let names: Vec<&str> = columns().map(|column| column.name).collect();
    let mut query = QueryBuilder::new("insert into messaging_messages (");
    query.push(names.join(", ")).push(") ");
    query.push_values(received, |mut row, Received { message, .. }| {
        for column in columns() {
            match column.value {
                Value::Id(of) => row.push_bind(of(message).map(Uuid::hyphenated)),
                Value::Text(of) | Value::Json(of) => row.push_bind(of(message)),
                Value::Number(of) => row.push_bind(of(message)),
                Value::Time(of) => row.push_bind(time_text_option(of(message))),
            };
        }
    });
    query
}

#[async_trait]
impl Batch for Undecided {
    type Request = ReceivedRequest;
    type Answer = ();

    async fn execute(&self, requests: &[ReceivedRequest]) -> Result<Vec<()>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        for ReceivedRequest { received: Received { key, message, .. } } in requests {
            let media = message.content.media.as_ref();
            sqlx::query(KEEP)
                .bind(message.id.0.hyphenated())
                .bind(message.tenant.as_str())
                .bind(&message.user_id)
                .bind(key.of.instance.0.hyphenated())
                .bind(message.channel.as_str())
                .bind(&message.channel_instance_id)
                .bind(&message.recipient)
                .bind(&message.content.text)
                .bind(&message.content.payload)
                .bind(media.map(|media| media.url.as_str()))
                .bind(media.map(|media| media.media_type.as_str()))
                .bind(&key.of.id)
                .bind(time_text_option(message.sent_at))
                .bind(time_text(message.created_at))
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(vec![(); requests.len()])
    }
}

/// Returns whether there may be more.
pub async fn decide(database: &SqliteDatabase, before: Timestamp, now: Timestamp) -> Result<bool, RepositoryError> {
    let mut transaction = database.begin().await?;
    let due: Vec<(String, String, String)> = sqlx::query_as(
        // What is under way is found by node and state, in the index of what nodes have taken upon themselves.
        "with under_way (instance_id, began) as materialized (
              select instance_id, min(coalesce(attempt_started_at, created_at))
                from messaging_messages indexed by messaging_messages_owned
               where node_id in (select id from messaging_nodes)
                 and status in ('pending', 'processing')
                 and status in ('pending', 'queued', 'processing')
                 and next_attempt_at is null
               group by instance_id
         )
         select instance_id, channel_message_id, id
           from messaging_undecided_messages as undecided
          where received_at < ?1
            and not exists (
                select 1
                  from under_way
                 where under_way.instance_id = undecided.instance_id
                   and under_way.began <= strftime('%Y-%m-%dT%H:%M:%fZ', undecided.received_at, ?3))
          order by received_at, instance_id, channel_message_id
          limit ?2",
    )
    .bind(time_text(before))
    .bind(PORTION)
    .bind(format!("+{} seconds", NOT_APART.num_seconds()))
    .fetch_all(&mut *transaction)
    .await
    .map_err(translate)?;
    for (instance, name, id) in &due {
        let named =
            sqlx::query(NAME).bind(instance).bind(name).bind(id).execute(&mut *transaction).await.map_err(translate)?;
        if named.rows_affected() == 1 {
            let store = sqlx::query(DECIDE).bind(instance).bind(name).bind(id).bind(time_text(now));
            store.execute(&mut *transaction).await.map_err(translate)?;
        }
        sqlx::query("delete from messaging_undecided_messages where instance_id = ?1 and channel_message_id = ?2")
            .bind(instance)
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
    }
    transaction.commit().await.map_err(translate)?;
    Ok(due.len() == PORTION as usize)
}
