use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::time::timeout;

use crate::application::ports::RepositoryError;

/// Going back to the pool asks the server once more; one that has frozen meanwhile must not keep the place for ever.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that goes back to the pool only when its work has come to an end.
pub(super) struct Lease(Option<PoolConnection<Postgres>>);

impl Lease {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, RepositoryError> {
        self.0.as_deref_mut().ok_or_else(|| RepositoryError::Unavailable("the connection is gone".to_owned()))
    }

    pub(super) fn finish<T>(mut self, result: &Result<T, sqlx::Error>) {
        let answered = !matches!(result, Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)));
        if answered && let Some(mut connection) = self.0.take() {
            tokio::spawn(async move { timeout(RETURN_TIMEOUT, connection.return_to_pool()).await });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            // Out of the pool, whose place is free at once, and closed without a word to a server that may not listen.
            drop(connection.detach());
        }
    }
}
