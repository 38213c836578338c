//! Taking along what is being delivered to another name of the same process. Its state stays.

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::message::Guard;
use crate::domain::node::NodeId;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::time_text;

/// Guarded on both names: it is repeated until it is answered, and may have been written before.
const TAKE_ALONG: &str = "
    update messaging_messages
       set node_id = ?5,
           updated_at = ?6
     where id = ?1
       and status = ?2
       and status in ('pending', 'processing')
       and (node_id is ?3 or node_id = ?5)
       and min(max(try, 0), 2147483647) = ?4 -- as it is read";

pub async fn take_along(
    database: &SqliteDatabase,
    guard: &Guard,
    node: NodeId,
    now: Timestamp,
) -> Result<bool, RepositoryError> {
    let written = sqlx::query(TAKE_ALONG)
        .bind(guard.id.0.hyphenated())
        .bind(guard.status.as_str())
        .bind(guard.node.map(|node| node.0.hyphenated()))
        .bind(guard.try_number)
        .bind(node.0.hyphenated())
        .bind(time_text(now))
        .execute(database.writer())
        .await
        .map_err(translate)?;
    Ok(written.rows_affected() == 1)
}
