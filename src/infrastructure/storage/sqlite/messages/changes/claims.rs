//! Claiming messages.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::application::ports::{Claimed, RepositoryError};
use crate::domain::instance::credentials::SealedCredentials;
use crate::domain::instance::{Destination, pace};
use crate::infrastructure::storage::shared::{Batch, ClaimRequest};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, id, message, message_columns, time_text};

pub struct Claims {
    database: SqliteDatabase,
}

impl Claims {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

/// Not guarded on the owner: with such a guard two relays can take turns for ever. The guards have a `+`, so that each
/// row is looked up by its id, and not in an index of the open ones; the given ids have one, so that SQLite does not
/// index them and read all messages.
pub const CLAIM: &str = "update messaging_messages
        set status = 'processing',
            node_id = claims.claimer,
            -- A count that was edited by hand may be out of bounds.
            try = min(max(try, 0), 2147483646) + 1,
            retries = min(max(retries, 0), 2147483646) + 1,
            attempt_started_at = claims.now,
            attempt_http_status = null,
            updated_at = claims.now
       from (select column1 as message_id, column2 as claimer, column3 as now from (";

pub const CLAIMED: &str = concat!(
    ")) as claims
      where id = +claims.message_id
        and +status = 'queued'
        and +next_attempt_at is null
     returning ",
    message_columns!(),
    ",       (select channel_phone_or_id
                from messaging_instances as instances
               where instances.id = messaging_messages.instance_id) as destination_address,
             (select credentials
                from messaging_instances as instances
               where instances.id = messaging_messages.instance_id) as destination_credentials,
             (select retry_unknown
                from messaging_instances as instances
               where instances.id = messaging_messages.instance_id) as destination_retry_unknown,
             (select one_call_at_a_time
                from messaging_instances as instances
               where instances.id = messaging_messages.instance_id) as destination_takes_one_call,
             (select rate_limit_per_minute
                from messaging_instances as instances
               where instances.id = messaging_messages.instance_id) as destination_rate,
             (select burst
                from messaging_instances as instances
               where instances.id = messaging_messages.instance_id) as destination_burst"
);

fn claimed(row: &SqliteRow) -> Result<Claimed, RepositoryError> {
    Ok(Claimed { message: message(row)?, destination: destination(row) })
}

/// Both exist or neither does: no instance lacks them.
fn destination(row: &SqliteRow) -> Result<Option<Destination>, RepositoryError> {
    let Some(credentials) = get(row, "destination_credentials")? else { return Ok(None) };
    let address = get(row, "destination_address")?;
    let retry_unknown = get(row, "destination_retry_unknown")?;
    let takes_one_call = get::<Option<bool>>(row, "destination_takes_one_call")? == Some(true);
    let pace = pace(get(row, "destination_rate")?, get(row, "destination_burst")?);
    let credentials = SealedCredentials(credentials);
    Ok(Some(Destination { address, credentials, retry_unknown, takes_one_call, pace }))
}

#[async_trait]
impl Batch for Claims {
    type Request = ClaimRequest;
    /// A row that cannot be read fails its own claim, and no other.
    type Answer = Result<Option<Claimed>, RepositoryError>;

    async fn execute(&self, claims: &[ClaimRequest]) -> Result<Vec<Self::Answer>, RepositoryError> {
        // Its text has one row per claim, so the statement is not cached.
        let mut query = statement(claims);
        let rows = query.build().persistent(false).fetch_all(self.database.writer()).await.map_err(translate)?;
        let named = |row: SqliteRow| id(&row, "id").map(|id| (id, row));
        let mut rows: HashMap<_, _> = rows.into_iter().map(named).collect::<Result<_, _>>()?;
        Ok(claims.iter().map(|claim| rows.remove(&claim.id.0).as_ref().map(claimed).transpose()).collect())
    }
}

pub(super) fn statement(claims: &[ClaimRequest]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(CLAIM);
    query.push_values(claims, |mut row, claim| {
        row.push_bind(claim.id.0.hyphenated()).push_bind(claim.node.0.hyphenated()).push_bind(time_text(claim.now));
    });
    query.push(CLAIMED);
    query
}
