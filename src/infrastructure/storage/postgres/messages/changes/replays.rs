//! Replaying failed messages.

use uuid::Uuid;

use crate::application::ports::{FailedSelection, Purposes, Replay, Replayed, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::{MessageId, Purpose};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::portion::fitting;
use crate::infrastructure::storage::postgres::row::{get, only};

/// Due by its time, so that the relay takes it whichever node owned it. `try` goes on counting: a late outcome of an
/// earlier try has lost its guard.
/// The name of a run that is known to have failed goes: what is still said of it moves no later one.
macro_rules! replayed {
    () => {
        "status = 'queued',
         retries = 0,
         replays = least(greatest(replays, 0), 2147483646) + 1,
         channel_message_id = case when unanswered then channel_message_id end,
         error = null,
         failure = null,
         dead_lettered_at = null,
         deferrals = 0,
         deferred_since = null,
         next_attempt_at = $1,
         updated_at = $1"
    };
}

pub const REPLAY: &str = concat!(
    "with replayed as (
         update messaging_messages
            set ",
    replayed!(),
    "
          where id = $2
            and tenant = $3
            and status = 'failed'
         returning id
     )
     select exists (select from replayed) as replayed,
            exists (
                select
                  from messaging_messages
                 where id = $2
                   and tenant = $3
            ) as known"
);

/// One probe per tenant, of the index of its failed messages, however many others there are.
macro_rules! replay_matching {
    ($purpose:literal) => {
        concat!(
    "
    -- The tenant asked for; or those that have failed messages, from one to the next greater one.
    with recursive tenants (tenant) as (
        (select tenant
           from messaging_messages
          where status = 'failed'
            and ",
    $purpose,
    "
            and ($2::text is null or tenant = $2)
          order by tenant
          limit 1)
        union all
        select (select messages.tenant
                  from messaging_messages as messages
                 where messages.tenant > tenants.tenant
                   and messages.status = 'failed'
                   and ",
    $purpose,
    "
                 order by messages.tenant
                 limit 1)
          from tenants
         where tenants.tenant is not null
           and $2::text is null
    ),
    -- A range of one tenant, and the whole of the index as the order: with an equality and `order by id` the planner may
    -- prefer to walk the primary key.
    matching (id) as (
        select found.id
          from tenants
         cross join lateral (
                   select messages.id
                     from messaging_messages as messages
                    where messages.tenant between tenants.tenant and tenants.tenant
                      and messages.status = 'failed'
                      and ",
    $purpose,
    "
                      and messages.updated_at <= $1
                      and ($7::uuid is null or messages.id > $7)
                      and ($3::text is null or messages.channel_instance_id = $3)
                      and ($4::timestamptz is null or messages.created_at >= $4)
                      and ($5::timestamptz is null or messages.created_at < $5)
                    order by messages.tenant, messages.id
                    limit $6
                      for update skip locked) as found
         order by found.id
         limit $6
    ),",
    fitting!("matching", "found.id"),
    ",
    replayed (id) as (
        update messaging_messages
           set ",
    replayed!(),
    "
         where id = any(array(select id from fitting))
        returning id
    )
    select (select count(*) from replayed) as count,
           (select id from replayed order by id desc limit 1) as last"
)
    };
}

/// Of what clients sent.
pub const REPLAY_MATCHING: &str = replay_matching!("purpose is null");
/// Of what tells of other messages.
const REPLAY_TELLING: &str = replay_matching!("purpose = 'status'");
const REPLAY_ANY: &str = replay_matching!("true");

pub async fn replay(
    database: &PgDatabase,
    tenant: &Tenant,
    id: MessageId,
    now: Timestamp,
) -> Result<Replay, RepositoryError> {
    let _doubt = database.floor.doubt(Some(id));
    let query = sqlx::query(REPLAY).bind(now).bind(id.0).bind(tenant.as_str());
    let rows = database.run(async |connection| query.fetch_all(connection).await).await?;
    let Some(row) = only(rows) else { return Ok(Replay::Unknown) };
    Ok(match (get(&row, "replayed")?, get(&row, "known")?) {
        (true, _) => Replay::Queued,
        (false, true) => Replay::NotFailed,
        (false, false) => Replay::Unknown,
    })
}

pub async fn replay_matching(
    database: &PgDatabase,
    selection: &FailedSelection,
    after: Option<MessageId>,
    limit: u32,
    now: Timestamp,
) -> Result<Replayed, RepositoryError> {
    let _doubt = database.floor.doubt(None);
    // Planned each time, for what is selected.
    let statement = match selection.purposes {
        Purposes::Own => REPLAY_MATCHING,
        Purposes::Of(Purpose::Status) => REPLAY_TELLING,
        Purposes::Any => REPLAY_ANY,
    };
    let query = sqlx::query(statement)
        .persistent(false)
        .bind(now)
        .bind(selection.tenant.as_ref().map(Tenant::as_str))
        .bind(&selection.channel_instance_id)
        .bind(selection.created_after)
        .bind(selection.created_before)
        .bind(i64::from(limit))
        .bind(after.map(|after| after.0));
    let rows = database.run(async |connection| query.fetch_all(connection).await).await?;
    let Some(row) = only(rows) else { return Ok(Replayed::default()) };
    let count = u64::try_from(get::<i64>(&row, "count")?).unwrap_or_default();
    Ok(Replayed { count, last: get::<Option<Uuid>>(&row, "last")?.map(MessageId) })
}
