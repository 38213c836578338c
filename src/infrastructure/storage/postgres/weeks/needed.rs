//! Which of the older weeks hold something that is still open or owed.

use std::time::Instant;

use sqlx::AssertSqlSafe;
use tracing::warn;

use crate::domain::Timestamp;
use crate::infrastructure::storage::postgres::PgDatabase;

/// Whether something in a span of older weeks is open or owed. In the order of the indexes that hold nothing else, so that
/// no plan reads another. What waits for a time is open, whatever its state.
pub const IS_NEEDED: &str = "
    select coalesce(
        (select true
           from messaging_messages
          where id >= :from
            and id < :to
            and next_attempt_at is null
            and status in ('pending', 'queued', 'processing')
          order by node_id, status, id
          limit 1),
        (select true
           from messaging_messages
          where id >= :from
            and id < :to
            and next_attempt_at is not null
          order by next_attempt_at, id
          limit 1),
        (select true
           from messaging_messages
          where id >= :from
            and id < :to
            and status = 'failed'
            and dead_lettered_at is null
          order by id
          limit 1),
        false)";

/// Raises or lowers the floor, as far as it is the turn of some older weeks.
pub async fn look(database: &PgDatabase, now: Timestamp) {
    let asking = database.floor.begin(now, Instant::now());
    let mut are_needed = Vec::new();
    for span in &asking.spans {
        let query = sqlx::query_scalar(AssertSqlSafe(span.name_in(IS_NEEDED)));
        let answer = database.relay.run(async |connection| query.fetch_one(connection).await).await;
        are_needed.push(answer.inspect_err(|error| warn!(%error, "older weeks cannot be looked at")).ok());
        // Weeks that somebody keeps locked for long are no reason not to look at the youngest.
        if are_needed.last() == Some(&None) {
            break;
        }
    }
    are_needed.resize(asking.spans.len(), None);
    database.floor.take_in(&asking, &are_needed, Instant::now());
}
