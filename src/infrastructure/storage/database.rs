//! The database that the configuration names, behind the ports.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::postgres::{
    PgApiKeyRepository, PgDatabase, PgDueMessages, PgFailedMessages, PgInstanceRepository, PgMessageRepository,
    PgMessageSearch, PgNodeRepository, PgOwedDeadLetters, PgStorage,
};
use super::sqlite::{
    InstallationLock, SqliteApiKeyRepository, SqliteDatabase, SqliteDueMessages, SqliteFailedMessages,
    SqliteInstanceRepository, SqliteMessageRepository, SqliteMessageSearch, SqliteNodeRepository,
    SqliteOwedDeadLetters, SqliteStorage,
};
use crate::application::ports::{
    ApiKeyRepository, DueMessages, FailedMessages, InstanceRepository, MessageRepository, MessageSearch,
    NodeRepository, OwedDeadLetters, RepositoryError, Storage,
};
use crate::infrastructure::config::{ConfigError, DatabaseConfig};

/// How long a database that does not answer is tried at a start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that is stored, whatever it is stored in.
pub struct Database {
    pub messages: Arc<dyn MessageRepository>,
    pub due: Arc<dyn DueMessages>,
    pub owed_dead_letters: Arc<dyn OwedDeadLetters>,
    pub failed: Arc<dyn FailedMessages>,
    pub search: Arc<dyn MessageSearch>,
    pub nodes: Arc<dyn NodeRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub api_keys: Arc<dyn ApiKeyRepository>,
    pub storage: Arc<dyn Storage>,
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

    /// Brings the tables up to date, which may take its time.
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
        Self {
            messages: Arc::new(SqliteMessageRepository::new(database.clone())),
            due: Arc::new(SqliteDueMessages::new(database.clone())),
            owed_dead_letters: Arc::new(SqliteOwedDeadLetters::new(database.clone())),
            failed: Arc::new(SqliteFailedMessages::new(database.clone())),
            search: Arc::new(SqliteMessageSearch::new(database.clone())),
            nodes: Arc::new(SqliteNodeRepository::new(database.clone())),
            instances: Arc::new(SqliteInstanceRepository::new(database.clone())),
            api_keys: Arc::new(SqliteApiKeyRepository::new(database.clone())),
            storage: Arc::new(SqliteStorage::new(database.clone())),
            kind: Kind::Sqlite(database),
        }
    }

    fn postgres(database: PgDatabase) -> Self {
        Self {
            messages: Arc::new(PgMessageRepository::new(database.clone())),
            due: Arc::new(PgDueMessages::new(database.clone())),
            owed_dead_letters: Arc::new(PgOwedDeadLetters::new(database.clone())),
            failed: Arc::new(PgFailedMessages::new(database.clone())),
            search: Arc::new(PgMessageSearch::new(database.clone())),
            nodes: Arc::new(PgNodeRepository::new(database.clone())),
            instances: Arc::new(PgInstanceRepository::new(database.clone())),
            api_keys: Arc::new(PgApiKeyRepository::new(database.clone())),
            storage: Arc::new(PgStorage::new(database.clone())),
            kind: Kind::Postgres(database),
        }
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
