//! One transaction that tells: what it reads and what it writes.

use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::status_subscriptions::make_instances;
use crate::application::ports::Compose;
use crate::domain::instance::InstanceId;
use crate::domain::message::{Message, MessageId};
use crate::domain::status_webhook::{Change, FanOut, ROOM, Snapshot, Subscriber, Telling, fan_out};
use crate::infrastructure::storage::postgres::messages::insert_messages;
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::portion::fitting;
use crate::infrastructure::storage::postgres::row::{get, message_columns, messages};
use crate::infrastructure::storage::shared::status_webhooks::{
    ENDINGS, MISSED, Noted, PORTION, Portion, in_order, noted, portion, snapshot_columns, subscribers,
};

/// One message and one subscriber.
type Pair = (Uuid, Uuid);

/// What has ended is told: what waits for it is next. Returns whether there may be more.
pub async fn note_endings(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let ended: Vec<Uuid> = sqlx::query_scalar(
        "delete from messaging_status_endings
          where ctid = any(array(select ctid from messaging_status_endings limit $1))
         returning told_as",
    )
    .bind(i64::from(ENDINGS))
    .fetch_all(&mut *connection)
    .await?;
    if ended.is_empty() {
        return Ok(false);
    }
    let told: Vec<Pair> = sqlx::query_as(
        "delete from messaging_status_tellings
          where told_as = any($1)
         returning message_id, subscription_id",
    )
    .bind(&ended)
    .fetch_all(&mut *connection)
    .await?;
    let is_full = ended.len() == ENDINGS as usize;
    let_next(connection, told).await?;
    Ok(is_full)
}

/// Of each the first that waits, unless another one is being told.
async fn let_next(connection: &mut PgConnection, pairs: Vec<Pair>) -> Result<(), sqlx::Error> {
    if pairs.is_empty() {
        return Ok(());
    }
    let (messages, subscriptions): (Vec<Uuid>, Vec<Uuid>) = pairs.into_iter().unzip();
    sqlx::query(
        "update messaging_status_tellings as waiting
            set is_next = true
           from (select distinct on (tellings.message_id, tellings.subscription_id)
                        tellings.message_id, tellings.subscription_id, tellings.seq
                   from (select unnest($1::uuid[]) as message_id, unnest($2::uuid[]) as subscription_id) as asked
                   join messaging_status_tellings as tellings
                     on tellings.message_id = asked.message_id
                    and tellings.subscription_id = asked.subscription_id
                  order by tellings.message_id, tellings.subscription_id, tellings.seq) as first
          where waiting.message_id = first.message_id
            and waiting.subscription_id = first.subscription_id
            and waiting.seq = first.seq
            and waiting.told_as is null",
    )
    .bind(messages)
    .bind(subscriptions)
    .execute(connection)
    .await?;
    Ok(())
}

/// What waited, of whom it is told as which message.
#[derive(Default)]
struct Columns {
    messages: Vec<Uuid>,
    subscriptions: Vec<Uuid>,
    seqs: Vec<i64>,
    told_as: Vec<Option<Uuid>>,
}

impl Columns {
    fn push(&mut self, (seq, message, subscription): (i64, MessageId, InstanceId), told_as: Option<MessageId>) {
        self.messages.push(message.0);
        self.subscriptions.push(subscription.0);
        self.seqs.push(seq);
        self.told_as.push(told_as.map(|id| id.0));
    }
}

/// Tells what waits no longer. Returns how much, and whether there may be more.
pub async fn tell_next(connection: &mut PgConnection, compose: &Compose<'_>) -> Result<(usize, bool), sqlx::Error> {
    let rows = sqlx::query(concat!(
        "select message_id, subscription_id, seq, ",
        snapshot_columns!(),
        " from messaging_status_tellings
         where is_next
         order by seq
         limit $1"
    ))
    .bind(i64::from(PORTION))
    .fetch_all(&mut *connection)
    .await?;
    if rows.is_empty() {
        return Ok((0, false));
    }
    let (waiting, unreadable) = readable(&rows, "subscription_id");
    let Portion { changes, gone, is_cut } = read(connection, waiting).await?;
    let asked = changes.iter().filter_map(|change| change.told_to.map(|id| id.0)).collect();
    let subscribers = find_subscribers(connection, asked, Vec::new()).await?;
    let by_id: HashMap<InstanceId, &Subscriber> = subscribers.iter().map(|it| (it.id, it)).collect();
    let (mut composed, mut told, mut dropped) = (Vec::new(), Columns::default(), unreadable);
    dropped.extend(gone.into_iter().map(|(seq, ..)| seq));
    for change in &changes {
        match change.told_to.and_then(|id| by_id.get(&id)) {
            Some(to) => {
                let message = compose(change, to);
                told.push((change.seq, change.message.id, to.id), Some(message.id));
                composed.push(message);
            }
            None => dropped.push(change.seq),
        }
    }
    let count = composed.len();
    if count > 0 {
        insert_messages(connection, composed).await?;
        begin_telling(connection, told).await?;
    }
    drop_waiting(connection, dropped).await?;
    Ok((count, is_cut || rows.len() == PORTION as usize))
}

async fn begin_telling(connection: &mut PgConnection, told: Columns) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update messaging_status_tellings as tellings
            set told_as = told.told_as,
                is_next = false,
                then_channel_message_id = null,
                then_error = null
           from (select unnest($1::uuid[]) as message_id, unnest($2::uuid[]) as subscription_id, unnest($3::bigint[]) as seq,
                        unnest($4::uuid[]) as told_as) as told
          where tellings.message_id = told.message_id
            and tellings.subscription_id = told.subscription_id
            and tellings.seq = told.seq",
    )
    .bind(told.messages)
    .bind(told.subscriptions)
    .bind(told.seqs)
    .bind(told.told_as)
    .execute(connection)
    .await?;
    Ok(())
}

/// What was to be told next and cannot be.
async fn drop_waiting(connection: &mut PgConnection, seqs: Vec<i64>) -> Result<(), sqlx::Error> {
    if seqs.is_empty() {
        return Ok(());
    }
    let pairs: Vec<Pair> = sqlx::query_as(
        "delete from messaging_status_tellings
          where is_next
            and seq = any($1)
         returning message_id, subscription_id",
    )
    .bind(seqs)
    .fetch_all(&mut *connection)
    .await?;
    let_next(connection, pairs).await
}

/// Tells of what was noted. Returns how much, and whether there may be more.
pub async fn tell_noted(connection: &mut PgConnection, compose: &Compose<'_>) -> Result<(usize, bool), sqlx::Error> {
    let rows = sqlx::query(concat!(
        "select seq, message_id, told_to, ",
        snapshot_columns!(),
        " from messaging_status_changes
         order by seq
         limit $1"
    ))
    .bind(i64::from(PORTION))
    .fetch_all(&mut *connection)
    .await?;
    if rows.is_empty() {
        return Ok((0, false));
    }
    let (noted, unreadable) = readable(&rows, "told_to");
    let Portion { changes, gone, is_cut } = read(connection, noted).await?;
    let tenants: HashSet<&str> = changes.iter().map(|change| change.message.tenant.as_str()).collect();
    let subscribers = find_subscribers(connection, Vec::new(), Vec::from_iter(tenants)).await?;
    let busy = find_busy(connection, &changes).await?;
    let FanOut { tellings, mut done, begun } = fan_out(&changes, &subscribers, busy, ROOM);
    let is_full = done.len() < changes.len();
    let count = write(connection, &tellings, compose).await?;
    done.extend(gone.into_iter().map(|(seq, ..)| seq));
    done.extend(unreadable);
    sqlx::query("delete from messaging_status_changes where seq = any($1)")
        .bind(done)
        .execute(&mut *connection)
        .await?;
    if let Some((seq, told_to)) = begun {
        sqlx::query("update messaging_status_changes set told_to = $2 where seq = $1")
            .bind(seq)
            .bind(told_to.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok((count, is_cut || is_full || rows.len() == PORTION as usize))
}

/// Stores the messages that tell, and notes which of them tell what, and what waits.
async fn write(
    connection: &mut PgConnection,
    tellings: &[Telling<'_>],
    compose: &Compose<'_>,
) -> Result<usize, sqlx::Error> {
    if tellings.is_empty() {
        return Ok(0);
    }
    let (mut composed, mut told) = (Vec::new(), Columns::default());
    for Telling { change, to, waits } in tellings {
        let message = (!waits).then(|| compose(change, to));
        told.push((change.seq, change.message.id, to.id), message.as_ref().map(|message| message.id));
        composed.extend(message);
    }
    let count = composed.len();
    if count > 0 {
        insert_messages(connection, composed).await?;
    }
    // Of what is told now no one needs to know again how it was.
    let then = |telling: &Telling<'_>| telling.waits.then(|| Snapshot::of(&telling.change.message));
    let then: Vec<Option<Snapshot>> = tellings.iter().map(then).collect();
    let each = || then.iter().map(Option::as_ref);
    sqlx::query(concat!(
        "insert into messaging_status_tellings (message_id, subscription_id, seq, told_as, ",
        snapshot_columns!(),
        ") select unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::bigint[]), unnest($4::uuid[]), unnest($5::text[]),
                  unnest($6::text[]), unnest($7::text[]), unnest($8::bigint[]), unnest($9::timestamptz[]),
                  unnest($10::timestamptz[]), unnest($11::timestamptz[]), unnest($12::timestamptz[])"
    ))
    .bind(told.messages)
    .bind(told.subscriptions)
    .bind(told.seqs)
    .bind(told.told_as)
    .bind(each().map(|it| it.map(|it| it.status.as_str())).collect::<Vec<_>>())
    .bind(each().map(|it| it.and_then(|it| it.channel_message_id.as_deref())).collect::<Vec<_>>())
    .bind(each().map(|it| it.and_then(|it| it.error.as_deref())).collect::<Vec<_>>())
    .bind(each().map(|it| it.map(|it| i64::from(it.tries))).collect::<Vec<_>>())
    .bind(each().map(|it| it.map(|it| it.updated_at)).collect::<Vec<_>>())
    .bind(each().map(|it| it.and_then(|it| it.sent_at)).collect::<Vec<_>>())
    .bind(each().map(|it| it.and_then(|it| it.delivered_at)).collect::<Vec<_>>())
    .bind(each().map(|it| it.and_then(|it| it.read_at)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(count)
}

/// What can be read; and the numbers of what was edited by hand and cannot be, which must not keep the others from being told.
fn readable(rows: &[PgRow], subscription: &str) -> (Vec<Noted>, Vec<i64>) {
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
    "with asked as (
         select id, place
           from unnest($1::uuid[]) with ordinality as asked (id, place)
     ),",
    fitting!("asked", "found.place", "(messages.id between :least and :greatest or messages.id = :least) and "),
    "
     select ",
    message_columns!(),
    " from messaging_messages as messages
     where (messages.id between :least and :greatest or messages.id = :least)
       and messages.id = any(array(select id from fitting))"
);

/// The messages, each as the change left it: as many as are read in one go.
async fn read(connection: &mut PgConnection, noted: Vec<Noted>) -> Result<Portion, sqlx::Error> {
    let ids = in_order(&noted);
    let statement = NamedWeeks::of(ids.iter().copied()).name_in(READ);
    let query = sqlx::query(AssertSqlSafe(statement)).bind(ids.iter().map(|id| id.0).collect::<Vec<Uuid>>());
    let rows = query.fetch_all(connection).await?;
    let found: HashMap<MessageId, Message> = messages(&rows).into_iter().map(|message| (message.id, message)).collect();
    Ok(portion(noted, &found))
}

/// Those with these ids, and those of these tenants. Behind each stands an instance then.
async fn find_subscribers(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
    tenants: Vec<&str>,
) -> Result<Vec<Subscriber>, sqlx::Error> {
    let rows = sqlx::query(
        "select id, tenant, user_id, states, channel_instance_id,
                exists (select from messaging_instances where id = subscriptions.id) as has_instance
           from messaging_status_subscriptions as subscriptions
          where id = any($1)
             or tenant = any($2)",
    )
    .bind(ids)
    .bind(tenants)
    .fetch_all(&mut *connection)
    .await?;
    let without = |row: &&PgRow| !get(row, "has_instance").unwrap_or(true);
    let without: Vec<Uuid> = rows.iter().filter(without).filter_map(|row| get(row, "id").ok()).collect();
    if !without.is_empty() {
        make_instances(connection, &without).await?;
    }
    Ok(subscribers(&rows))
}

/// Who is being told of these messages, or is to be.
async fn find_busy(
    connection: &mut PgConnection,
    changes: &[Change],
) -> Result<HashSet<(InstanceId, MessageId)>, sqlx::Error> {
    let pairs: Vec<Pair> = sqlx::query_as(
        "select distinct message_id, subscription_id
           from messaging_status_tellings
          where message_id = any($1)",
    )
    .bind(changes.iter().map(|change| change.message.id.0).collect::<Vec<Uuid>>())
    .fetch_all(connection)
    .await?;
    Ok(pairs.into_iter().map(|(message, subscription)| (InstanceId(subscription), MessageId(message))).collect())
}

/// Behind each subscription stands an instance again.
pub async fn mend(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let without: Vec<Uuid> = sqlx::query_scalar(
        "select id
           from messaging_status_subscriptions as subscriptions
          where not exists (select from messaging_instances where id = subscriptions.id)
          limit $1",
    )
    .bind(i64::from(PORTION))
    .fetch_all(&mut *connection)
    .await?;
    if without.is_empty() {
        return Ok(());
    }
    make_instances(connection, &without).await
}

/// Notes that these have ended, or are gone. Returns the last that was looked at.
pub async fn note_missed(
    connection: &mut PgConnection,
    (after, before): (Uuid, Uuid),
) -> Result<Option<Uuid>, sqlx::Error> {
    let told: Vec<Uuid> = sqlx::query_scalar(
        "select told_as
           from messaging_status_tellings
          where told_as > $1
            and told_as < $2
          order by told_as
          limit $3",
    )
    .bind(after)
    .bind(before)
    .bind(i64::from(MISSED))
    .fetch_all(&mut *connection)
    .await?;
    if told.is_empty() {
        return Ok(None);
    }
    let weeks = NamedWeeks::of(told.iter().map(|id| MessageId(*id)));
    let statement = weeks.name_in(
        "insert into messaging_status_endings
         select asked.id
           from unnest($1::uuid[]) as asked (id)
          where not exists (
                select
                  from messaging_messages as messages
                 where messages.id = asked.id
                   and (messages.id between :least and :greatest or messages.id = :least)
                   and (messages.status in ('pending', 'queued', 'processing')) is true)",
    );
    sqlx::query(AssertSqlSafe(statement)).bind(&told).execute(connection).await?;
    Ok(told.last().copied().filter(|_| told.len() == MISSED as usize))
}
