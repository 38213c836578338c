//! Claiming messages.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::deferrals::Deferrals;
use super::free_rows::free;
use crate::application::ports::{Claimed, RepositoryError};
use crate::domain::instance::credentials::SealedCredentials;
use crate::domain::instance::{Destination, pace};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::{CHANGING_PROBES, OwnConnection};
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::{get, message, message_columns, number_option};
use crate::infrastructure::storage::shared::{Batch, ClaimRequest};

pub struct Claims {
    connection: Arc<OwnConnection>,
}

/// Both on one connection: what is put off is not claimed.
pub fn claims(database: PgDatabase) -> (Claims, Deferrals) {
    let connection = Arc::new(OwnConnection::new(database, CHANGING_PROBES));
    (Claims { connection: connection.clone() }, Deferrals::on(connection))
}

/// The guard on the state is the lock: of two concurrent claims, the second waits, checks again, and gets nothing. Not
/// guarded on the owner: with such a guard two relays can take turns for ever.
///
/// A claim need not be on disk before the channel is called: one that a crash of the database takes back is found by
/// the outcome, which claims and ends the message in one write. Hence `synchronous_commit` is off, for this transaction
/// alone, set once for all rows.
///
/// Each message's destination is read in the same statement.
pub const CLAIM: &str = concat!(
    "with claimed as (
     update messaging_messages as messages
        set status = 'processing',
            node_id = asked.by,
            -- A count that somebody wrote may be out of bounds.
            try = least(greatest(messages.try, 0), 2147483646) + 1,
            retries = least(greatest(messages.retries, 0), 2147483646) + 1,
            attempt_started_at = asked.at,
            attempt_http_status = null,
            updated_at = asked.at
       from (select unnest($1::uuid[]) as asked_id, unnest($2::uuid[]) as by, unnest($3::timestamptz[]) as at) as asked
      where messages.id = asked.asked_id
        and (messages.id between :least and :greatest or messages.id = :least)
        and messages.status = 'queued'
        -- So written that no index on the open rows seems to serve: each row is looked up by its id.
        and (messages.next_attempt_at is null) is true
        and (select set_config('synchronous_commit', 'off', true)) = 'off'
     returning ",
    message_columns!(),
    ")
     select claimed.*,
            instances.id is not null as has_instance,
            instances.channel_phone_or_id as destination_address,
            instances.credentials as destination_credentials,
            instances.retry_unknown as destination_retry_unknown,
            instances.one_call_at_a_time as destination_takes_one_call,
            instances.rate_limit_per_minute as destination_rate,
            instances.burst as destination_burst
       from claimed
       left join messaging_instances as instances
         on instances.id = claimed.instance_id"
);

fn claimed(row: &PgRow) -> Result<Claimed, RepositoryError> {
    Ok(Claimed { message: message(row)?, destination: destination(row) })
}

fn destination(row: &PgRow) -> Result<Option<Destination>, RepositoryError> {
    if !get::<bool>(row, "has_instance")? {
        return Ok(None);
    }
    let credentials = SealedCredentials(get(row, "destination_credentials")?);
    Ok(Some(Destination {
        address: get(row, "destination_address")?,
        credentials,
        retry_unknown: get(row, "destination_retry_unknown")?,
        takes_one_call: get::<Option<bool>>(row, "destination_takes_one_call")? == Some(true),
        pace: pace(number_option(row, "destination_rate")?, number_option(row, "destination_burst")?),
    }))
}

#[async_trait]
impl Batch for Claims {
    type Request = ClaimRequest;
    /// A row that cannot be read fails its own claim, and no other.
    type Answer = Result<Option<Claimed>, RepositoryError>;

    async fn execute(&self, claims: &[ClaimRequest]) -> Result<Vec<Self::Answer>, RepositoryError> {
        let mut in_order: Vec<&ClaimRequest> = claims.iter().collect();
        in_order.sort_unstable_by_key(|claim| claim.id);
        let claim = NamedWeeks::of(claims.iter().map(|claim| claim.id)).name_in(CLAIM);
        let query = sqlx::query(AssertSqlSafe(claim))
            .bind(in_order.iter().map(|claim| claim.id.0).collect::<Vec<_>>())
            .bind(in_order.iter().map(|claim| claim.node.0).collect::<Vec<_>>())
            .bind(in_order.iter().map(|claim| claim.now).collect::<Vec<_>>());
        let rows = self.connection.run(async |connection| query.fetch_all(connection).await).await?;
        let id = |row: PgRow| get::<Uuid>(&row, "id").map(|id| (id, row));
        let mut rows: HashMap<Uuid, PgRow> = rows.into_iter().map(id).collect::<Result<_, _>>()?;
        Ok(claims.iter().map(|claim| rows.remove(&claim.id.0).as_ref().map(claimed).transpose()).collect())
    }

    async fn free(&self, claims: &[ClaimRequest]) -> Result<Vec<bool>, RepositoryError> {
        free(&self.connection, claims.iter().map(|claim| claim.id)).await
    }
}
