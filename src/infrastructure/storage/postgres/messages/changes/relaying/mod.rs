//! Taking what is due: what the relay writes.

#[cfg(test)]
mod plan_tests;
mod turns;
mod writing;

#[cfg(test)]
pub use turns::TAKE_IN_TURNS;
pub use turns::take_in_turns;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use self::writing::take_fitting;
use crate::application::ports::{RepositoryError, Take};
use crate::domain::message::Message;
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::portion::fitting;
use crate::infrastructure::storage::postgres::row::{message_columns_with_content_if, messages};
use crate::infrastructure::storage::postgres::weeks::needed;
use crate::infrastructure::storage::shared::{ASKED_IF_LOST, id_above, id_ahead, tomorrow};

/// Finds and takes what is due. Every part is a probe of an index, however many messages are open, and however many
/// partitions there are: `:floor` is written into the text, so that no plan knows the partitions below it.
///
/// The rows are locked where they are found, by the very conditions that make them due: PostgreSQL checks these again
/// on a row that another transaction changed meanwhile, and passes over a row that another one is taking.
pub const TAKE: &str = concat!(
    "
    -- The nodes that may own something: those that are registered, and what lies between one of them and the next, one
    -- probe each: from one to the next greater one. So whatever a registered node has owned is not walked past: until the
    -- next vacuum every message leaves an entry there.
    with recursive owners (node_id, following) as (
        select id, coalesce(lead(id) over (order by id), id)
          from (select id
                  from messaging_nodes
                 union
                select unnest(array['00000000-0000-0000-0000-000000000000',
                                    'ffffffff-ffff-ffff-ffff-ffffffffffff']::uuid[])) as known (id)
        union all
        select (select messages.node_id
                  from messaging_messages as messages
                 where messages.id >= :floor
                   and messages.node_id > owners.node_id
                   and messages.node_id < owners.following
                   and messages.next_attempt_at is null
                   and messages.status in ('pending', 'queued', 'processing')
                 order by messages.node_id
                 limit 1),
               owners.following
          from owners
         where owners.node_id is not null
    ),
    -- Of which nodes what is due, whether or not they have any. That a node is unknown is asked here, in the statement
    -- that takes: one that registered meanwhile is seen.
    due_owners (node_id, status) as (
        select owners.node_id, states.status
          from owners
         cross join (values ('pending'), ('queued'), ('processing')) as states (status)
          left join messaging_nodes as nodes
            on nodes.id = owners.node_id
         where owners.node_id is not null
           and (nodes.id is null
                or (owners.node_id = any($3) and (states.status <> 'queued' or owners.node_id <> all($12)))
                or (states.status <> 'queued' and owners.node_id = any($4))
                or (states.status = 'queued' and $5))
    ),
    -- What is of an instance that has no place now is only put off again: a million of those must not take the turns of others.
    timed (id, since, is_of_full) as (
        select id, next_attempt_at, instance_id = any($15)
          from messaging_messages
         where id >= :floor
           and next_attempt_at <= $1
           and status in ('pending', 'queued', 'processing')
           and id <> all($2)
         order by next_attempt_at, id
         limit $16
           for update skip locked
    ),
    -- A range of one state, and the whole of the index as the order: with an equality and `order by id` the planner may
    -- prefer to walk the primary key.
    owned (id, since) as (
        select found.id, found.created_at
          from due_owners
         cross join lateral (
                   select messages.id, messages.created_at
                     from messaging_messages as messages
                    where messages.id >= :floor
                      and messages.node_id = due_owners.node_id
                      and messages.status between due_owners.status and due_owners.status
                      and messages.status in ('pending', 'queued', 'processing')
                      and messages.next_attempt_at is null
                      and messages.id <> all($2)
                    order by messages.node_id, messages.status, messages.id
                    limit $6
                      for update skip locked) as found
    ),
    unowned (id, since) as (
        select found.id, found.created_at
          from (values ('pending'), ('queued'), ('processing')) as states (status)
         cross join lateral (
                   select messages.id, messages.created_at
                     from messaging_messages as messages
                    where messages.id >= :floor
                      and messages.node_id is null
                      and messages.status between states.status and states.status
                      and messages.status in ('pending', 'queued', 'processing')
                      and messages.next_attempt_at is null
                      and messages.id <> all($2)
                    order by messages.node_id, messages.status, messages.id
                    limit $6
                      for update skip locked) as found
    ),
    -- What is due anyway is not asked for twice. What was handed over before that moment has an id below its: a node whose
    -- oldest has not is passed over with one probe. With the bound inside the limit, the scan would run on to the end of
    -- the backlog for more of them. A row that says it was handed over tomorrow does not say when it was.
    -- `is not distinct from`: locked by their ids, never found by their owner again.
    lost (id, since) as (
        select found.id, found.created_at
          from owners
         cross join lateral (
                   select messages.id
                     from messaging_messages as messages
                    where messages.id >= :floor
                      and messages.node_id = owners.node_id
                      and messages.status between 'queued' and 'queued'
                      and messages.status in ('pending', 'queued', 'processing')
                      and messages.next_attempt_at is null
                    order by messages.node_id, messages.status, messages.id
                    limit 1) as oldest
         cross join lateral (
                   select messages.id, messages.created_at
                     from messaging_messages as messages
                    where messages.id >= :floor
                      and messages.id = any(array(
                              select asked.id
                                from (select messages.id, messages.updated_at
                                        from messaging_messages as messages
                                       where messages.id >= :floor
                      and messages.node_id = owners.node_id
                                         and messages.status between 'queued' and 'queued'
                                         and messages.status in ('pending', 'queued', 'processing')
                                         and messages.next_attempt_at is null
                                       order by messages.node_id, messages.status, messages.id
                                       limit $10) as asked
                               where asked.id < $9
                                 and (asked.updated_at < $8 or asked.updated_at > $11)
                                 and asked.id <> all($2)
                               order by asked.id
                               limit $6))
                      and messages.node_id is not distinct from owners.node_id
                      and messages.status = 'queued'
                      and messages.next_attempt_at is null
                      and (messages.updated_at < $8 or messages.updated_at > $11)
                    order by messages.id
                      for update skip locked) as found
         where $8::timestamptz is not null
           and oldest.id < $9
           and not exists (
               select
                 from due_owners
                where due_owners.node_id = owners.node_id
                  and due_owners.status = 'queued')
    ),
    -- An id that was made by a clock ahead of ours says nothing of when its message was handed over: such ids are asked for
    -- apart from the others. There are hardly ever any.
    ahead (id, since) as (
        select found.id, found.created_at
          from owners
         cross join lateral (
                   select messages.id, messages.created_at
                     from messaging_messages as messages
                    where messages.id >= :floor
                      and messages.id = any(array(
                              select asked.id
                                from (select messages.id, messages.updated_at
                                        from messaging_messages as messages
                                       where messages.id >= :floor
                                         and messages.id >= $14
                                         and messages.node_id = owners.node_id
                                         and messages.status between 'queued' and 'queued'
                                         and messages.status in ('pending', 'queued', 'processing')
                                         and messages.next_attempt_at is null
                                       order by messages.node_id, messages.status, messages.id
                                       limit $10) as asked
                               where (asked.updated_at < $8 or asked.updated_at > $11)
                                 and asked.id <> all($2)
                               order by asked.id
                               limit $6))
                      and messages.node_id is not distinct from owners.node_id
                      and messages.status = 'queued'
                      and messages.next_attempt_at is null
                      and (messages.updated_at < $8 or messages.updated_at > $11)
                    order by messages.id
                      for update skip locked) as found
         where $8::timestamptz is not null
           and not exists (
               select
                 from due_owners
                where due_owners.node_id = owners.node_id
                  and due_owners.status = 'queued')
    ),
    due (id, since) as (
        (select id, since from timed where not is_of_full
          union all
         select id, since from owned
          union all
         select id, since from unowned
          union all
         select id, since from lost
          union all
         select id, since from ahead
          order by since, id
          limit $6)
        union all
        (select id, since from timed where is_of_full
          order by since, id
          limit $17)
    ),",
    fitting!("due", "found.since, found.id", "messages.id >= :floor and ", "$13"),
    ",
    taken as (",
    take_fitting!("$1", "$7"),
    message_columns_with_content_if!("$13"),
    "
    )
    select taken.*
      from taken
      join due using (id)
     order by due.since, id"
);

/// Looks at some older weeks first, when it is their turn.
pub async fn take(database: &PgDatabase, take: &Take) -> Result<Vec<Message>, RepositoryError> {
    needed::look(database, take.now).await;
    // Planned once for each floor: a plan for the partitions of a few weeks costs thirty times what it takes to execute.
    let query = sqlx::query(AssertSqlSafe(database.floor.name_in(TAKE)))
        .bind(take.now)
        .bind(take.held.iter().map(|held| held.0).collect::<Vec<Uuid>>())
        .bind(ids(&take.gone))
        .bind(ids(&take.departed))
        .bind(take.unconsumed)
        .bind(i64::from(take.limit))
        .bind(take.node.0)
        .bind(take.lost_before)
        .bind(take.lost_before.map(id_above))
        .bind(i64::from(ASKED_IF_LOST))
        .bind(tomorrow(take.now))
        .bind(ids(&take.succeeded))
        .bind(take.with_content)
        .bind(take.lost_before.map(|time| id_above(time).max(id_ahead(take.now))))
        .bind(take.full.iter().map(|instance| instance.0).collect::<Vec<Uuid>>())
        .bind(i64::from(take.limit) + i64::from(take.limit_of_full))
        .bind(i64::from(take.limit_of_full));
    let rows = database.relay.run(async |connection| query.fetch_all(connection).await).await?;
    Ok(messages(&rows))
}

fn ids(nodes: &[NodeId]) -> Vec<Uuid> {
    nodes.iter().map(|node| node.0).collect()
}
