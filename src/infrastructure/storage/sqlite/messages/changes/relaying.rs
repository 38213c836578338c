//! Taking, giving back and making due: what the relay and the comparison write.

use std::collections::HashMap;

use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::application::ports::{Forgotten, RepositoryError, Take};
use crate::domain::Timestamp;
use crate::domain::message::{Message, MessageId};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::shared::{ASKED_IF_LOST, id_above, id_ahead, tomorrow};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::portion::fitting;
use crate::infrastructure::storage::sqlite::row::{
    get, id_list, message_columns_with_content_if, messages, time_text, time_text_option,
};

/// The ids of what is due. Every part is a probe of an index, however many messages are open.
pub const DUE: &str = concat!(
    "
    -- The nodes that own something, one probe each: from one to the next greater one.
    with recursive owners (node_id) as (
        select (select node_id
                  from messaging_messages
                 where node_id is not null
                   and next_attempt_at is null
                   and status in ('pending', 'queued', 'processing')
                 order by node_id
                 limit 1)
        union all
        select (select node_id
                  from messaging_messages
                 where node_id > owners.node_id
                   and next_attempt_at is null
                   and status in ('pending', 'queued', 'processing')
                 order by node_id
                 limit 1)
          from owners
         where owners.node_id is not null
    ),
    -- Of which nodes what is due, whether or not they have any. That a node is unknown is asked here, in the statement
    -- that takes: one that registered meanwhile is seen.
    due_owners (node_id, status) as (
        select owners.node_id, states.value
          from owners
         cross join json_each('[\"pending\", \"queued\", \"processing\"]') as states
          left join messaging_nodes as nodes
            on nodes.id = owners.node_id
         where owners.node_id is not null
           and (nodes.id is null
                or (owners.node_id in (select value from json_each(?3))
                    and (states.value <> 'queued' or owners.node_id not in (select value from json_each(?11))))
                or (states.value <> 'queued' and owners.node_id in (select value from json_each(?4)))
                or (states.value = 'queued' and ?5))
    ),
    -- What is of an instance that has no place now is only put off again: a million of those must not take the turns of others.
    timed (id, since, is_of_full) as materialized (
        select id, next_attempt_at, instance_id in (select value from json_each(?14))
          from messaging_messages
         where next_attempt_at <= ?1
           and status in ('pending', 'queued', 'processing')
           and id not in (select value from json_each(?2))
         order by next_attempt_at, id
         limit ?15
    ),
    owned (id, since) as (
        select messages.id, messages.created_at
          from due_owners
         cross join messaging_messages as messages
         where messages.id in (
                   select id
                     from messaging_messages
                    where node_id = due_owners.node_id
                      and status = due_owners.status
                      and status in ('pending', 'queued', 'processing')
                      and next_attempt_at is null
                      and id not in (select value from json_each(?2))
                    order by id
                    limit ?6)
    ),
    -- `+id`: in order of the primary key, every message would be looked at; nobody owns but a few.
    unowned (id, since) as (
        select id, created_at
          from messaging_messages
         where node_id is null
           and status in ('pending', 'queued', 'processing')
           and next_attempt_at is null
           and id not in (select value from json_each(?2))
         order by +id
         limit ?6
    ),
    -- What is due anyway is not asked for twice. What was handed over before that moment has an id below its. A row that
    -- says it was handed over tomorrow does not say when it was.
    lost (id, since) as (
        select messages.id, messages.created_at
          from owners
         cross join messaging_messages as messages
         where ?7 is not null
           and owners.node_id is not null
           and not exists (
               select 1
                 from due_owners
                where due_owners.node_id = owners.node_id
                  and due_owners.status = 'queued')
           and messages.id in (
                   select id
                     from (select id, updated_at
                             from messaging_messages
                            where node_id = owners.node_id
                              and status = 'queued'
                              and status in ('pending', 'queued', 'processing')
                              and next_attempt_at is null
                              and id < ?8
                            order by id
                            limit ?9)
                    where (updated_at < ?7 or updated_at > ?10)
                      and id not in (select value from json_each(?2))
                    order by id
                    limit ?6)
    ),
    -- An id that was made by a clock ahead of ours says nothing of when its message was handed over: such ids are asked for
    -- apart from the others. There are hardly ever any.
    ahead (id, since) as (
        select messages.id, messages.created_at
          from owners
         cross join messaging_messages as messages
         where ?7 is not null
           and owners.node_id is not null
           and not exists (
               select 1
                 from due_owners
                where due_owners.node_id = owners.node_id
                  and due_owners.status = 'queued')
           and messages.id in (
                   select id
                     from (select id, updated_at
                             from messaging_messages
                            where node_id = owners.node_id
                              and status = 'queued'
                              and status in ('pending', 'queued', 'processing')
                              and next_attempt_at is null
                              and id >= ?13
                            order by id
                            limit ?9)
                    where (updated_at < ?7 or updated_at > ?10)
                      and id not in (select value from json_each(?2))
                    order by id
                    limit ?6)
    ),
    due (id, since) as materialized (
        select id, since from (
            select id, since from (
                select id, since from timed where not is_of_full
                union all
                select id, since from owned
                union all
                select id, since from unowned
                union all
                select id, since from lost
                union all
                select id, since from ahead
            )
            order by since, id
            limit ?6
        )
        union all
        select id, since from (
            select id, since
              from timed
             where is_of_full
             order by since, id
             limit ?16
        )
    ),",
    fitting!("due", "found.since, found.id", "?12"),
    "
    select id
      from due
     where id in (select id from fitting)
     order by since, id"
);

/// Takes what [`DUE`] found, in its transaction.
pub const TAKE: &str = concat!(
    "
     update messaging_messages
        set status = 'queued',
            -- A node that was delivering it may have done so.
            unanswered = max(unanswered, status in ('pending', 'processing')),
            node_id = ?2,
            next_attempt_at = null,
            updated_at = ?3
      where id in (select value from json_each(?1))
     returning ",
    message_columns_with_content_if!("?4")
);

pub const GIVE_BACK: &str = "
    update messaging_messages
        set status = 'queued',
            retries = iif(?6, retries, max(retries, 1) - 1),
            unanswered = max(unanswered, ?6),
            next_attempt_at = ?5,
            updated_at = ?5
      where id = ?1
        and status = ?2
        and status in ('pending', 'processing')
        and node_id is ?3
        and min(max(try, 0), 2147483647) = ?4 -- as it is read
        and next_attempt_at is null";

pub const MAKE_DUE: &str = "
    update messaging_messages
        set status = 'queued',
            next_attempt_at = ?2,
            updated_at = ?2
      where (id, node_id) in (select value ->> 0, value ->> 1 from json_each(?1))
        and status in ('pending', 'queued')
        and next_attempt_at is null";

pub async fn take(database: &SqliteDatabase, take: &Take) -> Result<Vec<Message>, RepositoryError> {
    let mut transaction = database.begin().await?;
    let due = sqlx::query(DUE)
        .bind(time_text(take.now))
        .bind(id_list(take.held.iter().map(|held| held.0)))
        .bind(id_list(take.gone.iter().map(|node| node.0)))
        .bind(id_list(take.departed.iter().map(|node| node.0)))
        .bind(take.unconsumed)
        .bind(take.limit)
        .bind(time_text_option(take.lost_before))
        .bind(take.lost_before.map(|time| id_above(time).hyphenated()))
        .bind(ASKED_IF_LOST)
        .bind(time_text(tomorrow(take.now)))
        .bind(id_list(take.succeeded.iter().map(|node| node.0)))
        .bind(take.with_content)
        .bind(take.lost_before.map(|time| id_above(time).max(id_ahead(take.now)).hyphenated()))
        .bind(id_list(take.full.iter().map(|instance| instance.0)))
        .bind(i64::from(take.limit) + i64::from(take.limit_of_full))
        .bind(take.limit_of_full)
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let due: Vec<String> = due.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
    let taken = take_those(&mut transaction, &due, (take.node, take.with_content), take.now).await?;
    transaction.commit().await.map_err(translate)?;
    Ok(taken)
}

/// In this order.
pub async fn take_those(
    connection: &mut SqliteConnection,
    due: &[String],
    (node, with_content): (NodeId, bool),
    now: Timestamp,
) -> Result<Vec<Message>, RepositoryError> {
    let rows = sqlx::query(TAKE)
        .bind(serde_json::json!(due).to_string())
        .bind(node.0.hyphenated())
        .bind(time_text(now))
        .bind(with_content)
        .fetch_all(connection)
        .await
        .map_err(translate)?;
    Ok(in_order(due, &rows))
}

pub async fn give_back(
    database: &SqliteDatabase,
    forgotten: &[Forgotten],
    now: Timestamp,
) -> Result<u64, RepositoryError> {
    let mut transaction = database.begin().await?;
    let mut given_back = 0;
    for Forgotten { guard, is_spent } in forgotten {
        let written = sqlx::query(GIVE_BACK)
            .bind(guard.id.0.hyphenated())
            .bind(guard.status.as_str())
            .bind(guard.node.map(|node| node.0.hyphenated()))
            .bind(guard.try_number)
            .bind(time_text(now))
            .bind(is_spent)
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        given_back += written.rows_affected();
    }
    transaction.commit().await.map_err(translate)?;
    Ok(given_back)
}

pub async fn make_due(
    database: &SqliteDatabase,
    messages: &[(MessageId, NodeId)],
    now: Timestamp,
) -> Result<u64, RepositoryError> {
    let pairs: Vec<[String; 2]> =
        messages.iter().map(|(id, node)| [id.0, node.0].map(|id| id.hyphenated().to_string())).collect();
    let written = sqlx::query(MAKE_DUE)
        .bind(serde_json::json!(pairs).to_string())
        .bind(time_text(now))
        .execute(database.writer())
        .await
        .map_err(translate)?;
    Ok(written.rows_affected())
}

/// `returning` gives rows in any order.
fn in_order(due: &[String], rows: &[SqliteRow]) -> Vec<Message> {
    let places: HashMap<&str, usize> = due.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let mut taken = messages(rows);
    taken.sort_by_cached_key(|message| places.get(message.id.to_string().as_str()).copied());
    taken
}
