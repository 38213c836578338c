//! What tenants look for: on connections of its own, a few at the same time, each for a limited time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Sqlite};
use tokio::time::timeout;

use crate::application::ports::SearchError;
use crate::domain::access::principal::Tenant;
use crate::infrastructure::storage::search_places::SearchPlaces;
use crate::infrastructure::storage::sqlite::error::{is_interrupted, translate};

pub(in crate::infrastructure::storage::sqlite) struct Searches {
    pool: SqlitePool,
    places: SearchPlaces,
    patience: Duration,
}

/// How many steps of SQLite's machine a search takes before it looks whether it may go on: some microseconds.
const STEPS: i32 = 1_000;

impl Searches {
    /// On a pool that has a connection for each of `places`.
    pub(super) fn new(pool: SqlitePool, places: u32, patience: Duration) -> Self {
        Self { pool, places: SearchPlaces::new(places), patience }
    }

    /// The rows that a query finds, which a tenant asks for.
    ///
    /// A query goes on after its caller has hung up, on the connection's own thread, until it finds something to return.
    /// So it asks from time to time, and ends when there is no caller any more, or when it has taken too long.
    pub(in crate::infrastructure::storage::sqlite) async fn find(
        &self,
        tenant: Option<&Tenant>,
        mut query: QueryBuilder<Sqlite>,
    ) -> Result<Vec<SqliteRow>, SearchError> {
        let turn = timeout(self.patience, self.places.enter(tenant)).await;
        let _place = turn.map_err(|_| SearchError::Busy)?.map_err(|_| SearchError::Busy)?;
        let mut connection = self.pool.acquire().await.map_err(translate)?;
        let caller = Caller::default();
        let (has_gone, deadline) = (caller.has_gone.clone(), Instant::now() + self.patience);
        let may_go_on = move || !has_gone.load(Ordering::Relaxed) && Instant::now() < deadline;
        connection.lock_handle().await.map_err(translate)?.set_progress_handler(STEPS, may_go_on);
        let rows = query.build().fetch_all(&mut *connection).await;
        rows.map_err(|error| if is_interrupted(&error) { SearchError::TooLong } else { translate(error).into() })
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Dropped with the future that a caller waits for.
#[derive(Default)]
struct Caller {
    has_gone: Arc<AtomicBool>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.has_gone.store(true, Ordering::Relaxed);
    }
}
