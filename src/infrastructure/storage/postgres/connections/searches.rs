//! What tenants look for: on connections of its own, a few at the same time, each for a limited time.

use std::sync::Arc;

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Postgres, QueryBuilder};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::lease::Lease;
use super::server::{STATEMENT_TIMEOUT, Server};
use crate::application::ports::{RepositoryError, SearchError};
use crate::infrastructure::storage::postgres::error::is_cancelled;

#[derive(Clone)]
pub(in crate::infrastructure::storage::postgres) struct Searches {
    server: Server,
    pool: PgPool,
    places: Arc<Semaphore>,
}

impl Searches {
    pub(super) fn new(server: Server) -> Self {
        let (searches, patience) = (server.limits.searches, server.limits.search_patience);
        Self { pool: server.pool(searches, patience), places: Arc::new(Semaphore::new(searches as usize)), server }
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
        let work = query.build().fetch_all(lease.connection()?);
        let rows = timeout(STATEMENT_TIMEOUT, work).await.map_err(|_| self.server.no_answer())?;
        lease.finish(&rows);
        rows.map_err(
            |error| {
                if is_cancelled(&error) { SearchError::TooLong } else { self.server.translated(error).into() }
            },
        )
    }
}
