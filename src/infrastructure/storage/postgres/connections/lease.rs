use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::time::timeout;

use crate::application::ports::RepositoryError;

/// Returning a connection takes a round trip more; a server that froze meanwhile must not keep the place for ever.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that goes back to the pool only when its work has come to an end.
pub(in crate::infrastructure::storage::postgres) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
    /// How many leases there are.
    at_work: Arc<AtomicUsize>,
}

impl Lease {
    pub(super) fn new(connection: PoolConnection<Postgres>, at_work: Arc<AtomicUsize>) -> Self {
        at_work.fetch_add(1, Ordering::Relaxed);
        Self { connection: Some(connection), at_work }
    }

    pub(in crate::infrastructure::storage::postgres) fn connection(
        &mut self,
    ) -> Result<&mut PgConnection, RepositoryError> {
        self.connection.as_deref_mut().ok_or_else(|| RepositoryError::Unavailable("the connection is gone".to_owned()))
    }

    pub(in crate::infrastructure::storage::postgres) fn finish<T>(mut self, result: &Result<T, sqlx::Error>) {
        let answered = !matches!(result, Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)));
        if answered && let Some(mut connection) = self.connection.take() {
            tokio::spawn(async move { timeout(RETURN_TIMEOUT, connection.return_to_pool()).await });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.at_work.fetch_sub(1, Ordering::Relaxed);
        if let Some(connection) = self.connection.take() {
            // Detached, so its place is free immediately, and closed without a message to a server that may not listen.
            drop(connection.detach());
        }
    }
}
