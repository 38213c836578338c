//! Replaying failed messages.

use crate::application::ports::{FailedSelection, Purposes, Replay, Replayed, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::{MessageId, Purpose};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::portion::fitting;
use crate::infrastructure::storage::sqlite::row::{self, get, time_text, time_text_option};

/// Due by its time, so that the relay takes it whichever node owned it. `try` goes on counting: a late outcome of an
/// earlier try has lost its guard.
/// The name of a run that is known to have failed goes: what is still said of it moves no later one.
macro_rules! replayed {
    () => {
        "status = 'queued',
         retries = 0,
         replays = min(max(replays, 0), 2147483646) + 1,
         channel_message_id = case when unanswered then channel_message_id end,
         error = null,
         failure = null,
         dead_lettered_at = null,
         deferrals = 0,
         deferred_since = null,
         next_attempt_at = ?1,
         updated_at = ?1"
    };
}

pub const REPLAY: &str = concat!(
    "update messaging_messages
        set ",
    replayed!(),
    "
      where id = ?2
        and tenant = ?3
        and status = 'failed'"
);

/// One probe per tenant, of the index of its failed messages, however many others there are.
macro_rules! replay_matching {
    ($index:literal, $purpose:literal) => {
        concat!(
            "
    -- The tenant asked for; or those that have failed messages, from one to the next greater one.
    with recursive tenants (tenant) as (
        select coalesce(?2, (
               select tenant
                 from messaging_messages indexed by ",
            $index,
            "
                where status = 'failed'
                  and ",
            $purpose,
            "
                order by tenant
                limit 1))
        union all
        select (select tenant
                  from messaging_messages indexed by ",
            $index,
            "
                 where tenant > tenants.tenant
                   and status = 'failed'
                   and ",
            $purpose,
            "
                 order by tenant
                 limit 1)
          from tenants
         where tenants.tenant is not null
           and ?2 is null
    ),
    matching (id) as materialized (
        select messages.id
          from tenants
         cross join messaging_messages as messages
         where messages.id in (
                   select id
                     from messaging_messages indexed by ",
            $index,
            "
                    where tenant = tenants.tenant
                      and status = 'failed'
                      and ",
            $purpose,
            "
                      and updated_at <= ?1
                      and (?7 is null or id > ?7)
                      and (?3 is null or channel_instance_id = ?3)
                      and (?4 is null or created_at >= ?4)
                      and (?5 is null or created_at < ?5)
                    order by id
                    limit ?6)
         order by messages.id
         limit ?6
    ),",
            fitting!("matching", "found.id"),
            "
    update messaging_messages
       set ",
            replayed!(),
            "
     where id in (select id from fitting)
    returning id"
        )
    };
}

/// Of what clients sent.
pub const REPLAY_MATCHING: &str = replay_matching!("messaging_messages_failed_own", "purpose is null");
/// Of what tells of other messages.
const REPLAY_TELLING: &str = replay_matching!("messaging_messages_failed", "purpose = 'status'");
const REPLAY_ANY: &str = replay_matching!("messaging_messages_failed", "true");

pub async fn replay(
    database: &SqliteDatabase,
    tenant: &Tenant,
    id: MessageId,
    now: Timestamp,
) -> Result<Replay, RepositoryError> {
    let mut transaction = database.begin().await?;
    let written = sqlx::query(REPLAY)
        .bind(time_text(now))
        .bind(id.0.hyphenated())
        .bind(tenant.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
    let known = sqlx::query(
        "select exists (
             select 1
               from messaging_messages
              where id = ?1
                and tenant = ?2
         ) as known",
    )
    .bind(id.0.hyphenated())
    .bind(tenant.as_str())
    .fetch_one(&mut *transaction)
    .await
    .map_err(translate)?;
    transaction.commit().await.map_err(translate)?;
    Ok(match (written.rows_affected() == 1, get(&known, "known")?) {
        (true, _) => Replay::Queued,
        (false, true) => Replay::NotFailed,
        (false, false) => Replay::Unknown,
    })
}

pub async fn replay_matching(
    database: &SqliteDatabase,
    selection: &FailedSelection,
    after: Option<MessageId>,
    limit: u32,
    now: Timestamp,
) -> Result<Replayed, RepositoryError> {
    let statement = match selection.purposes {
        Purposes::Own => REPLAY_MATCHING,
        Purposes::Of(Purpose::Status) => REPLAY_TELLING,
        Purposes::Any => REPLAY_ANY,
    };
    let rows = sqlx::query(statement)
        .bind(time_text(now))
        .bind(selection.tenant.as_ref().map(Tenant::as_str))
        .bind(&selection.channel_instance_id)
        .bind(time_text_option(selection.created_after))
        .bind(time_text_option(selection.created_before))
        .bind(limit)
        .bind(after.map(|after| after.0.hyphenated()))
        .fetch_all(database.writer())
        .await
        .map_err(translate)?;
    let replayed = rows.iter().map(|row| row::id(row, "id")).collect::<Result<Vec<_>, _>>()?;
    Ok(Replayed { count: replayed.len() as u64, last: replayed.into_iter().max().map(MessageId) })
}
