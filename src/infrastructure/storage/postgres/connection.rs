use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, Postgres};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::database::{ACQUIRE_TIMEOUT, PgDatabase};
use crate::application::ports::RepositoryError;

/// Going back to the pool asks the server once more; one that has frozen meanwhile must not keep the place for ever.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Which idle connections are used without being tried before.
#[derive(Clone, Default)]
pub(super) struct Trust {
    /// When the database last did not answer somebody: what was idle then may be broken, too.
    lost: Arc<StdMutex<Option<Instant>>>,
}

impl Trust {
    pub(super) fn lose(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn covers(&self, idle_since: Instant) -> bool {
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        idle_since.elapsed() < TRUSTED_IDLE && lost.is_none_or(|lost| lost < idle_since)
    }
}

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

/// For statements that look up row after row by its id, whatever the planner believes: planned once, while the table is empty,
/// they would read all of it for ever after.
macro_rules! probes {
    () => {
        "set plan_cache_mode = force_generic_plan;
         set enable_seqscan = off;
         set enable_bitmapscan = off;
         set enable_hashjoin = off;
         set enable_mergejoin = off"
    };
}

pub(super) const PROBES: &str = probes!();

/// For probes that change rows together: one that somebody holds, an operator's open transaction for example, must not keep
/// the others waiting for long.
pub(super) const CHANGING_PROBES: &str = concat!(probes!(), "; set lock_timeout = '200ms'");

/// A connection outside the pool, for work that never waits for other work's connections. Made when it is needed, and made
/// again after it has failed.
pub(super) struct OwnConnection {
    database: PgDatabase,
    /// What is set on it, beside what is set on every connection.
    settings: &'static str,
    place: Mutex<Option<Idle>>,
}

struct Idle {
    connection: PgConnection,
    since: Instant,
    planned_at: Instant,
}

/// How long a connection of its own keeps the plans of its statements. They are kept because planning one for all partitions
/// costs more than carrying it out; not for long, because one made for a partition that was empty (the next week's, or a new
/// installation's) may read all of an index later on.
const PLANS_KEPT: Duration = Duration::from_secs(5);

impl OwnConnection {
    pub(super) fn new(database: PgDatabase, settings: &'static str) -> Self {
        Self { database, settings, place: Mutex::default() }
    }

    /// Does `work`, one after the other, within the time that a caller can wait.
    pub(super) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, RepositoryError> {
        let mut place = self.place.lock().await;
        // Out of its place while it works: if we are given up, it is not there for the next.
        let Idle { mut connection, planned_at, .. } = self.connection(place.take()).await?;
        let done = self.database.answered(work(&mut connection)).await;
        if !matches!(done, Err(RepositoryError::Unavailable(_))) {
            *place = Some(Idle { connection, since: Instant::now(), planned_at });
        }
        done
    }

    async fn connection(&self, idle: Option<Idle>) -> Result<Idle, RepositoryError> {
        if let Some(mut idle) = idle
            && (self.database.trust.covers(idle.since)
                || matches!(timeout(ACQUIRE_TIMEOUT, idle.connection.ping()).await, Ok(Ok(()))))
        {
            if idle.planned_at.elapsed() >= PLANS_KEPT {
                self.database.answered(sqlx::raw_sql("discard plans").execute(&mut idle.connection)).await?;
                idle.planned_at = Instant::now();
            }
            return Ok(idle);
        }
        let mut connection = self.database.connect_apart().await?;
        self.database.answered(sqlx::raw_sql(self.settings).execute(&mut connection)).await?;
        let now = Instant::now();
        Ok(Idle { connection, since: now, planned_at: now })
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
