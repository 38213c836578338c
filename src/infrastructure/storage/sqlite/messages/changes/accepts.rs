//! Storing messages, and with them the idempotency keys that they were sent with.

use std::collections::HashSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::access::idempotency::IdempotentRequest;
use crate::domain::message::Message;
use crate::infrastructure::storage::shared::columns::{COLUMNS, Column, OF_BROADCASTS, Value, names};
use crate::infrastructure::storage::shared::{AcceptRequest, Batch};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{id, time_text, time_text_option};

pub struct Accepts {
    database: SqliteDatabase,
}

impl Accepts {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

/// Its text has one row per message, so the statement is not cached. At one parameter per column, as many messages as
/// are gathered for one statement stay well below the 32,766 parameters that SQLite takes.
static INSERT: LazyLock<String> = LazyLock::new(|| format!("insert into messaging_messages ({}) ", names()));

static INSERT_MISSING: LazyLock<String> = LazyLock::new(|| {
    let more: Vec<&str> = OF_BROADCASTS.iter().map(|column| column.name).collect();
    format!("insert into messaging_messages ({}, {}) ", names(), more.join(", "))
});

const KEEP: &str = "
    insert into messaging_idempotency_keys
           (tenant, key, fingerprint, message_id, accepted_as, created_at, expires_at)
    ";

/// Keeps a key that no other message has; an expired one is free. Not by the clock alone: one that is ahead must not make
/// every key free.
const UNLESS_TAKEN: [&str; 2] = [
    "
    on conflict (tenant, key) do update
       set fingerprint = excluded.fingerprint,
           message_id = excluded.message_id,
           accepted_as = excluded.accepted_as,
           created_at = excluded.created_at,
           expires_at = excluded.expires_at
     where messaging_idempotency_keys.expires_at <= min(excluded.created_at, coalesce(",
    ", excluded.created_at))
    returning message_id",
];

#[async_trait]
impl Batch for Accepts {
    type Request = AcceptRequest;
    /// False when the key is taken.
    type Answer = bool;

    /// As on PostgreSQL.
    const LINGERS: bool = false;

    async fn execute(&self, accepts: &[AcceptRequest]) -> Result<Vec<bool>, RepositoryError> {
        self.database.is_in_its_place()?;
        let keyed = accepts.iter().filter_map(|accept| Some((&accept.message, accept.request.as_ref()?)));
        let keyed: Vec<_> = keyed.collect();
        if keyed.is_empty() {
            let mut insert = insert(accepts.iter());
            insert.build().persistent(false).execute(self.database.writer()).await.map_err(translate)?;
            return Ok(vec![true; accepts.len()]);
        }
        let mut transaction = self.database.begin().await?;
        let mut keep = keep(&keyed, self.database.lived().text());
        let kept = keep.build().persistent(false).fetch_all(&mut *transaction).await.map_err(translate)?;
        let kept: HashSet<_> = kept.iter().map(|row: &SqliteRow| id(row, "message_id")).collect::<Result<_, _>>()?;
        let is_stored = |accept: &&AcceptRequest| accept.request.is_none() || kept.contains(&accept.message.id.0);
        if accepts.iter().any(|accept| is_stored(&accept)) {
            let mut insert = insert(accepts.iter().filter(is_stored));
            insert.build().persistent(false).execute(&mut *transaction).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(accepts.iter().map(|accept| is_stored(&accept)).collect())
    }
}

/// Messages in one statement, well below the parameters that SQLite takes.
const AT_ONCE: usize = 500;

/// Stores messages that were not asked for by a caller.
pub async fn insert_messages(
    transaction: &mut Transaction<'_, Sqlite>,
    messages: Vec<Message>,
) -> Result<(), RepositoryError> {
    insert_all(transaction, &messages.iter().collect::<Vec<_>>()).await.map_err(translate)
}

/// Stores messages that come without keys, in a transaction of the caller's.
pub async fn insert_all(connection: &mut SqliteConnection, messages: &[&Message]) -> Result<(), sqlx::Error> {
    for portion in messages.chunks(AT_ONCE) {
        insertion(portion.iter().copied()).build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Stores messages of a broadcast, of which some may be there already: these stay as they are.
pub async fn insert_those_missing(
    transaction: &mut Transaction<'static, Sqlite>,
    messages: &[Message],
) -> Result<(), RepositoryError> {
    for portion in messages.chunks(AT_ONCE) {
        let mut query = QueryBuilder::new(INSERT_MISSING.as_str());
        push_rows(&mut query, || COLUMNS.iter().chain(OF_BROADCASTS), portion.iter());
        query.push(" on conflict do nothing");
        query.build().persistent(false).execute(&mut **transaction).await.map_err(translate)?;
    }
    Ok(())
}

fn insert<'a>(accepts: impl Iterator<Item = &'a AcceptRequest>) -> QueryBuilder<Sqlite> {
    insertion(accepts.map(|accept| &accept.message))
}

fn insertion<'a>(messages: impl Iterator<Item = &'a Message>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(INSERT.as_str());
    push_rows(&mut query, || COLUMNS.iter(), messages);
    query
}

fn push_rows<'a, 'c, C: Iterator<Item = &'c Column>>(
    query: &mut QueryBuilder<Sqlite>,
    columns: impl Fn() -> C,
    messages: impl Iterator<Item = &'a Message>,
) {
    query.push_values(messages, |mut row, message| {
        for column in columns() {
            match column.value {
                Value::Id(of) => row.push_bind(of(message).map(Uuid::hyphenated)),
                Value::Text(of) | Value::Json(of) => row.push_bind(of(message)),
                Value::Number(of) => row.push_bind(of(message)),
                Value::Time(of) => row.push_bind(time_text_option(of(message))),
            };
        }
    });
}

fn keep(keyed: &[(&Message, &IdempotentRequest)], lived_until: Option<String>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(KEEP);
    query.push_values(keyed, |mut row, (message, request)| {
        row.push_bind(message.tenant.as_str())
            .push_bind(request.key.as_str())
            .push_bind(&request.fingerprint[..])
            .push_bind(message.id.0.hyphenated())
            .push_bind(message.status.as_str())
            .push_bind(time_text(message.created_at))
            .push_bind(time_text(message.created_at + request.kept_for));
    });
    let [before, after] = UNLESS_TAKEN;
    query.push(before).push_bind(lived_until).push(after);
    query
}
