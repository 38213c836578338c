use async_trait::async_trait;
use chrono::TimeDelta;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::application::ports::{ReportedSends, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::receipt::{ChannelMessage, ReportedSend, UnknownFailure};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::{begin_changing_probes, begin_look};
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::first_id;
use crate::infrastructure::storage::shared::rows::readable;

#[derive(Clone)]
pub struct PgReportedSends {
    database: PgDatabase,
}

const KEEP: &str = "
    insert into messaging_reported_sends (instance_id, channel_message_id, remote_jid, message, sent_at, received_at)
    select $1, $2, $3, $4, $5, $6
     where not exists (
           select
             from messaging_channel_messages
            where instance_id = $1
              and channel_message_id = $2)
        on conflict do nothing";

/// What has the name of a message by now is forgotten; what another process looks at is passed over.
const DUE: &str = "
    with oldest as (
         select instance_id, channel_message_id, remote_jid, message, sent_at, received_at
           from messaging_reported_sends
          where received_at < $1
          order by received_at, instance_id, channel_message_id
          limit $2
            for update skip locked
    ),
    known as (
         delete from messaging_reported_sends as sends
          using oldest
          where sends.instance_id = oldest.instance_id
            and sends.channel_message_id = oldest.channel_message_id
            and exists (
                select
                  from messaging_channel_messages as names
                 where names.instance_id = oldest.instance_id
                   and names.channel_message_id = oldest.channel_message_id)
         returning sends.instance_id, sends.channel_message_id
    )
    select *,
           (instance_id, channel_message_id) in (select instance_id, channel_message_id from known) as is_known
      from oldest
     order by received_at, instance_id, channel_message_id";

/// By the index of an instance's messages by state: those that failed, the youngest first, of weeks that are in the text. What is
/// looked for is asked before the limit: another failure takes no place of it.
const FAILURES: &str = "
    select failed.id, failed.remote_jid, failed.message, failed.attempt_started_at, failed.channel_message_id
      from messaging_instances as instances
     cross join lateral (
               select id, remote_jid, message, attempt_started_at, channel_message_id
                 from messaging_messages as messages
                where messages.status in ('sent', 'delivered', 'read', 'failed', 'cancelled')
                  and octet_length(messages.channel) <= 255
                  and octet_length(messages.channel_instance_id) <= 1024
                  and messages.tenant = instances.tenant
                  and messages.channel = instances.channel
                  and messages.channel_instance_id = instances.channel_instance_id
                  and messages.status between 'failed' and 'failed'
                  and messages.id >= :since
                  and messages.id < :until
                  and messages.instance_id = instances.id
                  and messages.failure = 'unknown'
                  and messages.attempt_started_at between $2 and $3
                order by messages.status desc, messages.id desc
                limit 1000) as failed
     where instances.id = $1";

const NAME: &str = "
    insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
    values ($1, $2, $3)
        on conflict do nothing";

/// Only as it was found: a receipt may have moved it, or an operator.
const RENAME: &str = "
    update messaging_messages as messages
       set channel_message_id = $2
     where messages.id = $1
       and (messages.id between :least and :greatest or messages.id = :least)
       and messages.status = 'failed'
       and messages.failure = 'unknown'
       and messages.channel_message_id is not distinct from $3";

const FORGET: &str = "
    delete from messaging_reported_sends
     where instance_id = $1
       and channel_message_id = $2";

/// A message may have waited for so long before it was tried.
const WAITED: TimeDelta = TimeDelta::days(14);

/// The clock that made its id may have been ahead of the one that timed its try.
const AHEAD: TimeDelta = TimeDelta::hours(1);

impl PgReportedSends {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ReportedSends for PgReportedSends {
    async fn keep(&self, sent: &ReportedSend, now: Timestamp) -> Result<(), RepositoryError> {
        let query = sqlx::query(KEEP)
            .bind(sent.of.instance.0)
            .bind(&sent.of.id)
            .bind(&sent.chat)
            .bind(&sent.text)
            .bind(sent.at)
            .bind(now);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<ReportedSend>, RepositoryError> {
        loop {
            let query = sqlx::query(DUE).bind(before).bind(i64::from(limit));
            let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
            let (known, due): (Vec<PgRow>, Vec<PgRow>) =
                rows.into_iter().partition(|row| get(row, "is_known").unwrap_or_default());
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
        let literal = |time| format!("'{}'::uuid", first_id(time));
        let statement = FAILURES.replace(":since", &literal(since - WAITED)).replace(":until", &literal(until + AHEAD));
        let query = sqlx::query(AssertSqlSafe(statement)).bind(instance.0).bind(since).bind(until).persistent(false);
        let find = async |connection: &mut PgConnection| {
            let mut look = begin_look(connection).await?;
            let rows = query.fetch_all(&mut *look).await?;
            look.rollback().await?;
            Ok(rows)
        };
        self.database.run(find).await?.iter().map(failure).collect()
    }

    async fn settle(&self, sent: &ReportedSend, failure: Option<&UnknownFailure>) -> Result<bool, RepositoryError> {
        let ChannelMessage { instance, id } = &sent.of;
        let Some(failure) = failure else {
            let forget = sqlx::query(FORGET).bind(instance.0).bind(id);
            self.database.run(async |connection| forget.execute(connection).await).await?;
            return Ok(false);
        };
        let rename = NamedWeeks::of(std::iter::once(failure.message)).name_in(RENAME);
        let rename = sqlx::query(AssertSqlSafe(rename)).bind(failure.message.0).bind(id).bind(&failure.name);
        let name = sqlx::query(NAME).bind(instance.0).bind(id).bind(failure.message.0);
        let forget = sqlx::query(FORGET).bind(instance.0).bind(id);
        let settle = async |connection: &mut PgConnection| {
            // Messages before names, as everywhere.
            let mut transaction = begin_changing_probes(connection).await?;
            let renamed = rename.execute(&mut *transaction).await?.rows_affected() == 1;
            if !renamed || name.execute(&mut *transaction).await?.rows_affected() == 0 {
                transaction.rollback().await?;
                forget.execute(connection).await?;
                return Ok(false);
            }
            forget.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(true)
        };
        self.database.run(settle).await
    }
}

fn reported(row: &PgRow) -> Result<ReportedSend, RepositoryError> {
    let of = ChannelMessage { instance: InstanceId(get(row, "instance_id")?), id: get(row, "channel_message_id")? };
    Ok(ReportedSend { of, chat: get(row, "remote_jid")?, text: get(row, "message")?, at: get(row, "sent_at")? })
}

fn failure(row: &PgRow) -> Result<UnknownFailure, RepositoryError> {
    Ok(UnknownFailure {
        message: MessageId(get::<Uuid>(row, "id")?),
        recipient: get(row, "remote_jid")?,
        text: get(row, "message")?,
        tried_at: get(row, "attempt_started_at")?,
        name: get(row, "channel_message_id")?,
    })
}
