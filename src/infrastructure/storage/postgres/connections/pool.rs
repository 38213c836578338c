//! A server, its connections, and how long callers wait for them.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout};

use crate::application::ports::RepositoryError;

use super::lease::{Lease, Trust};
use crate::infrastructure::storage::postgres::error::translate;

const CONNECTIONS: u32 = 20;

/// How long a caller waits for a connection.
pub(in crate::infrastructure::storage::postgres) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for the database's answer. A frozen server or a lost network says nothing at all.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database that can be reached; clones share its connections.
#[derive(Clone)]
pub struct PgDatabase {
    pool: PgPool,
    pub(in crate::infrastructure::storage::postgres) options: Arc<PgConnectOptions>,
    pub(in crate::infrastructure::storage::postgres) trust: Trust,
}

impl PgDatabase {
    /// Connects to `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    /// [`RepositoryError::Refused`] when this is not such a URL, [`RepositoryError::Unavailable`] when the database
    /// does not answer. No error holds the URL.
    pub async fn connect(url: &str) -> Result<Self, RepositoryError> {
        // The parser's own error may quote the URL, and with it the password.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| RepositoryError::Refused("is not the URL of a PostgreSQL database".to_owned()))?;
        Self::connect_with(options).await
    }

    /// # Errors
    /// [`RepositoryError::Unavailable`] when the database does not answer.
    pub async fn connect_with(options: PgConnectOptions) -> Result<Self, RepositoryError> {
        let options = options.application_name("correio");
        let trust = Trust::default();
        let trusting = trust.clone();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, usage| {
                let idle_since = Instant::now().checked_sub(usage.idle_for);
                let trusted = idle_since.is_some_and(|since| trusting.covers(since));
                Box::pin(async move {
                    Ok(trusted || matches!(timeout(ACQUIRE_TIMEOUT, connection.ping()).await, Ok(Ok(()))))
                })
            })
            .after_connect(|connection, _| Box::pin(prepare(connection)))
            .connect_lazy_with(options.clone());
        let database = Self { pool, options: Arc::new(options), trust };
        database.run(async |connection| connection.ping().await).await?;
        Ok(database)
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Runs `work` on a connection of the pool, within the time that a caller can wait.
    ///
    /// A connection whose work was given up, by a timeout or by a caller that hung up, is closed and not used again.
    pub(in crate::infrastructure::storage::postgres) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, RepositoryError> {
        let mut lease = Lease::new(self.pool.acquire().await.map_err(|error| self.translated(error))?);
        let work = work(lease.connection()?);
        let result = timeout(STATEMENT_TIMEOUT, work).await.map_err(|_| self.no_answer())?;
        lease.finish(&result);
        result.map_err(|error| self.translated(error))
    }

    /// The database's answer, within the time that a caller can wait.
    pub(in crate::infrastructure::storage::postgres) async fn answered<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, RepositoryError> {
        let result = timeout(STATEMENT_TIMEOUT, work).await.map_err(|_| self.no_answer())?;
        result.map_err(|error| self.translated(error))
    }

    fn translated(&self, error: sqlx::Error) -> RepositoryError {
        let error = translate(error);
        if matches!(error, RepositoryError::Unavailable(_)) {
            self.trust.lose();
        }
        error
    }

    fn no_answer(&self) -> RepositoryError {
        self.trust.lose();
        RepositoryError::Unavailable("the database did not answer in time".to_owned())
    }

    /// A connection outside the pool.
    pub(in crate::infrastructure::storage::postgres) async fn connect_apart(
        &self,
    ) -> Result<PgConnection, RepositoryError> {
        let connect = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            prepare(&mut connection).await?;
            Ok(connection)
        };
        let connected = timeout(ACQUIRE_TIMEOUT, connect).await.map_err(|_| self.no_answer())?;
        connected.map_err(|error| self.translated(error))
    }
}

/// What we promise needs `synchronous_commit`, whatever the server's default. The timeouts let the server end what we
/// have given up. Without `jit`: statements that probe an index several times look expensive to the planner, and would
/// take a hundred times longer to compile than to run.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "set synchronous_commit = on;
         set jit = off;
         set statement_timeout = '15s';
         set idle_in_transaction_session_timeout = '30s'",
    )
    .execute(connection)
    .await?;
    Ok(())
}
