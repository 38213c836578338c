//! Taking along what is being delivered to another name of the same process. Its state stays.

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::message::Guard;
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;

/// Guarded on both names: it is repeated until it is answered, and may have been written before.
const TAKE_ALONG: &str = "
    update messaging_messages
       set node_id = $5,
           updated_at = $6
     where id = $1
       and status = $2
       and status in ('pending', 'processing')
       and (node_id is not distinct from $3 or node_id = $5)
       and greatest(try, 0) = $4 -- as it is read";

pub async fn take_along(
    database: &PgDatabase,
    guard: &Guard,
    node: NodeId,
    now: Timestamp,
) -> Result<bool, RepositoryError> {
    let query = sqlx::query(TAKE_ALONG)
        .bind(guard.id.0)
        .bind(guard.status.as_str())
        .bind(guard.node.map(|node| node.0))
        .bind(i64::from(guard.try_number))
        .bind(node.0)
        .bind(now);
    let written = database.run(async |connection| query.execute(connection).await).await?;
    Ok(written.rows_affected() == 1)
}
