//! Giving back, making due and timing anew: what the comparison writes, what a process does not keep, and what waits for a
//! time that a wrong clock set.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::application::ports::{CALLED_IN_AMONG, Forgotten, Position, Recall, RepositoryError, Retimed, Retiming};
use crate::domain::Timestamp;
use crate::domain::message::MessageId;
use crate::domain::message::deferral::RECIPIENT_WAITS;
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_look;
use crate::infrastructure::storage::postgres::messages::open_messages::LEAST_ID;
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::get;

/// Locked in order of id, so that two concurrent statements do not deadlock.
pub const GIVE_BACK: &str = "
    with held as (
         select messages.id,
                guards.is_spent
           from unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $6::boolean[]) with ordinality
                    as guards (id, status, node_id, try, is_spent, place)
           join messaging_messages as messages
             on messages.id = guards.id
            and messages.status = guards.status
            and messages.node_id is not distinct from guards.node_id
            and greatest(messages.try, 0) = guards.try -- as it is read
          where messages.status in ('pending', 'processing')
            -- So written that no index on the open rows seems to serve: each row is looked up by its id.
            and (messages.next_attempt_at is null) is true
            and (messages.id between :least and :greatest or messages.id = :least)
          -- Not by the id: no index gives this order, so that none is walked for it.
          order by guards.place
            for update of messages
     )
     update messaging_messages as messages
        set status = 'queued',
            retries = case when held.is_spent then messages.retries else greatest(messages.retries, 1) - 1 end,
            unanswered = messages.unanswered or held.is_spent,
            next_attempt_at = $5,
            updated_at = $5
       from held
      where messages.id = held.id
        and (messages.id between :least and :greatest or messages.id = :least)";

/// Locked in order of id, as above.
pub const MAKE_DUE: &str = "
    with owned as (
         select messages.id
           from unnest($1::uuid[], $2::uuid[]) with ordinality as pairs (id, node_id, place)
           join messaging_messages as messages
             on messages.id = pairs.id
            and messages.node_id = pairs.node_id
          where messages.status in ('pending', 'queued')
            and (messages.next_attempt_at is null) is true
            and (messages.id between :least and :greatest or messages.id = :least)
          order by pairs.place
            for update of messages
     )
     update messaging_messages as messages
        set status = 'queued',
            next_attempt_at = $3,
            updated_at = $3
       from owned
      where messages.id = owned.id
        and (messages.id between :least and :greatest or messages.id = :least)";

/// Looks through what waits for a time, of whatever node, in the order of that index, so many at a time: whoever has a million
/// scheduled messages would walk past all of them again for each thousand that are timed anew. What its sender wanted later
/// (`send_at`) is no wait of ours. A row that was timed anew was written after the clock was set: it is not written again, also
/// when the answer was lost. One that another transaction holds is left to the next time.
pub const RETIME: &str = "
    with looked as materialized (
        select id, node_id, next_attempt_at
          from messaging_messages
         where id >= :floor
           and next_attempt_at is not null
           and status = 'queued'
           and (next_attempt_at, id) > ($6::text::timestamptz, $7::text::uuid)
         order by next_attempt_at, id
         limit $8
    ),
    last (next_attempt_at, id) as (
        select next_attempt_at, id
          from looked
         where (select count(*) from looked) = $8
         order by next_attempt_at desc, id desc
         limit 1
    ),
    waiting (id) as (
        select messages.id
          from messaging_messages as messages
         where messages.id >= :floor
           and messages.id = any(array(
                   select id
                     from looked
                    where node_id = any(array(
                              select id
                                from messaging_nodes
                               where coalesce(process_id, id) = $1))))
           -- Found by their ids, and not by an index of what waits.
           and (messages.next_attempt_at is null) is not true
           and messages.status = 'queued'
           and messages.next_attempt_at is distinct from messages.send_at
           and (messages.updated_at < $3 or messages.updated_at > $4)
         order by messages.id
           for update skip locked
    ),
    written as (
        update messaging_messages as messages
           set status = 'queued',
               next_attempt_at = greatest(
                    messages.next_attempt_at + $2 * interval '1 millisecond',
                    -- Its first try is not before the time that its sender gave.
                    case when messages.retries <= 0 then messages.send_at end),
               deferred_since = messages.deferred_since + $2 * interval '1 millisecond',
               updated_at = $5
         where messages.id >= :floor
           and messages.id = any(array(select id from waiting))
           and messages.status = 'queued'
        returning 1
    )
    select (select count(*) from written) as written,
           (select array[next_attempt_at::text, id::text] from last) as place";

/// In the order of the index of what waits, so many at a time. Not what is to be sent later, nor what waits for its next try or for
/// a place: those were not put off because no process can deliver them, or behind one that was.
pub const RECALL: &str = "
    with looked as materialized (
        select id, instance_id, next_attempt_at
          from messaging_messages
         where id >= :floor
           and next_attempt_at is not null
           and status = 'queued'
           and (next_attempt_at, id) > ($2::text::timestamptz, $3::text::uuid)
         order by next_attempt_at, id
         limit $4
    ),
    last (next_attempt_at, id) as (
        select next_attempt_at, id
          from looked
         where (select count(*) from looked) = $4
         order by next_attempt_at desc, id desc
         limit 1
    ),
    waiting (id) as (
        select messages.id
          from messaging_messages as messages
         where messages.id >= :floor
           and messages.id = any(array(select id from looked where instance_id = any($5)))
           -- Found by their ids, and not by an index of what waits.
           and (messages.next_attempt_at is null) is not true
           and messages.status = 'queued'
           and (messages.next_attempt_at > $1) is true
           and (messages.deferred_since is not null or messages.error = $6)
         order by messages.id
           for update skip locked
    ),
    written as (
        update messaging_messages as messages
           set status = 'queued',
               next_attempt_at = $1,
               updated_at = $1
         where messages.id >= :floor
           and messages.id = any(array(select id from waiting))
           and messages.status = 'queued'
        returning 1
    )
    select (select count(*) from written) as written,
           (select array[next_attempt_at::text, id::text] from last) as place";

/// Only those that come next: there may be a million that were scheduled.
pub const CALL_IN: &str = "
    with looked as (
        select id, next_attempt_at, updated_at
          from messaging_messages
         where id >= :floor
           and next_attempt_at > $1
           and status = 'queued'
         order by next_attempt_at, id
         limit $3
    ),
    -- A row that another transaction holds is left to a later start, or to its time.
    called (id) as (
        select messages.id
          from messaging_messages as messages
         where messages.id >= :floor
           and messages.id = any(array(
                   select id
                     from looked
                    where next_attempt_at <= updated_at
                    order by next_attempt_at, id
                    limit $2))
           and messages.status = 'queued'
           and messages.next_attempt_at > $1
           and messages.next_attempt_at <= messages.updated_at
           for update skip locked
    )
    update messaging_messages as messages
       set status = 'queued',
           next_attempt_at = $1,
           updated_at = $1
     where messages.id >= :floor
       and messages.id = any(array(select id from called))
       and messages.status = 'queued'";

pub async fn give_back(database: &PgDatabase, forgotten: &[Forgotten], now: Timestamp) -> Result<u64, RepositoryError> {
    let mut in_order: Vec<&Forgotten> = forgotten.iter().collect();
    in_order.sort_unstable_by_key(|one| one.guard.id);
    let guards = || in_order.iter().map(|one| one.guard);
    let give_back = NamedWeeks::of(guards().map(|guard| guard.id)).name_in(GIVE_BACK);
    let query = sqlx::query(AssertSqlSafe(give_back))
        .bind(guards().map(|guard| guard.id.0).collect::<Vec<Uuid>>())
        .bind(guards().map(|guard| guard.status.as_str()).collect::<Vec<&str>>())
        .bind(guards().map(|guard| guard.node.map(|node| node.0)).collect::<Vec<Option<Uuid>>>())
        .bind(guards().map(|guard| i64::from(guard.try_number)).collect::<Vec<i64>>())
        .bind(now)
        .bind(in_order.iter().map(|one| one.is_spent).collect::<Vec<bool>>());
    let give_back = async |connection: &mut sqlx::PgConnection| {
        let mut look = begin_look(connection).await?;
        let written = query.execute(&mut *look).await?;
        look.commit().await?;
        Ok(written)
    };
    Ok(database.upkeep.run(give_back).await?.rows_affected())
}

pub async fn make_due(
    database: &PgDatabase,
    messages: &[(MessageId, NodeId)],
    now: Timestamp,
) -> Result<u64, RepositoryError> {
    let mut in_order: Vec<&(MessageId, NodeId)> = messages.iter().collect();
    in_order.sort_unstable();
    let make_due = NamedWeeks::of(messages.iter().map(|(id, _)| *id)).name_in(MAKE_DUE);
    let query = sqlx::query(AssertSqlSafe(make_due))
        .bind(in_order.iter().map(|(id, _)| id.0).collect::<Vec<Uuid>>())
        .bind(in_order.iter().map(|(_, node)| node.0).collect::<Vec<Uuid>>())
        .bind(now);
    let written = database.relay.run(async |connection| query.execute(connection).await).await?;
    Ok(written.rows_affected())
}

pub async fn retime(database: &PgDatabase, retiming: &Retiming) -> Result<Retimed, RepositoryError> {
    let mut query = sqlx::query(AssertSqlSafe(database.floor.name_in(RETIME)))
        .bind(retiming.process.0)
        .bind(retiming.by.num_milliseconds())
        .bind(retiming.since)
        .bind(retiming.until)
        .bind(retiming.now);
    for part in place(&retiming.after, "-infinity") {
        query = query.bind(part);
    }
    let query = query.bind(i64::from(retiming.reach));
    let row = database.relay.run(async |connection| query.fetch_one(connection).await).await?;
    retimed(&row)
}

pub async fn recall(database: &PgDatabase, recall: &Recall) -> Result<Retimed, RepositoryError> {
    let mut query = sqlx::query(AssertSqlSafe(database.floor.name_in(RECALL))).bind(recall.now);
    for part in place(&recall.after, &recall.now.to_rfc3339()) {
        query = query.bind(part);
    }
    let query = query
        .bind(i64::from(recall.reach))
        .bind(recall.instances.iter().map(|instance| instance.0).collect::<Vec<Uuid>>())
        .bind(RECIPIENT_WAITS);
    let row = database.relay.run(async |connection| query.fetch_one(connection).await).await?;
    retimed(&row)
}

/// Where to go on, as the parameters of a statement; at the first time from this one on, if it begins.
fn place(Position(after): &Position, beginning: &str) -> Vec<String> {
    if after.is_empty() { [beginning, LEAST_ID].map(str::to_owned).to_vec() } else { after.clone() }
}

fn retimed(row: &PgRow) -> Result<Retimed, RepositoryError> {
    let written = u64::try_from(get::<i64>(row, "written")?).unwrap_or(0);
    Ok(Retimed { written, next: get::<Option<Vec<String>>>(row, "place")?.map(Position) })
}

pub async fn call_in(database: &PgDatabase, now: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
    let query = sqlx::query(AssertSqlSafe(database.floor.name_in(CALL_IN)))
        .bind(now)
        .bind(i64::from(limit))
        .bind(i64::from(CALLED_IN_AMONG));
    let written = database.relay.run(async |connection| query.execute(connection).await).await?;
    Ok(written.rows_affected())
}
