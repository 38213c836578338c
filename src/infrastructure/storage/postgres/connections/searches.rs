//! What tenants look for: on connections of its own, a few at the same time, each for a limited time.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Postgres, QueryBuilder};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::lease::Lease;
use super::server::{STATEMENT_TIMEOUT, Server};
use crate::application::ports::{RepositoryError, SearchError};
use crate::infrastructure::storage::postgres::error::is_cancelled;

/// What is found through an index is in the order of that index. Where the planner takes it for little, and it is a history,
/// it would sort all of it to have the newest fifty.
const SETTINGS: &str = "set enable_sort = off; set enable_incremental_sort = off";

#[derive(Clone)]
pub(in crate::infrastructure::storage::postgres) struct Searches {
    server: Server,
    pool: PgPool,
    places: Arc<Semaphore>,
}

impl Searches {
    pub(super) fn new(server: Server) -> Self {
        let (searches, patience) = (server.limits.searches, server.limits.search_patience);
        Self {
            pool: server.pool(searches, patience, SETTINGS),
            places: Arc::new(Semaphore::new(searches as usize)),
            server,
        }
    }

    /// How long a search waits for its turn; and how long it may take.
    pub(in crate::infrastructure::storage::postgres) fn patience(&self) -> Duration {
        self.server.limits.search_patience
    }

    /// The rows that a query finds.
    ///
    /// A caller that hangs up does not end the search, and its place is not free before the server has ended it: a
    /// server goes on with a statement whose connection was closed, so there would be more of them than places.
    pub(in crate::infrastructure::storage::postgres) async fn find(
        &self,
        query: QueryBuilder<Postgres>,
    ) -> Result<Vec<PgRow>, SearchError> {
        let turn = timeout(self.server.limits.search_patience, self.places.clone().acquire_owned());
        let place = turn.await.map_err(|_| SearchError::Busy)?.map_err(|_| SearchError::Busy)?;
        let searches = self.clone();
        let search = tokio::spawn(async move {
            let _place = place;
            searches.run(query).await
        });
        search.await.unwrap_or_else(|_| Err(RepositoryError::Unavailable("the search was given up".to_owned()).into()))
    }

    async fn run(&self, mut query: QueryBuilder<Postgres>) -> Result<Vec<PgRow>, SearchError> {
        let mut lease = Lease::new(self.pool.acquire().await.map_err(|error| self.server.translated(error))?);
        // Planned for what it looks for, and for the weeks of that alone.
        let work = query.build().persistent(false).fetch_all(lease.connection()?);
        let rows = timeout(STATEMENT_TIMEOUT, work).await.map_err(|_| self.server.no_answer())?;
        lease.finish(&rows);
        rows.map_err(
            |error| {
                if is_cancelled(&error) { SearchError::TooLong } else { self.server.translated(error).into() }
            },
        )
    }
}
