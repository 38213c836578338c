//! Recording how tries ended.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::{Value, json};
use uuid::Uuid;

use super::SqliteDatabase;
use super::error::translate;
use super::row::{id, time_text, time_text_option};
use crate::application::ports::RepositoryError;
use crate::infrastructure::sql::{Batch, Ending};

pub(super) struct Outcomes {
    database: SqliteDatabase,
}

/// Outcomes whose claims are lost: the row is `queued` as it was, one try fewer. Here a claim is on disk as everything is; the
/// port promises it of every adapter, and a disk that said so too early is made good as well.
pub(super) struct LostClaims {
    database: SqliteDatabase,
}

pub(super) fn outcomes(database: SqliteDatabase) -> (Outcomes, LostClaims) {
    (Outcomes { database: database.clone() }, LostClaims { database })
}

macro_rules! endings {
    () => {
        "(select value ->> 'id' as message_id, value ->> 'old_status' as old_status, value ->> 'node_id' as owner,
                 value ->> 'try' as number, value ->> 'status' as new_status,
                 value ->> 'channel_message_id' as channels_id, value ->> 'error' as reason,
                 value ->> 'failure' as kind, value ->> 'http_status' as http_status,
                 value ->> 'next_attempt_at' as due_at, value ->> 'dead_lettered_at' as dead_at,
                 value ->> 'sent_at' as taken_at, value ->> 'finished_at' as finished_at,
                 value ->> 'started_at' as started_at
            from json_each(?1)) as endings"
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
             updated_at = endings.finished_at"
    };
}

/// The guard on the state names those from which a try can end, whatever the caller believes.
const RECORD: &str = concat!(
    "update messaging_messages ",
    set_outcome!(),
    " from ",
    endings!(),
    " where id = endings.message_id
        and +status = endings.old_status
        and +status in ('pending', 'processing')
        and +node_id is endings.owner
        and try = endings.number
     returning id"
);

/// The claim and its outcome in one.
const CLAIM_AND_RECORD: &str = concat!(
    "update messaging_messages ",
    set_outcome!(),
    ",       node_id = endings.owner,
             try = endings.number,
             retries = min(max(retries, 0), 2147483646) + 1,
             attempt_started_at = endings.started_at
       from ",
    endings!(),
    " where id = endings.message_id
        and endings.old_status = 'processing'
        and +status = 'queued'
        and +next_attempt_at is null
        and try = endings.number - 1
     returning id"
);

/// A try has one row; whoever got past the guard first wrote it.
const TELL: &str = "
    insert into messaging_message_attempts
           (message_id, number, started_at, finished_at, outcome, error, http_status)
    select value ->> 'id', value ->> 'try', value ->> 'started_at', value ->> 'finished_at', value ->> 'attempt',
           value ->> 'error', value ->> 'http_status'
      from json_each(?1)
     where true -- or `on conflict` is taken for the condition of a join
    on conflict do nothing";

#[async_trait]
impl Batch for Outcomes {
    type Question = Ending;
    /// False when the guard has lost.
    type Answer = bool;

    async fn ask(&self, endings: &[Ending]) -> Result<Vec<bool>, RepositoryError> {
        write(&self.database, RECORD, endings).await
    }
}

#[async_trait]
impl Batch for LostClaims {
    type Question = Ending;
    /// False when the claim is not lost.
    type Answer = bool;

    async fn ask(&self, endings: &[Ending]) -> Result<Vec<bool>, RepositoryError> {
        write(&self.database, CLAIM_AND_RECORD, endings).await
    }
}

/// Returns whose guards have held.
async fn write(
    database: &SqliteDatabase,
    statement: &'static str,
    endings: &[Ending],
) -> Result<Vec<bool>, RepositoryError> {
    let mut transaction = database.begin().await?;
    let query = sqlx::query(statement).bind(rows(endings.iter()));
    let written = query.fetch_all(&mut *transaction).await.map_err(translate)?;
    let written: HashSet<Uuid> = written.iter().map(|row| id(row, "id")).collect::<Result<_, _>>()?;
    let is_told = |ending: &&Ending| ending.row.told && written.contains(&ending.outcome.guard.id.0);
    let told: Vec<&Ending> = endings.iter().filter(is_told).collect();
    if !told.is_empty() {
        let query = sqlx::query(TELL).bind(rows(told.into_iter()));
        query.execute(&mut *transaction).await.map_err(translate)?;
    }
    transaction.commit().await.map_err(translate)?;
    Ok(endings.iter().map(|ending| written.contains(&ending.outcome.guard.id.0)).collect())
}

/// A JSON array: the one parameter that can stand for any number of rows.
fn rows<'a>(endings: impl Iterator<Item = &'a Ending>) -> String {
    Value::Array(endings.map(row).collect()).to_string()
}

fn row(Ending { outcome, row }: &Ending) -> Value {
    json!({
        "id": outcome.guard.id.0,
        "old_status": outcome.guard.status.as_str(),
        "node_id": outcome.guard.node.map(|node| node.0),
        "try": outcome.guard.try_number,
        "status": row.status.as_str(),
        "channel_message_id": row.channel_message_id,
        "error": row.error,
        "failure": row.failure.map(|failure| failure.as_str()),
        "http_status": row.http_status,
        "next_attempt_at": time_text_option(row.next_attempt_at),
        "dead_lettered_at": time_text_option(row.dead_lettered_at),
        "sent_at": time_text_option(row.sent_at),
        "finished_at": time_text(outcome.finished_at),
        "started_at": time_text(outcome.started_at),
        "attempt": row.attempt.as_str(),
    })
}
