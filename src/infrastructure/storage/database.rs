//! The database that the configuration names, behind the ports.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::postgres::PgDatabase;
use super::sqlite::{InstallationLock, SqliteDatabase};
use crate::application::ports::{RepositoryError, Stores};
use crate::infrastructure::config::{ConfigError, DatabaseConfig};

/// How long a start keeps trying a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The stores, and the database that is behind them.
pub struct Database {
    pub stores: Stores,
    kind: Kind,
}

enum Kind {
    Sqlite(SqliteDatabase),
    Postgres(PgDatabase),
}

impl Database {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`.
    pub async fn open(config: &DatabaseConfig) -> Result<Self, ConfigError> {
        let database = Self::connect(config).await?;
        database.migrate().await?;
        Ok(database)
    }

    /// Connects. A database that does not answer is tried for at most 10 s.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, ConfigError> {
        let connected = match config {
            DatabaseConfig::Sqlite { path } => patiently(|| SqliteDatabase::open(path)).await.map(Self::sqlite),
            DatabaseConfig::Postgres { url } => patiently(|| PgDatabase::connect(url)).await.map(Self::postgres),
        };
        connected.map_err(unusable)
    }

    /// Brings the tables up to date, which may take long.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`.
    pub async fn migrate(&self) -> Result<(), ConfigError> {
        let migrated = match &self.kind {
            Kind::Sqlite(database) => database.migrate().await,
            Kind::Postgres(database) => database.migrate().await,
        };
        migrated.map_err(unusable)
    }

    fn sqlite(database: SqliteDatabase) -> Self {
        Self { stores: database.stores(), kind: Kind::Sqlite(database) }
    }

    fn postgres(database: PgDatabase) -> Self {
        Self { stores: database.stores(), kind: Kind::Postgres(database) }
    }

    /// Whether only one process can use the database at a time.
    pub fn is_embedded(&self) -> bool {
        matches!(self.kind, Kind::Sqlite(_))
    }

    /// Claims an embedded database for this process, for as long as the guard lives; none for a shared one.
    ///
    /// # Errors
    /// When another process has it.
    pub fn lock_installation(&self) -> Result<Option<InstallationLock>, ConfigError> {
        let Kind::Sqlite(embedded) = &self.kind else { return Ok(None) };
        embedded.lock_installation().map(Some).map_err(|error| {
            let sentence = match error {
                RepositoryError::Conflict => "another process serves from this database file".to_owned(),
                error => error.to_string(),
            };
            ConfigError::new("DATABASE_URL", sentence)
        })
    }

    /// Closes what has to be closed before the process ends.
    pub async fn close(&self) {
        if let Kind::Sqlite(embedded) = &self.kind {
            embedded.close().await;
        }
    }
}

fn unusable(error: RepositoryError) -> ConfigError {
    ConfigError::new("DATABASE_URL", error.to_string())
}

/// Tries until the database answers, for as long as a start waits for it.
async fn patiently<T, F>(mut connect: impl FnMut() -> F) -> Result<T, RepositoryError>
where
    F: Future<Output = Result<T, RepositoryError>>,
{
    const PAUSE: Duration = Duration::from_millis(250);
    let deadline = Instant::now() + PATIENCE;
    let mut last = RepositoryError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()));
    while let Ok(answer) = timeout_at(deadline, connect()).await {
        match answer {
            Err(error) if error.may_pass() => last = error,
            answer => return answer,
        }
        if Instant::now() + PAUSE >= deadline {
            break;
        }
        sleep(PAUSE).await;
    }
    Err(last)
}
