//! The database that the configuration names, behind the ports.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::limits::Limits;
use super::postgres::PgDatabase;
use super::sqlite::SqliteDatabase;
use crate::application::ports::{RepositoryError, Stores};
use crate::infrastructure::config::{Config, ConfigError, DatabaseConfig};

pub use super::sqlite::InstallationLock;

/// How long a start keeps trying a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The stores, and the database that is behind them.
pub struct Database {
    pub stores: Stores,
    kind: Kind,
    /// The setting that says where it is.
    setting: &'static str,
}

enum Kind {
    Sqlite(SqliteDatabase),
    /// Far larger than the other.
    Postgres(Box<PgDatabase>),
}

impl Database {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`, or `DATA_DIR`.
    pub async fn open(config: &Config) -> Result<Self, ConfigError> {
        let database = Self::connect(config).await?;
        database.migrate().await?;
        Ok(database)
    }

    /// Connects. A database that does not answer is tried for at most 10 s.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`, or `DATA_DIR`; also for a server that is too old.
    pub async fn connect(config: &Config) -> Result<Self, ConfigError> {
        let (limits, setting) = (limits(config), setting(config));
        match &config.storage.database {
            DatabaseConfig::Sqlite { path } => {
                let opened = patiently(|| SqliteDatabase::open_within(path, limits)).await;
                let database = opened.map_err(|error| unusable(setting, error))?;
                Ok(Self { stores: database.stores(), kind: Kind::Sqlite(database), setting })
            }
            DatabaseConfig::Postgres { url } => {
                let failed = |error| unusable(setting, error);
                let database = patiently(|| PgDatabase::connect(url, limits)).await.map_err(failed)?;
                let database = Self { stores: database.stores(), kind: Kind::Postgres(Box::new(database)), setting };
                database.examine().await?;
                Ok(database)
            }
        }
    }

    /// The same, but connects when it is used: the server may be away now.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`; also for an embedded database, which is not away.
    pub fn later(config: &Config) -> Result<Self, ConfigError> {
        let setting = setting(config);
        let DatabaseConfig::Postgres { url } = &config.storage.database else {
            return Err(ConfigError::new(setting, "names no server"));
        };
        let database = PgDatabase::later(url, limits(config)).map_err(|error| unusable(setting, error))?;
        Ok(Self { stores: database.stores(), kind: Kind::Postgres(Box::new(database)), setting })
    }

    /// Where a server is, and what the database is called there; none for an embedded one.
    pub fn place(config: &Config) -> Option<String> {
        match &config.storage.database {
            DatabaseConfig::Postgres { url } => PgDatabase::place(url),
            DatabaseConfig::Sqlite { .. } => None,
        }
    }

    /// Whether it is a server that can be used.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`: for a server that is too old, and for a pooler that keeps no sessions.
    pub async fn examine(&self) -> Result<(), ConfigError> {
        let Kind::Postgres(database) = &self.kind else { return Ok(()) };
        let failed = |error| unusable(self.setting, error);
        let refused = |sentence: String| Err(ConfigError::new(self.setting, sentence));
        database.pooler_refusal().await.map_err(failed)?.map_or(Ok(()), refused)?;
        database.version().await.map_err(failed)?.refusal().map_or(Ok(()), refused)
    }

    /// Opens the database of a command that makes none: an empty one, in a directory where none was meant to be, would look
    /// like an installation that has lost everything.
    ///
    /// # Errors
    /// As of [`Database::open`], and when there is no file.
    pub async fn open_existing(config: &Config) -> Result<Self, ConfigError> {
        match &config.storage.database {
            DatabaseConfig::Sqlite { path } if !path.exists() => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let sentence = format!(
                    "there is no database {}: this command makes none; run it where the server runs, with its settings",
                    path.display()
                );
                Err(ConfigError::new(setting(config), sentence))
            }
            _ => Self::open(config).await,
        }
    }

    /// Brings the tables up to date, which may take long.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`, or `DATA_DIR`.
    pub async fn migrate(&self) -> Result<(), ConfigError> {
        let migrated = match &self.kind {
            Kind::Sqlite(database) => database.migrate().await,
            Kind::Postgres(database) => database.migrate().await,
        };
        migrated.map_err(|error| unusable(self.setting, error))
    }

    /// Whether an embedded database has credentials, which the key beside it has to open.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn has_credentials(&self) -> Result<bool, ConfigError> {
        let Kind::Sqlite(embedded) = &self.kind else { return Ok(false) };
        embedded.has_credentials().await.map_err(|error| unusable(self.setting, error))
    }

    /// How many connections to a server this process opens at most; none without a server.
    pub fn connections(&self) -> Option<u32> {
        match &self.kind {
            Kind::Sqlite(_) => None,
            Kind::Postgres(database) => Some(database.connections()),
        }
    }

    /// Why a server will not let this process have all the connections that it opens, if it will not.
    ///
    /// # Errors
    /// A sentence that names `DATABASE_URL`, or `DATA_DIR`.
    pub async fn shortage(&self) -> Result<Option<String>, ConfigError> {
        match &self.kind {
            Kind::Sqlite(_) => Ok(None),
            Kind::Postgres(database) => database.shortage().await.map_err(|error| unusable(self.setting, error)),
        }
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
            ConfigError::new(self.setting, sentence)
        })
    }

    /// Closes what has to be closed before the process ends.
    pub async fn close(&self) {
        if let Kind::Sqlite(embedded) = &self.kind {
            embedded.close().await;
        }
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        pool: config.storage.pool_size,
        searches: config.storage.search_concurrency,
        heartbeat: Limits::heartbeat(config.delivery.node_timeout),
        ..Limits::default()
    }
}

/// Which setting says where the database is.
fn setting(config: &Config) -> &'static str {
    match &config.storage.database {
        DatabaseConfig::Sqlite { path } if path.parent() == Some(&config.storage.data_dir) => "DATA_DIR",
        _ => "DATABASE_URL",
    }
}

fn unusable(setting: &'static str, error: RepositoryError) -> ConfigError {
    match error {
        // Here it need not be a statement that was refused: what is no URL is not even tried.
        RepositoryError::Refused(reason) => ConfigError::new(setting, reason),
        error => ConfigError::new(setting, error.to_string()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_that_sets_no_limits_has_those_that_tests_have() {
        assert_eq!(limits(&Config::read(|_| None).unwrap()), Limits::default());
    }

    #[test]
    fn what_is_no_url_is_not_called_a_refused_statement() {
        let error =
            unusable("DATABASE_URL", RepositoryError::Refused("is not the URL of a PostgreSQL database".to_owned()));
        assert_eq!(error.to_string(), "DATABASE_URL: is not the URL of a PostgreSQL database");
    }
}
