//! Whether a pooler lies in between that does not give each client a connection of its own.

use sqlx::{PgConnection, Row};

use super::server::Server;
use crate::application::ports::RepositoryError;
use crate::infrastructure::storage::postgres::error::NEEDS_SESSIONS;

/// Which process of the server works for the connection. In the simple protocol: what was prepared would stay there for the
/// next client.
const WHICH: &str = "select pg_backend_pid() as pid";

/// In a transaction, so that a pooler cannot give it to another in between.
const WHICH_NOW: &str = "begin; select pg_backend_pid() as pid";

/// Why the connections cannot be used, if they cannot: two that are both open have the same process of the server, or one
/// has another than before. Session settings, prepared statements and locks would be lost, or others would find them.
pub(super) async fn refusal(server: &Server) -> Result<Option<String>, RepositoryError> {
    let (mut one, mut other) = (server.connect_apart().await?, server.connect_apart().await?);
    let before = server.answered(process(&mut one, WHICH)).await?;
    let of_another = server.answered(process(&mut other, WHICH_NOW)).await?;
    let after = server.answered(process(&mut one, WHICH)).await?;
    Ok((before == of_another || before != after).then(|| NEEDS_SESSIONS.to_owned()))
}

async fn process(connection: &mut PgConnection, which: &'static str) -> Result<i32, sqlx::Error> {
    let rows = sqlx::raw_sql(which).fetch_all(connection).await?;
    rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get("pid")
}
