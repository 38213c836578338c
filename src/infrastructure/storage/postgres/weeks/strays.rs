//! What lies in no week, and is deleted row by row.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::partition::MESSAGES;
use crate::domain::Timestamp;

/// Rows deleted by one statement.
pub const BATCH: i64 = 1_000;

/// Asked again in the DELETE: what was replayed since the statement began is found by its first part as it was then.
pub async fn delete_strays(connection: &mut PgConnection, before: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with ended as materialized (
             select id
               from messaging_messages_default
              where id < $1
                and status not in ('pending', 'queued', 'processing')
                and (status <> 'failed' or dead_lettered_at is not null)
              order by id
              limit $2
                for update skip locked
         ),
         deleted as (
             delete from messaging_messages_default
              where id = any(array(select id from ended))
                and status not in ('pending', 'queued', 'processing')
                and (status <> 'failed' or dead_lettered_at is not null)
             returning id, tenant, status, direction, purpose
         ),
         counted as (
             insert into messaging_message_count_changes (tenant, week, status, change)
             select tenant, messaging_week_of(id), status, -count(*)
               from deleted
              where direction = 'sent'
                and purpose is null
              group by tenant, messaging_week_of(id), status
         ),
         attempts as (
             delete from messaging_message_attempts
              where message_id = any(array(select id from deleted))
         )
         select count(*) from deleted",
    )
    .persistent(false)
    .bind(before)
    .bind(BATCH)
    .fetch_one(connection)
    .await
}

pub async fn delete_stray_attempts(connection: &mut PgConnection, before: Uuid) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // It looks for messages in all weeks, some of which an operator may be working on.
    sqlx::raw_sql("set local lock_timeout = '1s'").execute(&mut *transaction).await?;
    let deleted = sqlx::query_scalar(
        "with orphans as materialized (
             select message_id, number
               from messaging_message_attempts_default as attempts
              where message_id < $1
                and not exists (
                    select
                      from messaging_messages
                     where id = attempts.message_id
                       -- Of later weeks there are none: they are not even planned.
                       and id < $1)
              order by message_id
              limit $2
         ),
         deleted as (
             delete from messaging_message_attempts_default
              where (message_id, number) in (select message_id, number from orphans)
             returning message_id
         )
         select count(*) from deleted",
    )
    .persistent(false)
    .bind(before)
    .bind(BATCH)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}

/// Names at channels whose messages are gone: those of the times for which there is no week any more. Names of a week that is
/// there are not looked at: its messages go with it, or not at all.
pub async fn delete_names(connection: &mut PgConnection, before: Uuid) -> Result<i64, sqlx::Error> {
    for (from, to) in without_week(connection, before).await? {
        let deleted = delete_names_between(connection, from, to).await?;
        if deleted == BATCH {
            return Ok(deleted);
        }
    }
    Ok(0)
}

/// The ids less than `before` that lie in no week, in stretches: from, and to what is not in it any more.
async fn without_week(connection: &mut PgConnection, before: Uuid) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let weeks = MESSAGES.weeks(connection).await?;
    let mut stretches = Vec::new();
    let mut from = Uuid::nil();
    for week in weeks.iter().take_while(|week| week.from < before) {
        if from < week.from {
            stretches.push((from, week.from));
        }
        from = from.max(week.to);
    }
    if from < before {
        stretches.push((from, before));
    }
    Ok(stretches)
}

async fn delete_names_between(connection: &mut PgConnection, from: Uuid, to: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with orphans as materialized (
             select instance_id, channel_message_id
               from messaging_channel_messages as names
              where message_id >= $1
                and message_id < $2
                -- Where there is no week.
                and not exists (
                    select
                      from messaging_messages_default
                     where id = names.message_id)
              order by message_id
              limit $3
         ),
         deleted as (
             delete from messaging_channel_messages
              where (instance_id, channel_message_id) in (select instance_id, channel_message_id from orphans)
             returning message_id
         )
         select count(*) from deleted",
    )
    .persistent(false)
    .bind(from)
    .bind(to)
    .bind(BATCH)
    .fetch_one(connection)
    .await
}

/// Broadcasts that have ended, with their counts.
pub async fn delete_broadcasts(connection: &mut PgConnection, ended_before: Timestamp) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with ended as (
             delete from messaging_broadcasts
              where id in (select id
                             from messaging_broadcasts
                            where finished_at < $1
                              and status in ('cancelled', 'finished')
                            order by finished_at
                            limit $2
                              for update skip locked)
             returning id
         ),
         counts as (
             delete from messaging_broadcast_counts
              using ended
              where broadcast_id = ended.id
         ),
         changes as (
             delete from messaging_broadcast_count_changes
              using ended
              where broadcast_id = ended.id
         )
         select count(*) from ended",
    )
    .persistent(false)
    .bind(ended_before)
    .bind(BATCH)
    .fetch_one(connection)
    .await
}
