use async_trait::async_trait;
use chrono::TimeDelta;
use sqlx::sqlite::SqliteRow;

use crate::application::ports::{ReportedSends, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::receipt::{ChannelMessage, ReportedSend, UnknownFailure};
use crate::infrastructure::storage::shared::first_id;
use crate::infrastructure::storage::shared::rows::readable;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, id, time, time_text};

#[derive(Clone)]
pub struct SqliteReportedSends {
    database: SqliteDatabase,
}

const KEEP: &str = "
    insert into messaging_reported_sends (instance_id, channel_message_id, remote_jid, message, sent_at, received_at)
    select ?1, ?2, ?3, ?4, ?5, ?6
     where not exists (
           select 1
             from messaging_channel_messages
            where instance_id = ?1
              and channel_message_id = ?2)
        on conflict do nothing";

const OLDEST: &str = "
    select instance_id,
           channel_message_id,
           remote_jid,
           message,
           sent_at,
           exists (select 1
                     from messaging_channel_messages as names
                    where names.instance_id = sends.instance_id
                      and names.channel_message_id = sends.channel_message_id) as is_known
      from messaging_reported_sends as sends
     where received_at < ?1
     order by received_at, instance_id, channel_message_id
     limit ?2";

/// By the index of an instance's messages. What is looked for is asked before the limit: others take no place of it.
const FAILURES: &str = "
    select messages.id, messages.remote_jid, messages.message, messages.attempt_started_at, messages.channel_message_id
      from messaging_instances as instances
      join messaging_messages as messages
        on messages.tenant = instances.tenant
       and messages.channel_instance_id = instances.channel_instance_id
     where instances.id = ?1
       and messages.id >= ?4
       and messages.id < ?5
       and messages.instance_id = ?1
       and messages.status = 'failed'
       and messages.failure = 'unknown'
       and messages.attempt_started_at between ?2 and ?3
     order by messages.id desc
     limit 1000";

const NAME: &str = "
    insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
    values (?1, ?2, ?3)
        on conflict do nothing";

/// Only as it was found: a receipt may have moved it, or an operator.
const RENAME: &str = "
    update messaging_messages
       set channel_message_id = ?2
     where id = ?1
       and status = 'failed'
       and failure = 'unknown'
       and channel_message_id is ?3";

const FORGET: &str = "
    delete from messaging_reported_sends
     where instance_id = ?1
       and channel_message_id = ?2";

/// A message may have waited for so long before it was tried.
const WAITED: TimeDelta = TimeDelta::days(14);

/// The clock that made its id may have been ahead of the one that timed its try.
const AHEAD: TimeDelta = TimeDelta::hours(1);

impl SqliteReportedSends {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ReportedSends for SqliteReportedSends {
    async fn keep(&self, sent: &ReportedSend, now: Timestamp) -> Result<(), RepositoryError> {
        sqlx::query(KEEP)
            .bind(sent.of.instance.0.hyphenated())
            .bind(&sent.of.id)
            .bind(&sent.chat)
            .bind(&sent.text)
            .bind(time_text(sent.at))
            .bind(time_text(now))
            .execute(self.database.writer())
            .await
            .map_err(translate)?;
        Ok(())
    }

    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<ReportedSend>, RepositoryError> {
        loop {
            let oldest = sqlx::query(OLDEST).bind(time_text(before)).bind(limit);
            let rows = oldest.fetch_all(self.database.readers()).await.map_err(translate)?;
            let (known, due): (Vec<SqliteRow>, Vec<SqliteRow>) =
                rows.into_iter().partition(|row| get(row, "is_known").unwrap_or_default());
            self.forget(&readable(&known, reported)).await?;
            if known.is_empty() || !due.is_empty() {
                return Ok(readable(&due, reported));
            }
        }
    }

    async fn unknown_failures(
        &self,
        instance: InstanceId,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Vec<UnknownFailure>, RepositoryError> {
        let rows = sqlx::query(FAILURES)
            .bind(instance.0.hyphenated())
            .bind(time_text(since))
            .bind(time_text(until))
            .bind(first_id(since - WAITED).hyphenated())
            .bind(first_id(until + AHEAD).hyphenated())
            .fetch_all(self.database.readers())
            .await
            .map_err(translate)?;
        rows.iter().map(failure).collect()
    }

    async fn settle(&self, sent: &ReportedSend, failure: Option<&UnknownFailure>) -> Result<bool, RepositoryError> {
        let (instance, name) = (sent.of.instance.0.hyphenated(), &sent.of.id);
        let mut transaction = self.database.begin().await?;
        let forget = sqlx::query(FORGET).bind(instance).bind(name);
        forget.execute(&mut *transaction).await.map_err(translate)?;
        let mut is_settled = false;
        if let Some(failure) = failure {
            let message = failure.message.0.hyphenated();
            let named = sqlx::query(NAME).bind(instance).bind(name).bind(message);
            let is_new = named.execute(&mut *transaction).await.map_err(translate)?.rows_affected() == 1;
            let rename = sqlx::query(RENAME).bind(message).bind(name).bind(&failure.name);
            is_settled = is_new && rename.execute(&mut *transaction).await.map_err(translate)?.rows_affected() == 1;
            if !is_settled {
                transaction.rollback().await.map_err(translate)?;
                return self.settle(sent, None).await;
            }
        }
        transaction.commit().await.map_err(translate)?;
        Ok(is_settled)
    }
}

impl SqliteReportedSends {
    async fn forget(&self, sends: &[ReportedSend]) -> Result<(), RepositoryError> {
        if sends.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        for sent in sends {
            let forget = sqlx::query(FORGET).bind(sent.of.instance.0.hyphenated()).bind(&sent.of.id);
            forget.execute(&mut *transaction).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)
    }
}

fn reported(row: &SqliteRow) -> Result<ReportedSend, RepositoryError> {
    let of = ChannelMessage { instance: InstanceId(id(row, "instance_id")?), id: get(row, "channel_message_id")? };
    Ok(ReportedSend { of, chat: get(row, "remote_jid")?, text: get(row, "message")?, at: time(row, "sent_at")? })
}

fn failure(row: &SqliteRow) -> Result<UnknownFailure, RepositoryError> {
    Ok(UnknownFailure {
        message: MessageId(id(row, "id")?),
        recipient: get(row, "remote_jid")?,
        text: get(row, "message")?,
        tried_at: time(row, "attempt_started_at")?,
        name: get(row, "channel_message_id")?,
    })
}
