//! Recording how tries ended.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite, Transaction};
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::shared::{Batch, RecordRequest};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{id, time_text, time_text_option};

pub struct Outcomes {
    database: SqliteDatabase,
}

/// Outcomes whose claims are lost: the row is `queued` as it was, one try fewer. Here a claim is on disk as everything
/// is; but the port promises this of every adapter, and a claim that the disk confirmed too early is made good as well.
pub struct LostClaims {
    database: SqliteDatabase,
}

pub fn outcomes(database: SqliteDatabase) -> (Outcomes, LostClaims) {
    (Outcomes { database: database.clone() }, LostClaims { database })
}

/// How the tries ended: one row each, between this and what stands after it.
macro_rules! from_endings {
    () => {
        " from (select column1 as message_id, column2 as old_status, column3 as owner, column4 as number,
                       column5 as new_status, column6 as channels_id, column7 as reason, column8 as kind,
                       column9 as http_status, column10 as due_at, column11 as dead_at, column12 as taken_at,
                       column13 as finished_at, column14 as started_at, column15 as is_spent,
                       column16 as is_unanswered,
                       column17 as is_undeliverable
                  from ("
    };
}

macro_rules! set_outcome {
    () => {
        "set status = endings.new_status,
             channel_message_id = coalesce(endings.channels_id, channel_message_id),
             error = endings.reason,
             failure = endings.kind,
             attempt_http_status = endings.http_status,
             next_attempt_at = endings.due_at,
             dead_lettered_at = endings.dead_at,
             sent_at = coalesce(endings.taken_at, sent_at),
             unanswered = max(unanswered, endings.is_unanswered),
             -- Where no try has been made it was put off. A count that was edited by hand may be out of bounds.
             deferrals = iif(endings.is_spent, deferrals, min(max(deferrals, 0), 2147483646) + 1),
             deferred_since = iif(endings.is_spent,
                                  null,
                                  iif(endings.is_undeliverable, coalesce(deferred_since, endings.finished_at), deferred_since)),
             updated_at = endings.finished_at"
    };
}

/// The text before and after the rows. The guard on the state names the states from which a try can end, whatever the
/// caller believes.
///
/// The `+` leave only one way to look: each message by its id. With statistics of a large table, SQLite may prefer to
/// index the given rows, and to read all messages.
pub(super) const RECORD: [&str; 2] = [
    concat!(
        "update messaging_messages ",
        set_outcome!(),
        // The claim has counted the try.
        ", retries = iif(endings.is_spent, retries, max(retries, 1) - 1)",
        from_endings!()
    ),
    ")) as endings
      where id = +endings.message_id
        and +status = +endings.old_status
        and +status in ('pending', 'processing')
        and +node_id is +endings.owner
        and +try = +endings.number
     returning id",
];

/// The claim and its outcome in one.
pub(super) const CLAIM_AND_RECORD: [&str; 2] = [
    concat!(
        "update messaging_messages ",
        set_outcome!(),
        ",       node_id = endings.owner,
                 try = endings.number,
                 retries = min(max(retries, 0), 2147483646) + endings.is_spent,
                 attempt_started_at = endings.started_at",
        from_endings!()
    ),
    ")) as endings
      where id = +endings.message_id
        and +endings.old_status = 'processing'
        and +status = 'queued'
        and (+next_attempt_at is null or (endings.new_status = 'sent' and endings.number = 1))
        and +try = endings.number - 1
     returning id",
];

/// A try has one row, written by the first statement to pass the guard.
const ATTEMPTS: [&str; 2] = [
    "insert into messaging_message_attempts
            (message_id, number, started_at, finished_at, outcome, error, http_status)
     ",
    " on conflict do nothing",
];

#[async_trait]
impl Batch for Outcomes {
    type Request = RecordRequest;
    /// False when the guard has lost.
    type Answer = bool;

    async fn execute(&self, requests: &[RecordRequest]) -> Result<Vec<bool>, RepositoryError> {
        write(&self.database, RECORD, requests).await
    }
}

#[async_trait]
impl Batch for LostClaims {
    type Request = RecordRequest;
    /// False when the claim is not lost.
    type Answer = bool;

    async fn execute(&self, requests: &[RecordRequest]) -> Result<Vec<bool>, RepositoryError> {
        write(&self.database, CLAIM_AND_RECORD, requests).await
    }
}

/// Returns which guards have held.
async fn write(
    database: &SqliteDatabase,
    statement: [&'static str; 2],
    requests: &[RecordRequest],
) -> Result<Vec<bool>, RepositoryError> {
    let mut transaction = database.begin().await?;
    // Its text has one row per outcome, so the statement is not cached.
    let mut query = self::statement(statement, requests);
    let written = query.build().persistent(false).fetch_all(&mut *transaction).await.map_err(translate)?;
    let written: HashSet<Uuid> = written.iter().map(|row| id(row, "id")).collect::<Result<_, _>>()?;
    let has_row = |request: &&RecordRequest| request.row.has_row && written.contains(&request.guard.id.0);
    let recorded: Vec<&RecordRequest> = requests.iter().filter(has_row).collect();
    if !recorded.is_empty() {
        attempts_of(&recorded).build().persistent(false).execute(&mut *transaction).await.map_err(translate)?;
    }
    for request in requests.iter().filter(|request| written.contains(&request.guard.id.0)) {
        if let Some(name) = request.row.name() {
            note_name(&mut transaction, request.guard.id, name).await?;
        }
    }
    transaction.commit().await.map_err(translate)?;
    Ok(requests.iter().map(|request| written.contains(&request.guard.id.0)).collect())
}

/// Which message the channel's name stands for, so that receipts find it.
async fn note_name(
    transaction: &mut Transaction<'_, Sqlite>,
    message: MessageId,
    name: &str,
) -> Result<(), RepositoryError> {
    sqlx::query(
        "insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
         select instance_id, ?2, id
           from messaging_messages
          where id = ?1
             on conflict do nothing",
    )
    .bind(message.0.hyphenated())
    .bind(name)
    .execute(&mut **transaction)
    .await
    .map_err(translate)?;
    Ok(())
}

pub(super) fn statement([before, after]: [&'static str; 2], requests: &[RecordRequest]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(before);
    query.push_values(requests, |mut values, RecordRequest { guard, started_at, row }| {
        let row = &row.ending;
        values
            .push_bind(guard.id.0.hyphenated())
            .push_bind(guard.status.as_str())
            .push_bind(guard.node.map(|node| node.0.hyphenated()))
            .push_bind(guard.try_number)
            .push_bind(row.status.as_str())
            .push_bind(row.channel_message_id.as_deref())
            .push_bind(row.error.as_deref())
            .push_bind(row.failure.map(|failure| failure.as_str()))
            .push_bind(row.http_status)
            .push_bind(time_text_option(row.next_attempt_at))
            .push_bind(time_text_option(row.dead_lettered_at))
            .push_bind(time_text_option(row.sent_at))
            .push_bind(time_text(row.finished_at))
            .push_bind(time_text(*started_at))
            .push_bind(row.is_spent)
            .push_bind(row.is_unanswered)
            .push_bind(row.is_undeliverable);
    });
    query.push(after);
    query
}

fn attempts_of(requests: &[&RecordRequest]) -> QueryBuilder<Sqlite> {
    let [before, after] = ATTEMPTS;
    let mut query = QueryBuilder::new(before);
    query.push_values(requests, |mut values, RecordRequest { guard, started_at, row }| {
        let row = &row.ending;
        values
            .push_bind(guard.id.0.hyphenated())
            .push_bind(guard.try_number)
            .push_bind(time_text(*started_at))
            .push_bind(time_text(row.finished_at))
            .push_bind(row.attempt.as_str())
            .push_bind(row.error.as_deref())
            .push_bind(row.http_status);
    });
    query.push(after);
    query
}
