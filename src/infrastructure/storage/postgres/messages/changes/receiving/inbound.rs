//! Storing messages that channels bring.

use std::collections::HashSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::application::ports::{NOT_APART, Received, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::inbound::Author;
use crate::domain::message::Message;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_look;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::columns::{COLUMNS, Column, OF_RECEIVED, Value};
use crate::infrastructure::storage::shared::{Batch, ReceivedRequest};

/// Stores what was received, and what was written on a phone and is not ours.
pub struct Receptions {
    pub database: PgDatabase,
}

/// Keeps what may be ours.
pub struct Undecided {
    pub database: PgDatabase,
}

fn columns() -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().chain(OF_RECEIVED)
}

fn names() -> String {
    columns().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// One array per column, one element per message; and what their keys have beside it.
fn given() -> String {
    let arrays = columns().zip(1..).map(|(column, place)| {
        let name = column.name;
        match column.value {
            Value::Id(_) => format!("unnest(${place}::uuid[]) as {name}"),
            Value::Text(_) => format!("unnest(${place}::text[]) as {name}"),
            Value::Json(_) => format!("unnest(${place}::text[])::json as {name}"),
            Value::Number(_) => format!("unnest(${place}::bigint[]) as {name}"),
            Value::Time(_) => format!("unnest(${place}::timestamptz[]) as {name}"),
        }
    });
    let places = columns().count();
    format!(
        "select {}, unnest(${}::text[]) as sender, unnest(${}::boolean[]) as is_own",
        arrays.collect::<Vec<_>>().join(", "),
        places + 1,
        places + 2
    )
}

/// Each in the order of its key, so that two statements do not deadlock. What another one is storing at the same time is waited
/// for.
static STORE: LazyLock<String> = LazyLock::new(|| {
    let (given, names) = (given(), names());
    format!(
        "with given as (
             {given}
         ),
         kept as (
             insert into messaging_received_messages (instance_id, channel_message_id, chat, sender, message_id)
             select instance_id, channel_message_id, remote_jid, sender, id
               from given
              where not is_own
              order by instance_id, channel_message_id, remote_jid, sender
             on conflict do nothing
             returning message_id
         ),
         named as (
             insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
             select instance_id, channel_message_id, id
               from given
              where is_own
              order by instance_id, channel_message_id
             on conflict do nothing
             returning message_id
         )
         insert into messaging_messages ({names})
         select {names}
           from given
          where id in (select message_id from kept)
             or id in (select message_id from named)
          order by id
         returning id"
    )
});

const UNDECIDED: &str = "id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, payload, media_url, \
                         media_type, channel_message_id, sent_at";

static KEEP: LazyLock<String> = LazyLock::new(|| {
    let given = given();
    format!(
        "with given as (
             {given}
         )
         insert into messaging_undecided_messages ({UNDECIDED}, received_at)
         select {UNDECIDED}, created_at
           from given
          where not exists (
                select
                  from messaging_channel_messages as names
                 where names.instance_id = given.instance_id
                   and names.channel_message_id = given.channel_message_id)
          order by instance_id, channel_message_id
         on conflict do nothing"
    )
});

/// Decided by one statement.
const PORTION: i64 = 500;

/// What another process decides at the same time is passed over. What is under way is found by node and state, in the index of what
/// nodes have taken upon themselves, however much waits.
static DECIDE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "with under_way as materialized (
             select messages.instance_id, min(coalesce(messages.attempt_started_at, messages.created_at)) as began
               from messaging_nodes as nodes
              cross join unnest(array['pending', 'processing']) as states (status)
              cross join lateral (
                        select instance_id, attempt_started_at, created_at
                          from messaging_messages
                         where id >= :floor
                           and node_id = nodes.id
                           and messaging_messages.status = states.status
                           and messaging_messages.status in ('pending', 'queued', 'processing')
                           and next_attempt_at is null
                         -- More than any process has under way. With a bound, each node's are looked for apart.
                         limit 100000) as messages
              group by messages.instance_id
         ),
         due as (
             delete from messaging_undecided_messages
              where (instance_id, channel_message_id) in (
                    select instance_id, channel_message_id
                      from messaging_undecided_messages
                     where received_at < $1
                       and not exists (
                           select
                             from under_way
                            where under_way.instance_id = messaging_undecided_messages.instance_id
                              and under_way.began <= messaging_undecided_messages.received_at + $4 * interval '1 second')
                     order by received_at, instance_id, channel_message_id
                     limit $3
                       for update skip locked)
             returning {UNDECIDED}
         ),
         named as (
             insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
             select instance_id, channel_message_id, id
               from due
              order by instance_id, channel_message_id
             on conflict do nothing
             returning message_id
         ),
         stored as (
             insert into messaging_messages
                    ({UNDECIDED}, direction, status, retries, max_retries, try, created_at, updated_at)
             select {UNDECIDED}, 'sent', 'sent', 0, 0, 0, $2, $2
               from due
              where id in (select message_id from named)
              order by id
         )
         select count(*) from due"
    )
});

#[async_trait]
impl Batch for Receptions {
    type Request = ReceivedRequest;
    /// False when it is there already.
    type Answer = bool;

    async fn execute(&self, requests: &[ReceivedRequest]) -> Result<Vec<bool>, RepositoryError> {
        let query = bind(&STORE, requests);
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        let stored: HashSet<Uuid> = rows.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
        Ok(requests.iter().map(|request| stored.contains(&request.received.message.id.0)).collect())
    }
}

#[async_trait]
impl Batch for Undecided {
    type Request = ReceivedRequest;
    type Answer = ();

    async fn execute(&self, requests: &[ReceivedRequest]) -> Result<Vec<()>, RepositoryError> {
        let query = bind(&KEEP, requests);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(vec![(); requests.len()])
    }
}

/// Returns whether there may be more.
pub async fn decide(database: &PgDatabase, before: Timestamp, now: Timestamp) -> Result<bool, RepositoryError> {
    let statement = AssertSqlSafe(database.floor.name_in(&DECIDE));
    let query = sqlx::query_scalar(statement).bind(before).bind(now).bind(PORTION).bind(NOT_APART.num_seconds() as f64);
    let decide = async |connection: &mut PgConnection| {
        // Each row is looked for by its index, whatever the planner estimates.
        let mut look = begin_look(connection).await?;
        sqlx::raw_sql("set local enable_sort = on").execute(&mut *look).await?;
        let decided: i64 = query.fetch_one(&mut *look).await?;
        look.commit().await?;
        Ok(decided)
    };
    Ok(database.run(decide).await? == PORTION)
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind<'q>(statement: &'static str, requests: &'q [ReceivedRequest]) -> Query<'q> {
    fn each<'a, T>(requests: &'a [ReceivedRequest], value: impl Fn(&'a Received) -> T) -> Vec<T> {
        requests.iter().map(|request| value(&request.received)).collect()
    }
    fn column<'a, T>(requests: &'a [ReceivedRequest], value: &impl Fn(&'a Message) -> T) -> Vec<T> {
        each(requests, |received| value(&received.message))
    }
    let query = columns().fold(sqlx::query(statement), |query, it| match &it.value {
        Value::Id(of) => query.bind(column(requests, of)),
        Value::Text(of) | Value::Json(of) => query.bind(column(requests, of)),
        Value::Number(of) => query.bind(column(requests, of)),
        Value::Time(of) => query.bind(column(requests, of)),
    });
    query
        .bind(each(requests, |received| received.key.sender.as_str()))
        .bind(each(requests, |received| received.author != Author::Another))
}
