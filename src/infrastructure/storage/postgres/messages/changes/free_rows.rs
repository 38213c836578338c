//! After a statement has waited in vain: which of its rows are locked, and which are not.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::connections::OwnConnection;
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::get;

pub const FREE: &str = "
    select messages.id
      from unnest($1::uuid[]) as asked (id)
      join messaging_messages as messages
        on messages.id = asked.id
     where (messages.id between :least and :greatest or messages.id = :least)
       for update of messages skip locked";

/// Which of these messages no other transaction holds.
pub async fn free(
    connection: &OwnConnection,
    ids: impl Iterator<Item = MessageId> + Clone,
) -> Result<Vec<bool>, RepositoryError> {
    let query = sqlx::query(AssertSqlSafe(NamedWeeks::of(ids.clone()).name_in(FREE)))
        .bind(ids.clone().map(|id| id.0).collect::<Vec<_>>());
    let rows = connection.run(async |connection| query.fetch_all(connection).await).await?;
    let free: HashSet<Uuid> = rows.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
    Ok(ids.map(|id| free.contains(&id.0)).collect())
}
