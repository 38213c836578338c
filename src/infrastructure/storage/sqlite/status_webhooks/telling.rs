//! One transaction that tells: what it reads and what it writes.

use std::collections::{HashMap, HashSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, Transaction};
use uuid::Uuid;

use super::status_subscriptions::make_instance;
use crate::application::ports::{Compose, RepositoryError};
use crate::domain::instance::InstanceId;
use crate::domain::message::{Message, MessageId};
use crate::domain::status_webhook::{Change, FanOut, ROOM, Snapshot, Subscriber, Telling, fan_out};
use crate::infrastructure::storage::shared::status_webhooks::{
    ENDINGS, MISSED, Noted, PORTION, Portion, in_order, noted, portion, snapshot_columns, subscribers,
};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::messages::insert_messages;
use crate::infrastructure::storage::sqlite::portion::fitting;
use crate::infrastructure::storage::sqlite::row::{
    get, id, id_list, message_columns, messages, time_text, time_text_option,
};

type Writing<'t> = Transaction<'t, Sqlite>;

/// One message and one subscriber.
type Pair = (Uuid, Uuid);

/// What has ended is told: what waits for it is next. Returns whether there may be more.
pub async fn note_endings(transaction: &mut Writing<'_>) -> Result<bool, RepositoryError> {
    let ended = sqlx::query(
        "delete from messaging_status_endings
          where told_as in (select told_as from messaging_status_endings limit ?1)
         returning told_as",
    )
    .bind(ENDINGS)
    .fetch_all(&mut **transaction)
    .await
    .map_err(translate)?;
    let readable = ended.iter().filter_map(|row| id(row, "told_as").ok());
    let told = sqlx::query(
        "delete from messaging_status_tellings
          where told_as in (select value from json_each(?1))
         returning message_id, subscription_id",
    )
    .bind(id_list(readable))
    .fetch_all(&mut **transaction)
    .await
    .map_err(translate)?;
    let_next(transaction, told.iter().filter_map(pair)).await?;
    Ok(ended.len() == ENDINGS as usize)
}

fn pair(row: &SqliteRow) -> Option<Pair> {
    Some((id(row, "message_id").ok()?, id(row, "subscription_id").ok()?))
}

/// Of each the first that waits, unless another one is being told.
async fn let_next(transaction: &mut Writing<'_>, pairs: impl Iterator<Item = Pair>) -> Result<(), RepositoryError> {
    for (message, subscription) in pairs {
        sqlx::query(
            "update messaging_status_tellings
                set is_next = 1
              where message_id = ?1
                and subscription_id = ?2
                and told_as is null
                and seq = (
                    select min(seq)
                      from messaging_status_tellings
                     where message_id = ?1
                       and subscription_id = ?2)",
        )
        .bind(message.hyphenated())
        .bind(subscription.hyphenated())
        .execute(&mut **transaction)
        .await
        .map_err(translate)?;
    }
    Ok(())
}

/// Tells what waits no longer. Returns how much, and whether there may be more.
pub async fn tell_next(transaction: &mut Writing<'_>, compose: &Compose<'_>) -> Result<(usize, bool), RepositoryError> {
    let rows = sqlx::query(concat!(
        "select message_id, subscription_id, seq, ",
        snapshot_columns!(),
        " from messaging_status_tellings
         where is_next
         order by seq
         limit ?1"
    ))
    .bind(PORTION)
    .fetch_all(&mut **transaction)
    .await
    .map_err(translate)?;
    if rows.is_empty() {
        return Ok((0, false));
    }
    let (waiting, mut dropped) = readable(&rows, "subscription_id");
    let Portion { changes, gone, is_cut } = read(transaction, waiting).await?;
    dropped.extend(gone.into_iter().map(|(seq, ..)| seq));
    let asked: HashSet<Uuid> = changes.iter().filter_map(|change| change.told_to.map(|id| id.0)).collect();
    let subscribers = find_subscribers(transaction, asked, HashSet::new()).await?;
    let by_id: HashMap<InstanceId, &Subscriber> = subscribers.iter().map(|it| (it.id, it)).collect();
    let mut composed = Vec::new();
    for change in &changes {
        match change.told_to.and_then(|id| by_id.get(&id)) {
            Some(to) => {
                let message = compose(change, to);
                begin_telling(transaction, change, to, message.id).await?;
                composed.push(message);
            }
            None => dropped.push(change.seq),
        }
    }
    let count = composed.len();
    insert_messages(transaction, composed).await?;
    drop_waiting(transaction, &dropped).await?;
    Ok((count, is_cut || rows.len() == PORTION as usize))
}

async fn begin_telling(
    transaction: &mut Writing<'_>,
    change: &Change,
    to: &Subscriber,
    told_as: MessageId,
) -> Result<(), RepositoryError> {
    sqlx::query(
        "update messaging_status_tellings
            set told_as = ?4,
                is_next = 0,
                then_channel_message_id = null,
                then_error = null
          where message_id = ?1
            and subscription_id = ?2
            and seq = ?3",
    )
    .bind(change.message.id.0.hyphenated())
    .bind(to.id.0.hyphenated())
    .bind(change.seq)
    .bind(told_as.0.hyphenated())
    .execute(&mut **transaction)
    .await
    .map_err(translate)?;
    Ok(())
}

/// What was to be told next and cannot be.
async fn drop_waiting(transaction: &mut Writing<'_>, seqs: &[i64]) -> Result<(), RepositoryError> {
    if seqs.is_empty() {
        return Ok(());
    }
    let dropped = sqlx::query(
        "delete from messaging_status_tellings
          where is_next
            and seq in (select value from json_each(?1))
         returning message_id, subscription_id",
    )
    .bind(serde_json::json!(seqs).to_string())
    .fetch_all(&mut **transaction)
    .await
    .map_err(translate)?;
    let_next(transaction, dropped.iter().filter_map(pair)).await
}

/// Tells of what was noted. Returns how much, and whether there may be more.
pub async fn tell_noted(
    transaction: &mut Writing<'_>,
    compose: &Compose<'_>,
) -> Result<(usize, bool), RepositoryError> {
    let rows = sqlx::query(concat!(
        "select seq, message_id, told_to, ",
        snapshot_columns!(),
        " from messaging_status_changes
         order by seq
         limit ?1"
    ))
    .bind(PORTION)
    .fetch_all(&mut **transaction)
    .await
    .map_err(translate)?;
    if rows.is_empty() {
        return Ok((0, false));
    }
    let (noted, unreadable) = readable(&rows, "told_to");
    let Portion { changes, gone, is_cut } = read(transaction, noted).await?;
    let tenants = changes.iter().map(|change| change.message.tenant.as_str()).collect();
    let subscribers = find_subscribers(transaction, HashSet::new(), tenants).await?;
    let busy = find_busy(transaction, &changes).await?;
    let FanOut { tellings, mut done, begun } = fan_out(&changes, &subscribers, busy, ROOM);
    let is_full = done.len() < changes.len();
    let count = write(transaction, &tellings, compose).await?;
    done.extend(gone.into_iter().map(|(seq, ..)| seq));
    done.extend(unreadable);
    sqlx::query("delete from messaging_status_changes where seq in (select value from json_each(?1))")
        .bind(serde_json::json!(done).to_string())
        .execute(&mut **transaction)
        .await
        .map_err(translate)?;
    if let Some((seq, told_to)) = begun {
        sqlx::query("update messaging_status_changes set told_to = ?2 where seq = ?1")
            .bind(seq)
            .bind(told_to.0.hyphenated())
            .execute(&mut **transaction)
            .await
            .map_err(translate)?;
    }
    Ok((count, is_cut || is_full || rows.len() == PORTION as usize))
}

/// One statement takes no more parameters than these have.
const AT_ONCE: usize = 500;

/// Stores the messages that tell, and notes which of them tell what, and what waits.
async fn write(
    transaction: &mut Writing<'_>,
    tellings: &[Telling<'_>],
    compose: &Compose<'_>,
) -> Result<usize, RepositoryError> {
    let composed: Vec<Option<Message>> =
        tellings.iter().map(|it| (!it.waits).then(|| compose(it.change, it.to))).collect();
    let rows: Vec<(&Telling<'_>, Option<Uuid>)> =
        tellings.iter().zip(composed.iter().map(|message| message.as_ref().map(|message| message.id.0))).collect();
    for rows in rows.chunks(AT_ONCE) {
        let mut query = QueryBuilder::<Sqlite>::new(concat!(
            "insert into messaging_status_tellings (message_id, subscription_id, seq, told_as, ",
            snapshot_columns!(),
            ") "
        ));
        query.push_values(rows, |mut row, (telling, told_as)| {
            // Of what is told now no one needs to know again how it was.
            let then = telling.waits.then(|| Snapshot::of(&telling.change.message));
            row.push_bind(telling.change.message.id.0.hyphenated())
                .push_bind(telling.to.id.0.hyphenated())
                .push_bind(telling.change.seq)
                .push_bind(told_as.map(Uuid::hyphenated))
                .push_bind(then.as_ref().map(|then| then.status.as_str()))
                .push_bind(then.as_ref().and_then(|then| then.channel_message_id.clone()))
                .push_bind(then.as_ref().and_then(|then| then.error.clone()))
                .push_bind(then.as_ref().map(|then| then.tries))
                .push_bind(then.as_ref().map(|then| time_text(then.updated_at)))
                .push_bind(time_text_option(then.as_ref().and_then(|then| then.sent_at)))
                .push_bind(time_text_option(then.as_ref().and_then(|then| then.delivered_at)))
                .push_bind(time_text_option(then.as_ref().and_then(|then| then.read_at)));
        });
        query.build().persistent(false).execute(&mut **transaction).await.map_err(translate)?;
    }
    drop(rows);
    let composed: Vec<Message> = composed.into_iter().flatten().collect();
    let count = composed.len();
    insert_messages(transaction, composed).await?;
    Ok(count)
}

/// What can be read; and the numbers of what was edited by hand and cannot be, which must not keep the others from being told.
fn readable(rows: &[SqliteRow], subscription: &str) -> (Vec<Noted>, Vec<i64>) {
    let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
    for row in rows {
        match noted(row, subscription) {
            Ok(noted) => readable.push(noted),
            Err(error) => {
                tracing::error!(%error, "a change's row cannot be read: it is not told");
                unreadable.extend(get::<i64>(row, "seq").ok());
            }
        }
    }
    (readable, unreadable)
}

const READ: &str = concat!(
    "with asked as materialized (
         select value as id, key as place
           from json_each(?1)
     ),",
    fitting!("asked", "found.place"),
    "
     select ",
    message_columns!(),
    " from messaging_messages
     where id in (select id from fitting)"
);

/// The messages, each as the change left it: as many as are read in one go.
async fn read(transaction: &mut Writing<'_>, noted: Vec<Noted>) -> Result<Portion, RepositoryError> {
    let ids = id_list(in_order(&noted).into_iter().map(|id| id.0));
    let rows = sqlx::query(READ).bind(ids).fetch_all(&mut **transaction).await.map_err(translate)?;
    let found: HashMap<MessageId, Message> = messages(&rows).into_iter().map(|message| (message.id, message)).collect();
    Ok(portion(noted, &found))
}

/// Those with these ids, and those of these tenants. Behind each stands an instance then.
async fn find_subscribers(
    transaction: &mut Writing<'_>,
    ids: HashSet<Uuid>,
    tenants: HashSet<&str>,
) -> Result<Vec<Subscriber>, RepositoryError> {
    let rows = sqlx::query(
        "select id, tenant, user_id, states, channel_instance_id,
                exists (select 1 from messaging_instances where id = subscriptions.id) as has_instance
           from messaging_status_subscriptions as subscriptions
          where id in (select value from json_each(?1))
             or tenant in (select value from json_each(?2))",
    )
    .bind(id_list(ids))
    .bind(serde_json::json!(tenants).to_string())
    .fetch_all(&mut **transaction)
    .await
    .map_err(translate)?;
    for row in rows.iter().filter(|row| !get(row, "has_instance").unwrap_or(true)) {
        make_instance(transaction, InstanceId(id(row, "id")?)).await?;
    }
    Ok(subscribers(&rows))
}

/// Who is being told of these messages, or is to be.
async fn find_busy(
    transaction: &mut Writing<'_>,
    changes: &[Change],
) -> Result<HashSet<(InstanceId, MessageId)>, RepositoryError> {
    let rows = sqlx::query(
        "select distinct message_id, subscription_id
           from messaging_status_tellings
          where message_id in (select value from json_each(?1))",
    )
    .bind(id_list(changes.iter().map(|change| change.message.id.0)))
    .fetch_all(&mut **transaction)
    .await
    .map_err(translate)?;
    let busy = |(message, subscription)| (InstanceId(subscription), MessageId(message));
    Ok(rows.iter().filter_map(pair).map(busy).collect())
}

/// Behind each subscription stands an instance again.
pub async fn mend(database: &SqliteDatabase) -> Result<(), RepositoryError> {
    let without = sqlx::query(
        "select id
           from messaging_status_subscriptions
          where id not in (select id from messaging_instances)
          limit ?1",
    )
    .bind(PORTION)
    .fetch_all(database.readers())
    .await
    .map_err(translate)?;
    if without.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    for id in without.iter().filter_map(|row| id(row, "id").ok()) {
        make_instance(&mut transaction, InstanceId(id)).await?;
    }
    transaction.commit().await.map_err(translate)
}

/// Notes that these have ended, or are gone. Returns the last that was looked at.
pub async fn note_missed(
    database: &SqliteDatabase,
    (after, before): (Uuid, Uuid),
) -> Result<Option<Uuid>, RepositoryError> {
    let told = sqlx::query(
        "select told_as,
                exists (
                    select 1
                      from messaging_messages
                     where id = told_as
                       and status in ('pending', 'queued', 'processing')) as is_open
           from messaging_status_tellings
          where told_as is not null
            and told_as > ?1
            and told_as < ?2
          order by told_as
          limit ?3",
    )
    .bind(after.hyphenated())
    .bind(before.hyphenated())
    .bind(MISSED)
    .fetch_all(database.readers())
    .await
    .map_err(translate)?;
    for row in told.iter().filter(|row| !get(row, "is_open").unwrap_or(true)) {
        sqlx::query("insert into messaging_status_endings values (?1) on conflict do nothing")
            .bind(get::<&str>(row, "told_as")?)
            .execute(database.writer())
            .await
            .map_err(translate)?;
    }
    let last = told.last().and_then(|row| id(row, "told_as").ok());
    Ok(last.filter(|_| told.len() == MISSED as usize))
}
