//! Storing messages, and with them the idempotency keys that they were sent with.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::message::Message;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::OwnConnection;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::columns::{COLUMNS, Column, OF_BROADCASTS, Share, Value, are_alike, names};
use crate::infrastructure::storage::shared::{AcceptRequest, Batch};

pub struct Accepts {
    connection: Arc<OwnConnection>,
}

impl Accepts {
    pub fn new(database: PgDatabase) -> Self {
        Self { connection: database.accepts }
    }
}

/// One array per column, one element per message, at least for columns that differ. PostgreSQL advances the arrays
/// together, and does not make a table of each as it does when they stand in `from`.
fn given(is_array: impl Fn(&Column) -> bool) -> String {
    given_of(COLUMNS.iter(), is_array)
}

fn given_of<'c>(columns: impl Iterator<Item = &'c Column>, is_array: impl Fn(&Column) -> bool) -> String {
    let columns = columns.zip(1..).map(|(column, place)| {
        let (name, array) = (column.name, is_array(column));
        let (kind, cast) = match column.value {
            Value::Id(_) => ("uuid", ""),
            Value::Text(_) => ("text", ""),
            Value::Json(_) => ("text", "::json"),
            Value::Number(_) => ("bigint", ""),
            Value::Time(_) => ("timestamptz", ""),
        };
        if array {
            format!("unnest(${place}::{kind}[]){cast} as {name}")
        } else {
            format!("${place}::{kind}{cast} as {name}")
        }
    });
    format!("select {}", columns.collect::<Vec<_>>().join(", "))
}

fn insert() -> String {
    format!("insert into messaging_messages ({}) ", names())
}

static INSERT: LazyLock<String> = LazyLock::new(|| insert() + &given(|_| true));

/// For messages that are alike: texts that one process accepts to be delivered later. Each array that is not bound
/// saves about an eightieth of the statement's time.
static INSERT_ALIKE: LazyLock<String> = LazyLock::new(|| insert() + &given(|column| column.share <= Share::Sender));

/// For those of them that one sender sends through one instance, as a campaign does.
static INSERT_OF_ONE_SENDER: LazyLock<String> =
    LazyLock::new(|| insert() + &given(|column| column.share <= Share::Own));

/// Keeps keys that no other message has; an expired one is free. A concurrent accept of the same key is waited for, and
/// the keys go in order, so that two statements do not deadlock. Only messages whose key was kept, or that have none,
/// are stored.
static INSERT_WITH_KEYS: LazyLock<String> = LazyLock::new(|| {
    let (given, insert, names) = (given(|_| true), insert(), names());
    let [key, fingerprint, expires_at] = [1, 2, 3].map(|more| COLUMNS.len() + more);
    format!(
        "with given as (
             {given}, unnest(${key}::text[]) as key, unnest(${fingerprint}::bytea[]) as fingerprint,
             unnest(${expires_at}::timestamptz[]) as expires_at
         ),
         kept as (
             insert into messaging_idempotency_keys
                    (tenant, key, fingerprint, message_id, accepted_as, created_at, expires_at)
             select tenant, key, fingerprint, id, status, created_at, expires_at
               from given
              where key is not null
              order by tenant, key
             on conflict (tenant, key) do update
                set fingerprint = excluded.fingerprint,
                    message_id = excluded.message_id,
                    accepted_as = excluded.accepted_as,
                    created_at = excluded.created_at,
                    expires_at = excluded.expires_at
              -- Of two clocks the one that is behind: one that is ahead must not make every key free.
              where messaging_idempotency_keys.expires_at <= least(excluded.created_at, clock_timestamp())
             returning message_id
         )
         {insert}
         select {names}
           from given
          where key is null
             or id in (select message_id from kept)
          order by id
         returning id"
    )
});

#[async_trait]
impl Batch for Accepts {
    type Request = AcceptRequest;
    /// False when the key is taken.
    type Answer = bool;

    /// With 128 callers on two cores, lingering left one of them idle for twice the time.
    const LINGERS: bool = false;

    async fn execute(&self, accepts: &[AcceptRequest]) -> Result<Vec<bool>, RepositoryError> {
        let mut in_order: Vec<&AcceptRequest> = accepts.iter().collect();
        in_order.sort_unstable_by_key(|accept| accept.message.id);
        if accepts.iter().all(|accept| accept.request.is_none()) {
            let (insert, arrays) = match (share_all(&in_order, Share::Alike), share_all(&in_order, Share::Sender)) {
                (false, _) => (&INSERT, Share::Alike),
                (true, false) => (&INSERT_ALIKE, Share::Sender),
                (true, true) => (&INSERT_OF_ONE_SENDER, Share::Own),
            };
            let query = bind(sqlx::query(insert.as_str()), &in_order, |column| column.share <= arrays);
            self.connection.run(async |connection| query.execute(connection).await).await?;
            return Ok(vec![true; accepts.len()]);
        }
        let query = bind(sqlx::query(INSERT_WITH_KEYS.as_str()), &in_order, |_| true)
            .bind(column(&in_order, |accept| accept.request.as_ref().map(|request| request.key.as_str())))
            .bind(column(&in_order, |accept| accept.request.as_ref().map(|request| &request.fingerprint[..])))
            .bind(column(&in_order, |accept| {
                accept.request.as_ref().map(|request| accept.message.created_at + request.kept_for)
            }));
        let rows = self.connection.run(async |connection| query.fetch_all(connection).await).await?;
        let stored: HashSet<Uuid> = rows.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
        Ok(accepts.iter().map(|accept| stored.contains(&accept.message.id.0)).collect())
    }
}

/// Stores messages that were not asked for by a caller, in the order of their ids.
pub async fn insert_messages(connection: &mut PgConnection, messages: Vec<Message>) -> Result<(), sqlx::Error> {
    insert_all(connection, &messages.iter().collect::<Vec<_>>()).await
}

/// Stores messages that come without keys, in a transaction of the caller's.
pub async fn insert_all(connection: &mut PgConnection, messages: &[&Message]) -> Result<(), sqlx::Error> {
    let requests: Vec<AcceptRequest> =
        messages.iter().map(|message| AcceptRequest { message: (*message).clone(), request: None }).collect();
    let mut in_order: Vec<&AcceptRequest> = requests.iter().collect();
    in_order.sort_unstable_by_key(|accept| accept.message.id);
    if !in_order.is_empty() {
        bind(sqlx::query(INSERT.as_str()), &in_order, |_| true).execute(connection).await?;
    }
    Ok(())
}

/// Of a broadcast: those that are there already stay as they are.
static INSERT_MISSING: LazyLock<String> = LazyLock::new(|| {
    let more: Vec<&str> = OF_BROADCASTS.iter().map(|column| column.name).collect();
    let given = given_of(COLUMNS.iter().chain(OF_BROADCASTS), |_| true);
    format!("insert into messaging_messages ({}, {}) {given} on conflict do nothing", names(), more.join(", "))
});

/// Stores messages that may be there already, in order of their ids.
pub async fn insert_those_missing(connection: &mut PgConnection, messages: &[Message]) -> Result<(), sqlx::Error> {
    let accepts: Vec<AcceptRequest> =
        messages.iter().map(|message| AcceptRequest { message: message.clone(), request: None }).collect();
    let in_order: Vec<&AcceptRequest> = accepts.iter().collect();
    let columns = COLUMNS.iter().chain(OF_BROADCASTS);
    bind_of(sqlx::query(INSERT_MISSING.as_str()), columns, &in_order, |_| true).execute(connection).await?;
    Ok(())
}

/// Whether all have the same values of the columns of this share.
fn share_all(accepts: &[&AcceptRequest], share: Share) -> bool {
    accepts.windows(2).all(|two| are_alike(share, &two[0].message, &two[1].message))
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn column<'a, T>(accepts: &[&'a AcceptRequest], value: impl Fn(&'a AcceptRequest) -> T) -> Vec<T> {
    accepts.iter().map(|accept| value(accept)).collect()
}

/// Each column as an array of all values, or as the first message's value, which all share.
fn bind<'q>(query: Query<'q>, accepts: &[&'q AcceptRequest], is_array: impl Fn(&Column) -> bool) -> Query<'q> {
    bind_of(query, COLUMNS.iter(), accepts, is_array)
}

fn bind_of<'q, 'c>(
    query: Query<'q>,
    columns: impl Iterator<Item = &'c Column>,
    accepts: &[&'q AcceptRequest],
    is_array: impl Fn(&Column) -> bool,
) -> Query<'q> {
    let messages = || accepts.iter().map(|accept| &accept.message);
    columns.fold(query, |query, column| match (&column.value, is_array(column)) {
        (Value::Id(of), true) => query.bind(messages().map(of).collect::<Vec<_>>()),
        (Value::Text(of) | Value::Json(of), true) => query.bind(messages().map(of).collect::<Vec<_>>()),
        (Value::Number(of), true) => query.bind(messages().map(of).collect::<Vec<_>>()),
        (Value::Time(of), true) => query.bind(messages().map(of).collect::<Vec<_>>()),
        (Value::Id(of), false) => query.bind(messages().next().and_then(of)),
        (Value::Text(of) | Value::Json(of), false) => query.bind(messages().next().and_then(of)),
        (Value::Number(of), false) => query.bind(messages().next().and_then(of)),
        (Value::Time(of), false) => query.bind(messages().next().and_then(of)),
    })
}
