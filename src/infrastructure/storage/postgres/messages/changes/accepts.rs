//! Storing messages, and with them the idempotency keys that they were sent with.

use std::collections::HashSet;

use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::idempotency::KEPT;
use crate::domain::message::{Direction, Media, Message, MessageStatus};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connection::OwnConnection;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::{AcceptRequest, Batch};

pub struct Accepts {
    connection: OwnConnection,
}

impl Accepts {
    pub fn new(database: PgDatabase) -> Self {
        Self { connection: OwnConnection::new(database, "") }
    }
}

/// One array a column, one element a message, at least for what is its own. PostgreSQL advances them together, and makes no table of each of them as it
/// does when they stand in `from`.
macro_rules! given {
    ($circumstances:expr, $more:literal) => {
        concat!(
            "select unnest($1::uuid[]) as id, unnest($2::text[]) as tenant, unnest($3::text[]) as user_id,
                    unnest($4::uuid[]) as instance_id, unnest($5::text[]) as channel,
                    unnest($6::text[]) as channel_instance_id, unnest($7::text[]) as remote_jid,
                    unnest($8::text[]) as message, unnest($9::bigint[]) as max_retries,
                    unnest($10::timestamptz[]) as created_at, unnest($11::timestamptz[]) as updated_at,
                    ",
            $circumstances,
            $more
        )
    };
}

macro_rules! circumstances_of_each {
    () => {
        "unnest($12::text[])::json as payload, unnest($13::text[]) as media_url, unnest($14::text[]) as media_type,
         unnest($15::text[]) as direction, unnest($16::text[]) as status, unnest($17::bigint[]) as retries,
         unnest($18::bigint[]) as try, unnest($19::timestamptz[]) as attempt_started_at,
         unnest($20::uuid[]) as node_id, unnest($21::timestamptz[]) as next_attempt_at"
    };
}

macro_rules! circumstances_of_all {
    () => {
        "$12::text::json as payload, $13::text as media_url, $14::text as media_type, $15::text as direction,
         $16::text as status, $17::bigint as retries, $18::bigint as try, $19::timestamptz as attempt_started_at,
         $20::uuid as node_id, $21::timestamptz as next_attempt_at"
    };
}

macro_rules! insert_messages {
    () => {
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, max_retries,
                 created_at, updated_at, payload, media_url, media_type, direction, status, retries, try,
                 attempt_started_at, node_id, next_attempt_at)
         "
    };
}

const INSERT: &str = concat!(insert_messages!(), given!(circumstances_of_each!(), ""));

/// For messages whose circumstances are the same: texts that one process accepts to be delivered later. Ten arrays fewer are
/// an eighth of the statement's time.
const INSERT_ALIKE: &str = concat!(insert_messages!(), given!(circumstances_of_all!(), ""));

/// A key that no other message has; an expired one is nobody's. A concurrent accept of the same key is waited for, and the
/// keys go in order, so that two statements do not wait for each other in a circle. Only messages whose key was kept, or who
/// have none, are stored.
const INSERT_WITH_KEYS: &str = concat!(
    "with given as (",
    given!(
        circumstances_of_each!(),
        ", unnest($22::text[]) as key, unnest($23::bytea[]) as fingerprint,
          unnest($24::timestamptz[]) as expires_at"
    ),
    "),
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
          where messaging_idempotency_keys.expires_at <= excluded.created_at
         returning message_id
     )
     ",
    insert_messages!(),
    "select id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, max_retries,
            created_at, updated_at, payload, media_url, media_type, direction, status, retries, try,
            attempt_started_at, node_id, next_attempt_at
       from given
      where key is null
         or id in (select message_id from kept)
      order by id
     returning id"
);

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
            let query = match in_order.split_first() {
                Some((first, others)) if others.iter().all(|accept| circumstances(accept) == circumstances(first)) => {
                    bind_what_is_shared(bind_what_is_its_own(sqlx::query(INSERT_ALIKE), &in_order), first)
                }
                _ => bind_messages(sqlx::query(INSERT), &in_order),
            };
            self.connection.run(async |connection| query.execute(connection).await).await?;
            return Ok(vec![true; accepts.len()]);
        }
        let query = bind_messages(sqlx::query(INSERT_WITH_KEYS), &in_order)
            .bind(column(&in_order, |accept| accept.request.as_ref().map(|request| request.key.as_str())))
            .bind(column(&in_order, |accept| accept.request.as_ref().map(|request| &request.fingerprint[..])))
            .bind(column(&in_order, |accept| accept.message.created_at + KEPT));
        let rows = self.connection.run(async |connection| query.fetch_all(connection).await).await?;
        let stored: HashSet<Uuid> = rows.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
        Ok(accepts.iter().map(|accept| stored.contains(&accept.message.id.0)).collect())
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn column<'a, T>(accepts: &[&'a AcceptRequest], value: impl Fn(&'a AcceptRequest) -> T) -> Vec<T> {
    accepts.iter().map(|accept| value(accept)).collect()
}

/// What a message has beside what is its own: just what [`bind_what_is_shared`] says once for all of them.
type Circumstances<'a> = (
    Option<&'a str>,
    Option<&'a Media>,
    Direction,
    MessageStatus,
    (u32, u32),
    Option<Timestamp>,
    Option<NodeId>,
    Option<Timestamp>,
);

fn circumstances(AcceptRequest { message, .. }: &AcceptRequest) -> Circumstances<'_> {
    (
        message.content.payload.as_deref(),
        message.content.media.as_ref(),
        message.direction,
        message.status,
        (message.tries, message.try_number),
        message.attempt_started_at,
        message.node,
        message.next_attempt_at,
    )
}

fn of<'a, T>(accepts: &[&'a AcceptRequest], value: impl Fn(&'a Message) -> T) -> Vec<T> {
    column(accepts, |accept| value(&accept.message))
}

fn media(message: &Message) -> Option<&Media> {
    message.content.media.as_ref()
}

fn bind_what_is_its_own<'q>(query: Query<'q>, accepts: &[&'q AcceptRequest]) -> Query<'q> {
    query
        .bind(of(accepts, |message| message.id.0))
        .bind(of(accepts, |message| message.tenant.as_str()))
        .bind(of(accepts, |message| message.user_id.as_str()))
        .bind(of(accepts, |message| message.instance_id.0))
        .bind(of(accepts, |message| message.channel.as_str()))
        .bind(of(accepts, |message| message.channel_instance_id.as_str()))
        .bind(of(accepts, |message| message.recipient.as_str()))
        .bind(of(accepts, |message| message.content.text.as_deref()))
        .bind(of(accepts, |message| i64::from(message.max_tries)))
        .bind(of(accepts, |message| message.created_at))
        .bind(of(accepts, |message| message.updated_at))
}

fn bind_what_is_shared<'q>(query: Query<'q>, AcceptRequest { message, .. }: &'q AcceptRequest) -> Query<'q> {
    query
        .bind(message.content.payload.as_deref())
        .bind(media(message).map(|media| media.url.as_str()))
        .bind(media(message).map(|media| media.media_type.as_str()))
        .bind(message.direction.as_str())
        .bind(message.status.as_str())
        .bind(i64::from(message.tries))
        .bind(i64::from(message.try_number))
        .bind(message.attempt_started_at)
        .bind(message.node.map(|node| node.0))
        .bind(message.next_attempt_at)
}

fn bind_messages<'q>(query: Query<'q>, accepts: &[&'q AcceptRequest]) -> Query<'q> {
    bind_what_is_its_own(query, accepts)
        .bind(of(accepts, |message| message.content.payload.as_deref()))
        .bind(of(accepts, |message| media(message).map(|media| media.url.as_str())))
        .bind(of(accepts, |message| media(message).map(|media| media.media_type.as_str())))
        .bind(of(accepts, |message| message.direction.as_str()))
        .bind(of(accepts, |message| message.status.as_str()))
        .bind(of(accepts, |message| i64::from(message.tries)))
        .bind(of(accepts, |message| i64::from(message.try_number)))
        .bind(of(accepts, |message| message.attempt_started_at))
        .bind(of(accepts, |message| message.node.map(|node| node.0)))
        .bind(of(accepts, |message| message.next_attempt_at))
}
