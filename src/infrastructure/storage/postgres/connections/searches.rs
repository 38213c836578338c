//! What tenants look for: on connections of its own, a few at the same time, each for a limited time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};
use tokio::time::{Instant, timeout};

use super::own_connection::OwnConnection;
use super::server::Server;
use crate::application::ports::{RepositoryError, SearchError};
use crate::domain::access::principal::Tenant;
use crate::infrastructure::storage::postgres::error::is_cancelled;
use crate::infrastructure::storage::search_places::{SearchPlace, SearchPlaces};

/// For plans that are kept. Planning a search takes a server far longer than most searches: it looks at each index of each
/// of the weeks, once for every part of the statement. What is found through an index is in the order of that index. Where
/// the planner takes it for little, and it is a history, it would sort all of it to have the newest fifty; and where a week was
/// empty when it planned, it would read all of it later.
const KEPT: &str = "set plan_cache_mode = force_generic_plan;
                    set enable_seqscan = off;
                    set enable_bitmapscan = off;
                    set enable_sort = off;
                    set enable_incremental_sort = off";

/// For plans of what is asked once.
const MADE_FOR_ITS_VALUES: &str = "set local plan_cache_mode = force_custom_plan;
                                   set local enable_seqscan = on;
                                   set local enable_bitmapscan = on";

#[derive(Clone)]
pub(in crate::infrastructure::storage::postgres) struct Searches {
    server: Server,
    /// As many as places. The one that was used last has the most plans.
    idle: Arc<Mutex<Vec<OwnConnection>>>,
    places: SearchPlaces,
}

/// A search that has its turn, for all of its statements.
pub(in crate::infrastructure::storage::postgres) struct Search {
    turn: Arc<Turn>,
    until: Instant,
}

/// Whether a server keeps the plan of a statement.
#[derive(Clone, Copy)]
enum Plan {
    Kept,
    ForItsValues,
}

impl Searches {
    pub(super) fn new(server: Server) -> Self {
        let (searches, patience) = (server.limits.searches, server.limits.search_patience);
        let settings = format!("{KEPT}; set statement_timeout = {}", patience.as_millis());
        let idle = (0..searches).map(|_| OwnConnection::for_searches(server.clone(), settings.clone()));
        Self { idle: Arc::new(Mutex::new(idle.collect())), places: SearchPlaces::new(searches), server }
    }

    /// Waits for a turn, as long as a search may take, too.
    pub(in crate::infrastructure::storage::postgres) async fn begin(
        &self,
        tenant: Option<&Tenant>,
    ) -> Result<Search, SearchError> {
        let patience = self.server.limits.search_patience;
        let place = timeout(patience, self.places.enter(tenant)).await;
        let place = place.map_err(|_| SearchError::Busy)?.map_err(|_| SearchError::Busy)?;
        let connection = self.idle().pop();
        let turn = Turn { connection, searches: self.clone(), _place: place };
        Ok(Search { turn: Arc::new(turn), until: Instant::now() + patience })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<OwnConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Search {
    /// The rows that a query finds whose text comes again, with other values. It leaves the planner no choice of an index.
    pub(in crate::infrastructure::storage::postgres) async fn find(
        &self,
        query: QueryBuilder<Postgres>,
    ) -> Result<Vec<PgRow>, SearchError> {
        self.find_by(query, Plan::Kept).await
    }

    /// The same, planned for its values, and for the weeks of these alone.
    pub(in crate::infrastructure::storage::postgres) async fn find_planned(
        &self,
        query: QueryBuilder<Postgres>,
    ) -> Result<Vec<PgRow>, SearchError> {
        self.find_by(query, Plan::ForItsValues).await
    }

    /// A caller that hangs up does not end the statement, and its place is not free before the server has ended it: a
    /// server goes on with a statement whose connection was closed, so there would be more of them than places.
    async fn find_by(&self, query: QueryBuilder<Postgres>, plan: Plan) -> Result<Vec<PgRow>, SearchError> {
        if Instant::now() > self.until {
            return Err(SearchError::TooLong);
        }
        let turn = self.turn.clone();
        let search = tokio::spawn(async move { turn.find(query, plan).await });
        search.await.unwrap_or_else(|_| Err(RepositoryError::Unavailable("the search was given up".to_owned()).into()))
    }
}

/// A place and a connection, which is idle again when the last statement has ended, however it did.
struct Turn {
    connection: Option<OwnConnection>,
    searches: Searches,
    /// Free after the connection is.
    _place: SearchPlace,
}

impl Turn {
    async fn find(&self, mut query: QueryBuilder<Postgres>, plan: Plan) -> Result<Vec<PgRow>, SearchError> {
        let none = || RepositoryError::Unavailable("no connection is idle".to_owned());
        let connection = self.connection.as_ref().ok_or_else(none)?;
        let work = async |connection: &mut PgConnection| {
            let found = match plan {
                Plan::Kept => query.build().fetch_all(connection).await,
                Plan::ForItsValues => {
                    let mut transaction = connection.begin().await?;
                    sqlx::raw_sql(MADE_FOR_ITS_VALUES).execute(&mut *transaction).await?;
                    let found = query.build().persistent(false).fetch_all(&mut *transaction).await;
                    transaction.rollback().await?;
                    found
                }
            };
            match found {
                Err(error) if is_cancelled(&error) => Ok(None),
                found => found.map(Some),
            }
        };
        connection.run(work).await?.ok_or(SearchError::TooLong)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.searches.idle().extend(self.connection.take());
    }
}
