//! After a statement has waited in vain: which of its rows are locked, and which are not.

use std::collections::HashSet;

use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::connections::OwnConnection;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::span;

pub const FREE: &str = "
    select id
      from messaging_messages
     where id between $2 and $3
       and id = any($1)
       for update skip locked";

/// Which of these messages no other transaction holds.
pub async fn free(
    connection: &OwnConnection,
    ids: impl Iterator<Item = MessageId> + Clone,
) -> Result<Vec<bool>, RepositoryError> {
    let (least, greatest) = span(ids.clone());
    let query = sqlx::query(FREE).bind(ids.clone().map(|id| id.0).collect::<Vec<_>>()).bind(least).bind(greatest);
    let rows = connection.run(async |connection| query.fetch_all(connection).await).await?;
    let free: HashSet<Uuid> = rows.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
    Ok(ids.map(|id| free.contains(&id.0)).collect())
}
