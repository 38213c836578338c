//! A server, how it is connected to, and how long callers wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::time::{Instant, timeout};

use super::trust::{ASK_FOR_WRITES, TAKES_NO_WRITES, Trust};
use crate::application::ports::RepositoryError;
use crate::infrastructure::storage::limits::Limits;
use crate::infrastructure::storage::postgres::error::{is_of_a_former_primary, translate};

/// How long a caller waits for a connection.
pub(in crate::infrastructure::storage::postgres) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for the database's answer. A frozen server or a lost network says nothing at all.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// After this time the server ends what its caller has given up by then.
pub(super) const SERVER_TIMEOUT: Duration = Duration::from_secs(15);

/// A server that can be reached; clones share what is known of it.
#[derive(Clone)]
pub(in crate::infrastructure::storage::postgres) struct Server {
    pub(in crate::infrastructure::storage::postgres) options: Arc<PgConnectOptions>,
    pub(super) trust: Trust,
    pub(super) limits: Limits,
    /// How many connections may be opened outside of pools.
    apart: Arc<AtomicU32>,
}

impl Server {
    pub(super) fn new(options: PgConnectOptions, limits: Limits) -> Self {
        Self { options: Arc::new(options), trust: Trust::default(), limits, apart: Arc::default() }
    }

    /// Connections that are opened when they are needed. The server ends a statement of theirs after `statement_timeout`;
    /// `settings` are statements that each begins with.
    pub(super) fn pool(&self, connections: u32, statement_timeout: Duration, settings: &'static str) -> PgPool {
        let (trust, server) = (self.trust.clone(), self.clone());
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, usage| {
                let idle_since = Instant::now().checked_sub(usage.idle_for);
                let trusted = idle_since.is_some_and(|since| trust.covers(since));
                let (trust, age) = (trust.clone(), usage.age);
                Box::pin(async move {
                    Ok(!trust.has_renounced_pooled(age) && (trusted || trust.is_confirmed_by(connection).await))
                })
            })
            .after_connect(move |connection, _| {
                let server = server.clone();
                // An error makes the pool try again until its time is over.
                Box::pin(async move {
                    let takes_writes = server.prepare(connection, statement_timeout, settings).await?;
                    server.judge(takes_writes).map_err(|error| sqlx::Error::Configuration(error.into()))
                })
            })
            .connect_lazy_with(PgConnectOptions::clone(&self.options))
    }

    /// A connection outside of pools is part of what the process may open.
    pub(super) fn expect_one_apart(&self) {
        self.apart.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn apart(&self) -> u32 {
        self.apart.load(Ordering::Relaxed)
    }

    /// A connection outside of pools.
    pub(in crate::infrastructure::storage::postgres) async fn connect_apart(
        &self,
    ) -> Result<PgConnection, RepositoryError> {
        let connect = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            let takes_writes = self.prepare(&mut connection, SERVER_TIMEOUT, "").await?;
            Ok((connection, takes_writes))
        };
        let connected = timeout(ACQUIRE_TIMEOUT, connect).await.map_err(|_| self.no_answer())?;
        let (connection, takes_writes) = connected.map_err(|error| self.translated(error))?;
        self.judge(takes_writes)?;
        Ok(connection)
    }

    /// Makes a new connection ready; returns whether its server takes writes.
    ///
    /// What we promise needs `synchronous_commit`, whatever the server's default. The timeouts let the server end what we
    /// have given up. Without `jit`: statements that probe an index several times look expensive to the planner, and would
    /// take a hundred times longer to compile than to run.
    async fn prepare(
        &self,
        connection: &mut PgConnection,
        statement_timeout: Duration,
        settings: &str,
    ) -> Result<bool, sqlx::Error> {
        let statement_timeout = statement_timeout.as_millis();
        // A number cannot be a parameter of `set`.
        let statements = format!(
            "set synchronous_commit = on;
             set jit = off;
             set statement_timeout = {statement_timeout};
             set idle_in_transaction_session_timeout = '30s';
             {ASK_FOR_WRITES};
             {settings}"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(statements)).fetch_all(connection).await?;
        let takes_writes = rows.first().is_some_and(|row| row.try_get("takes_writes").unwrap_or(false));
        Ok(takes_writes)
    }

    /// The database's answer, within the time that a caller can wait.
    pub(in crate::infrastructure::storage::postgres) async fn answered<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, RepositoryError> {
        let result = timeout(STATEMENT_TIMEOUT, work).await.map_err(|_| self.no_answer())?;
        result.map_err(|error| self.translated(error))
    }

    /// What a caller is told that has asked the server whether it takes writes.
    pub(in crate::infrastructure::storage::postgres) fn judge(
        &self,
        takes_writes: bool,
    ) -> Result<(), RepositoryError> {
        if takes_writes {
            return Ok(());
        }
        self.trust.renounce();
        Err(RepositoryError::Unavailable(TAKES_NO_WRITES.to_owned()))
    }

    pub(super) fn translated(&self, error: sqlx::Error) -> RepositoryError {
        if is_of_a_former_primary(&error) {
            self.trust.renounce();
        }
        if matches!(error, sqlx::Error::PoolTimedOut) && self.trust.has_just_renounced() {
            return RepositoryError::Unavailable(TAKES_NO_WRITES.to_owned());
        }
        let error = translate(error);
        if matches!(error, RepositoryError::Unavailable(_)) {
            self.trust.lose();
        }
        error
    }

    /// The same error, with the address at which the server was looked for.
    pub(super) fn named(&self, error: RepositoryError) -> RepositoryError {
        let RepositoryError::Unavailable(cause) = error else { return error };
        let address = match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        };
        RepositoryError::Unavailable(format!("{address}: {cause}"))
    }

    pub(super) fn no_answer(&self) -> RepositoryError {
        self.trust.lose();
        RepositoryError::Unavailable("the database did not answer in time".to_owned())
    }
}
