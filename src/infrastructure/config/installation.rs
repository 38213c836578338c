use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::error::ConfigError;
use super::role::Role;
use super::sections::access::{AccessConfig, JwtConfig};
use super::sections::delivery::DeliveryConfig;
use super::sections::http::HttpConfig;
use super::sections::kafka::{Brokers, QueueConfig};
use super::sections::logs::{LogFormat, LogsConfig};
use super::sections::storage::{DatabaseConfig, StorageConfig};
use super::variables::Variables;

#[derive(Clone)]
pub struct Config {
    pub http: HttpConfig,
    pub data_dir: PathBuf,
    pub database: DatabaseConfig,
    /// The first encrypts, all decrypt. None: see `XChaChaCredentialsCipher::from_config`.
    pub credentials_keys: Option<Vec<[u8; 32]>>,
    pub bootstrap_api_key: Option<String>,
    pub jwt: JwtConfig,
    pub queue: QueueConfig,
    pub worker_concurrency: usize,
    pub node_timeout: Duration,
    /// Tries for a message, the first included.
    pub max_tries: u32,
    /// The waits before the second, third, ... try; never empty.
    pub retry_backoff: Vec<Duration>,
    pub shutdown_timeout: Duration,
    /// Webhooks go to public addresses only.
    pub webhook_block_private: bool,
    pub log_format: Option<LogFormat>,
    /// `RUST_LOG`'s directives.
    pub log_filter: String,
}

impl Config {
    /// Reads the environment and, for what it does not name, `.env` in the working directory.
    ///
    /// # Errors
    /// The first value that cannot be used, or a `.env` that cannot be read.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let environment = Environment::load()?;
        Self::read(|variable| environment.get(variable))
    }

    /// Reads everything through `get`; the only other thing it looks at is the file that `JWT_PUBLIC_KEY` may name.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variables = Variables(&get);
        let http = HttpConfig::read(&variables)?;
        let storage = StorageConfig::read(&variables)?;
        let access = AccessConfig::read(&variables)?;
        let queue = QueueConfig::read(&variables)?;
        let delivery = DeliveryConfig::read(&variables)?;
        let logs = LogsConfig::read(&variables)?;
        Ok(Self {
            http,
            data_dir: storage.data_dir,
            database: storage.database,
            credentials_keys: storage.credentials_keys,
            bootstrap_api_key: access.bootstrap_api_key,
            jwt: access.jwt,
            queue,
            worker_concurrency: delivery.worker_concurrency,
            node_timeout: delivery.node_timeout,
            max_tries: delivery.max_tries,
            retry_backoff: delivery.retry_backoff,
            shutdown_timeout: delivery.shutdown_timeout,
            webhook_block_private: delivery.webhook_block_private,
            log_format: logs.format,
            log_filter: logs.filter,
        })
    }

    /// Checks that this configuration lets a process play this role.
    ///
    /// # Errors
    /// For a part of the work alone, while nothing would carry messages to the processes that do the rest.
    pub fn require_queue_role(&self, role: Role) -> Result<(), ConfigError> {
        if role == Role::All {
            return Ok(());
        }
        if let DatabaseConfig::Sqlite { .. } = self.database {
            let sentence = format!("role `{role}` needs PostgreSQL, because only one process can use a SQLite file");
            return Err(ConfigError::new("DATABASE_URL", sentence));
        }
        match &self.queue {
            QueueConfig::Direct => {
                let sentence = format!("role `{role}` needs `true`: without Kafka, one process does everything");
                Err(ConfigError::new("KAFKA_ENABLED", sentence))
            }
            QueueConfig::Kafka(kafka) if kafka.brokers == Brokers::Embedded => {
                let sentence = format!("role `{role}` needs a Kafka that other processes reach, not `embedded`");
                Err(ConfigError::new("KAFKA_BROKERS", sentence))
            }
            QueueConfig::Kafka(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Config {
    /// Shows no secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("http", &self.http)
            .field("data_dir", &self.data_dir)
            .field("database", &self.database)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
