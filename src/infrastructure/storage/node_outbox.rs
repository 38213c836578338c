//! The `outbox.db` of the Node bridge, read as it stands.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use crate::application::ports::RepositoryError;

/// Rows that are read at once.
const PAGE: u32 = 500;

pub struct NodeOutbox {
    connection: SqliteConnection,
    /// The last one that was read.
    after: i64,
    /// Whether dead letters are read, too.
    with_dead_letters: bool,
}

/// What the bridge kept of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    pub message_id: String,
    pub topic: String,
    pub key: Option<String>,
    pub value: String,
    pub retry_count: i64,
}

impl NodeOutbox {
    /// Opens the file, and writes nothing into it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn open(path: &Path, with_dead_letters: bool) -> Result<Self, RepositoryError> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let connection = SqliteConnection::connect_with(&options).await.map_err(|error| unreadable(&error))?;
        Ok(Self { connection, after: 0, with_dead_letters })
    }

    /// The next rows that are not published, in their order; none at the end.
    ///
    /// # Errors
    /// When the file cannot be read, or is no outbox.
    pub async fn next(&mut self) -> Result<Vec<OutboxRow>, RepositoryError> {
        let rows = sqlx::query(
            "select id, message_id, topic, key, value, coalesce(retry_count, 0) as retry_count
               from outbox
              where id > ?1
                and (status in ('pending', 'failed') or (status = 'dlq' and ?2))
              order by id
              limit ?3",
        )
        .bind(self.after)
        .bind(self.with_dead_letters)
        .bind(PAGE)
        .fetch_all(&mut self.connection)
        .await
        .map_err(|error| unreadable(&error))?;
        let read = rows.iter().map(read).collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?;
        if let Some(last) = rows.last() {
            self.after = last.try_get("id").map_err(|error| unreadable(&error))?;
        }
        Ok(read)
    }
}

fn read(row: &SqliteRow) -> Result<OutboxRow, sqlx::Error> {
    Ok(OutboxRow {
        message_id: row.try_get("message_id")?,
        topic: row.try_get("topic")?,
        key: row.try_get("key")?,
        value: row.try_get("value")?,
        retry_count: row.try_get("retry_count")?,
    })
}

fn unreadable(error: &sqlx::Error) -> RepositoryError {
    RepositoryError::Unavailable(format!("the outbox cannot be read: {error}"))
}
