//! Recording how tries ended.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::free_rows::free;
use crate::application::ports::RepositoryError;
use crate::domain::message::transition::Ending;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::{CHANGING_PROBES, OwnConnection};
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::{Batch, RecordRequest};

pub struct Outcomes {
    connection: Arc<OwnConnection>,
}

/// Outcomes whose claims are lost. A claim need not have been on disk: a crash of the database may have taken it back,
/// and the row is `queued` as it was, one try fewer. (`try` never goes back otherwise.)
pub struct LostClaims {
    connection: Arc<OwnConnection>,
}

/// Both on one connection.
pub fn outcomes(database: PgDatabase) -> (Outcomes, LostClaims) {
    let connection = Arc::new(OwnConnection::new(database, CHANGING_PROBES));
    (Outcomes { connection: connection.clone() }, LostClaims { connection })
}

macro_rules! endings {
    () => {
        "(select unnest($1::uuid[]) as id, unnest($2::text[]) as old_status, unnest($3::uuid[]) as node_id,
                 unnest($4::bigint[]) as try, unnest($5::text[]) as status, unnest($6::text[]) as channel_message_id,
                 unnest($7::text[]) as error, unnest($8::text[]) as failure, unnest($9::integer[]) as http_status,
                 unnest($10::timestamptz[]) as next_attempt_at, unnest($11::timestamptz[]) as dead_lettered_at,
                 unnest($12::timestamptz[]) as sent_at, unnest($13::timestamptz[]) as finished_at,
                 unnest($14::timestamptz[]) as started_at, unnest($15::text[]) as attempt, unnest($16::boolean[]) as has_row,
                 unnest($17::boolean[]) as is_spent,
                 unnest($18::text[]) as named_as, unnest($19::boolean[]) as unanswered,
                 unnest($20::boolean[]) as is_undeliverable
         ) as endings"
    };
}

macro_rules! set_outcome {
    () => {
        "set status = endings.status,
             channel_message_id = coalesce(endings.channel_message_id, messages.channel_message_id),
             error = endings.error,
             failure = endings.failure,
             attempt_http_status = endings.http_status,
             next_attempt_at = endings.next_attempt_at,
             dead_lettered_at = endings.dead_lettered_at,
             sent_at = coalesce(endings.sent_at, messages.sent_at),
             unanswered = messages.unanswered or endings.unanswered,
             updated_at = endings.finished_at"
    };
}

/// Where a try has been made, as where each of them succeeded.
macro_rules! count_a_try {
    () => {
        ", deferred_since = null"
    };
}

/// Where perhaps none has been made. A count that somebody wrote may be out of bounds.
macro_rules! count_what_is_spent {
    () => {
        ", deferrals = case
                 when endings.is_spent then messages.deferrals
                 else least(greatest(messages.deferrals, 0), 2147483646) + 1
             end,
             deferred_since = case
                 when endings.is_spent then null
                 when endings.is_undeliverable then coalesce(messages.deferred_since, endings.finished_at)
                 else messages.deferred_since
             end"
    };
}

/// The claim has counted the try.
macro_rules! take_back_what_is_not_spent {
    () => {
        ", retries = case
                 when endings.is_spent then messages.retries
                 else greatest(messages.retries, 1) - 1
             end"
    };
}

/// The guard on the state names the states from which a try can end, whatever the caller believes.
macro_rules! end_claimed {
    ($($counts:expr),+) => {
        concat!(
            "update messaging_messages as messages ",
            set_outcome!(),
            $($counts,)+
            " from ",
            endings!(),
            " where messages.id = endings.id
                and (messages.id between :least and :greatest or messages.id = :least)
                and messages.status = endings.old_status
                and messages.status in ('pending', 'processing')
                and messages.node_id is not distinct from endings.node_id
                and messages.try = endings.try"
        )
    };
}

macro_rules! end_with_attempts {
    ($end:expr) => {
        concat!(
            "with ended as (",
            $end,
            " returning messages.id, messages.instance_id, messages.try, endings.started_at, endings.finished_at, endings.attempt,
                        messages.error, endings.http_status, endings.has_row, endings.named_as
             ), named as (
                 insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
                 select instance_id, named_as, id
                   from ended
                  where named_as is not null
                  order by instance_id, named_as
                 on conflict do nothing
             ), recorded as (
                 -- A try has one attempt row; whoever got past the guard first wrote it.
                 insert into messaging_message_attempts
                        (message_id, number, started_at, finished_at, outcome, error, http_status)
                 select id, try, started_at, finished_at, attempt, error, http_status
                   from ended
                  where has_row
                 on conflict do nothing
             )
             select id from ended"
        )
    };
}

pub const RECORD: &str = concat!(end_claimed!(count_a_try!()), " returning messages.id");

pub const RECORD_WITH_ATTEMPTS: &str =
    end_with_attempts!(end_claimed!(count_what_is_spent!(), take_back_what_is_not_spent!()));

/// The claim and its outcome in one.
pub const CLAIM_AND_RECORD: &str = end_with_attempts!(concat!(
    "update messaging_messages as messages ",
    set_outcome!(),
    count_what_is_spent!(),
    ",       node_id = endings.node_id,
             try = endings.try,
             retries = least(greatest(messages.retries, 0), 2147483646) + endings.is_spent::integer,
             attempt_started_at = endings.started_at
       from ",
    endings!(),
    " where messages.id = endings.id
        and (messages.id between :least and :greatest or messages.id = :least)
        and endings.old_status = 'processing'
        and messages.status = 'queued'
        -- So written that no index on the open rows seems to serve: each row is looked up by its id. What was sent by its
        -- first try is sent, though somebody has put it off since the crash.
        and (messages.next_attempt_at is null or (endings.status = 'sent' and endings.try = 1)) is true
        and messages.try = endings.try - 1"
));

#[async_trait]
impl Batch for Outcomes {
    type Request = RecordRequest;
    /// False when the guard has lost.
    type Answer = bool;

    async fn execute(&self, endings: &[RecordRequest]) -> Result<Vec<bool>, RepositoryError> {
        let is_all = |ending: &RecordRequest| !ending.row.has_row && ending.row.name().is_none();
        let record = if endings.iter().all(is_all) { RECORD } else { RECORD_WITH_ATTEMPTS };
        write(&self.connection, record, endings).await
    }

    async fn free(&self, endings: &[RecordRequest]) -> Result<Vec<bool>, RepositoryError> {
        free(&self.connection, endings.iter().map(|ending| ending.guard.id)).await
    }
}

#[async_trait]
impl Batch for LostClaims {
    type Request = RecordRequest;
    /// False when the claim is not lost.
    type Answer = bool;

    async fn execute(&self, endings: &[RecordRequest]) -> Result<Vec<bool>, RepositoryError> {
        write(&self.connection, CLAIM_AND_RECORD, endings).await
    }

    async fn free(&self, endings: &[RecordRequest]) -> Result<Vec<bool>, RepositoryError> {
        free(&self.connection, endings.iter().map(|ending| ending.guard.id)).await
    }
}

/// Returns which guards have held. One statement is one transaction.
async fn write(
    connection: &OwnConnection,
    statement: &'static str,
    endings: &[RecordRequest],
) -> Result<Vec<bool>, RepositoryError> {
    let mut in_order: Vec<&RecordRequest> = endings.iter().collect();
    in_order.sort_unstable_by_key(|ending| ending.guard.id);
    let statement = NamedWeeks::of(endings.iter().map(|ending| ending.guard.id)).name_in(statement);
    let query = bind(sqlx::query(AssertSqlSafe(statement)), &in_order);
    let rows = connection.run(async |connection| query.fetch_all(connection).await).await?;
    let written: HashSet<Uuid> = rows.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
    Ok(endings.iter().map(|ending| written.contains(&ending.guard.id.0)).collect())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind<'q>(query: Query<'q>, endings: &[&'q RecordRequest]) -> Query<'q> {
    fn of<'a, T>(endings: &[&'a RecordRequest], value: impl Fn(&'a RecordRequest) -> T) -> Vec<T> {
        endings.iter().map(|ending| value(ending)).collect()
    }
    fn row<'a, T>(endings: &[&'a RecordRequest], value: impl Fn(&'a Ending) -> T) -> Vec<T> {
        of(endings, |ending| value(&ending.row.ending))
    }
    query
        .bind(of(endings, |ending| ending.guard.id.0))
        .bind(of(endings, |ending| ending.guard.status.as_str()))
        .bind(of(endings, |ending| ending.guard.node.map(|node| node.0)))
        .bind(of(endings, |ending| i64::from(ending.guard.try_number)))
        .bind(row(endings, |row| row.status.as_str()))
        .bind(row(endings, |row| row.channel_message_id.as_deref()))
        .bind(row(endings, |row| row.error.as_deref()))
        .bind(row(endings, |row| row.failure.map(|failure| failure.as_str())))
        .bind(row(endings, |row| row.http_status.map(i32::from)))
        .bind(row(endings, |row| row.next_attempt_at))
        .bind(row(endings, |row| row.dead_lettered_at))
        .bind(row(endings, |row| row.sent_at))
        .bind(row(endings, |row| row.finished_at))
        .bind(of(endings, |ending| ending.started_at))
        .bind(row(endings, |row| row.attempt.as_str()))
        .bind(of(endings, |ending| ending.row.has_row))
        .bind(row(endings, |row| row.is_spent))
        .bind(of(endings, |ending| ending.row.name()))
        .bind(row(endings, |row| row.is_unanswered))
        .bind(row(endings, |row| row.is_undeliverable))
}
