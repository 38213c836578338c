//! What waits for a time that a wrong clock set.

use crate::application::ports::{CALLED_IN_AMONG, Position, Recall, RepositoryError, Retimed, Retiming};
use crate::domain::Timestamp;
use crate::domain::message::deferral::RECIPIENT_WAITS;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, id_list, time_text};

/// Looks through what waits for a time, of whatever node, in the order of that index, so many at a time. What its sender wanted
/// later (`send_at`) is no wait of ours. A row that was timed anew was written after the clock was set: it is not wanted again.
const LOOKED: &str = "
    select id,
           next_attempt_at,
           cast(deferred_since as text) as deferred_since,
           cast(iif(retries <= 0, send_at, null) as text) as not_before,
           status = 'queued'
               and next_attempt_at is not send_at
               and (updated_at < ?2 or updated_at > ?3)
               and node_id in (select id from messaging_nodes where coalesce(process_id, id) = ?1) as is_wanted
      from messaging_messages indexed by messaging_messages_due
     where next_attempt_at is not null
       and status in ('pending', 'queued', 'processing')
       and (next_attempt_at, id) > (?4, ?5)
     order by next_attempt_at, id
     limit ?6";

/// In the transaction that found them.
pub const RETIME: &str = "
    update messaging_messages
       set status = 'queued',
           next_attempt_at = timed.value ->> 1,
           deferred_since = timed.value ->> 2,
           updated_at = ?2
      from json_each(?1) as timed
     where messaging_messages.id = timed.value ->> 0
       and status = 'queued'";

/// The same walk. Not what is to be sent later, nor what waits for its next try or for a place: those were not put off because no
/// process can deliver them, or behind one that was.
const WAITING: &str = "
    select id,
           next_attempt_at,
           status = 'queued'
               and next_attempt_at > ?2
               and (deferred_since is not null or error = ?6)
               and instance_id in (select value from json_each(?1)) as is_wanted
      from messaging_messages indexed by messaging_messages_due
     where next_attempt_at is not null
       and status in ('pending', 'queued', 'processing')
       and (next_attempt_at, id) > (?3, ?4)
     order by next_attempt_at, id
     limit ?5";

/// In the transaction that found them.
pub const RECALL: &str = "
    update messaging_messages
       set status = 'queued',
           next_attempt_at = ?2,
           updated_at = ?2
     where id in (select value from json_each(?1))
       and status = 'queued'";

/// Only those that come next: there may be a million that were scheduled.
pub const CALL_IN: &str = "
    update messaging_messages
       set status = 'queued',
           next_attempt_at = ?1,
           updated_at = ?1
     where id in (
               select id
                 from (select id, next_attempt_at, updated_at
                         from messaging_messages
                        where next_attempt_at > ?1
                          and next_attempt_at is not null
                        order by next_attempt_at, id
                        limit ?3)
                where next_attempt_at <= updated_at
                order by next_attempt_at, id
                limit ?2)
       and status = 'queued'";

pub async fn retime(database: &SqliteDatabase, retiming: &Retiming) -> Result<Retimed, RepositoryError> {
    let mut query = sqlx::query(LOOKED)
        .bind(retiming.process.0.hyphenated())
        .bind(time_text(retiming.since))
        .bind(time_text(retiming.until));
    for part in place(&retiming.after, "") {
        query = query.bind(part);
    }
    let mut transaction = database.begin().await?;
    let looked = query.bind(retiming.reach).fetch_all(&mut *transaction).await.map_err(translate)?;
    let mut timed = Vec::new();
    let mut next = None;
    for (row, number) in looked.iter().zip(1..) {
        let (id, time): (String, String) = (get(row, "id")?, get(row, "next_attempt_at")?);
        if number == retiming.reach {
            next = Some(Position(vec![time.clone(), id.clone()]));
        }
        if get::<Option<bool>>(row, "is_wanted")? != Some(true) {
            continue;
        }
        // What is no time is due now, as the tables have it; nor does it go along.
        let Ok(time) = time.parse::<Timestamp>() else { continue };
        let (since, not_before): (Option<String>, Option<String>) =
            (get(row, "deferred_since")?, get(row, "not_before")?);
        let along = |time: Timestamp| time.checked_add_signed(retiming.by).unwrap_or(time);
        // Its first try is not before the time that its sender gave.
        let not_before = not_before.and_then(|text| text.parse::<Timestamp>().ok());
        let time = not_before.map_or(along(time), |not_before| along(time).max(not_before));
        let since = since.map(|text| text.parse().map_or(text, |since| time_text(along(since))));
        timed.push((id, time_text(time), since));
    }
    let written = sqlx::query(RETIME)
        .bind(serde_json::json!(timed).to_string())
        .bind(time_text(retiming.now))
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
    transaction.commit().await.map_err(translate)?;
    Ok(Retimed { written: written.rows_affected(), next })
}

pub async fn recall(database: &SqliteDatabase, recall: &Recall) -> Result<Retimed, RepositoryError> {
    let now = time_text(recall.now);
    let mut query =
        sqlx::query(WAITING).bind(id_list(recall.instances.iter().map(|instance| instance.0))).bind(now.clone());
    for part in place(&recall.after, &now) {
        query = query.bind(part);
    }
    let mut transaction = database.begin().await?;
    let looked =
        query.bind(recall.reach).bind(RECIPIENT_WAITS).fetch_all(&mut *transaction).await.map_err(translate)?;
    let mut wanted: Vec<String> = Vec::new();
    let mut next = None;
    for (row, number) in looked.iter().zip(1..) {
        let (id, time): (String, String) = (get(row, "id")?, get(row, "next_attempt_at")?);
        if number == recall.reach {
            next = Some(Position(vec![time, id.clone()]));
        }
        if get::<Option<bool>>(row, "is_wanted")? == Some(true) {
            wanted.push(id);
        }
    }
    let written = sqlx::query(RECALL)
        .bind(serde_json::json!(wanted).to_string())
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
    transaction.commit().await.map_err(translate)?;
    Ok(Retimed { written: written.rows_affected(), next })
}

/// Where to go on, as the parameters of a statement; at the first time from this one on, if it begins. Every text is above the empty
/// one.
fn place(Position(after): &Position, beginning: &str) -> Vec<String> {
    if after.is_empty() { vec![beginning.to_owned(), String::new()] } else { after.clone() }
}

pub async fn call_in(database: &SqliteDatabase, now: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
    let written = sqlx::query(CALL_IN)
        .bind(time_text(now))
        .bind(limit)
        .bind(CALLED_IN_AMONG)
        .execute(database.writer())
        .await
        .map_err(translate)?;
    Ok(written.rows_affected())
}
