use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::time::{Instant, timeout};

use crate::application::ports::RepositoryError;

/// Returning a connection takes a round trip more; a server that froze meanwhile must not keep the place for ever.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Which idle connections are used without being tried before.
#[derive(Clone, Default)]
pub(in crate::infrastructure::storage::postgres) struct Trust {
    /// When the database last failed to answer a caller: connections that were idle then may be broken, too.
    lost: Arc<Mutex<Option<Instant>>>,
}

impl Trust {
    pub(in crate::infrastructure::storage::postgres) fn lose(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(in crate::infrastructure::storage::postgres) fn covers(&self, idle_since: Instant) -> bool {
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        idle_since.elapsed() < TRUSTED_IDLE && lost.is_none_or(|lost| lost < idle_since)
    }
}

/// A connection that goes back to the pool only when its work has come to an end.
pub(in crate::infrastructure::storage::postgres) struct Lease(Option<PoolConnection<Postgres>>);

impl Lease {
    pub(in crate::infrastructure::storage::postgres) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }

    pub(in crate::infrastructure::storage::postgres) fn connection(
        &mut self,
    ) -> Result<&mut PgConnection, RepositoryError> {
        self.0.as_deref_mut().ok_or_else(|| RepositoryError::Unavailable("the connection is gone".to_owned()))
    }

    pub(in crate::infrastructure::storage::postgres) fn finish<T>(mut self, result: &Result<T, sqlx::Error>) {
        let answered = !matches!(result, Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)));
        if answered && let Some(mut connection) = self.0.take() {
            tokio::spawn(async move { timeout(RETURN_TIMEOUT, connection.return_to_pool()).await });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            // Detached, so its place is free immediately, and closed without a message to a server that may not listen.
            drop(connection.detach());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_idle_when_the_database_did_not_answer_is_tried_first() {
        let (trust, now) = (Trust::default(), Instant::now());
        let earlier = now.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(trust.covers(earlier));
        assert!(!trust.covers(now.checked_sub(TRUSTED_IDLE).unwrap()));
        trust.lose();
        assert!(!trust.covers(earlier));
        assert!(trust.covers(Instant::now() + Duration::from_millis(1)));
    }
}
