use std::fmt;

use super::environment::Environment;
use super::error::ConfigError;
use super::role::Role;
use super::sections::access::AccessConfig;
use super::sections::channels::ChannelsConfig;
use super::sections::delivery::DeliveryConfig;
use super::sections::events::EventsConfig;
use super::sections::http::HttpConfig;
use super::sections::kafka::topics::TopicsConfig;
use super::sections::kafka::{Brokers, QueueConfig};
use super::sections::logs::LogsConfig;
use super::sections::providers::ProvidersConfig;
use super::sections::sources::SourcesConfig;
use super::sections::storage::{DatabaseConfig, StorageConfig};
use super::variables::Variables;

/// What an installation configures, a field a section.
#[derive(Clone)]
pub struct Config {
    pub http: HttpConfig,
    pub storage: StorageConfig,
    pub access: AccessConfig,
    pub queue: QueueConfig,
    pub topics: TopicsConfig,
    pub delivery: DeliveryConfig,
    pub channels: ChannelsConfig,
    pub providers: ProvidersConfig,
    pub events: EventsConfig,
    pub sources: SourcesConfig,
    pub logs: LogsConfig,
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
        Ok(Self {
            http: HttpConfig::read(&variables)?,
            storage: StorageConfig::read(&variables)?,
            access: AccessConfig::read(&variables)?,
            queue: QueueConfig::read(&variables)?,
            topics: TopicsConfig::read(&variables)?,
            delivery: DeliveryConfig::read(&variables)?,
            channels: ChannelsConfig::read(&variables)?,
            providers: ProvidersConfig::read(&variables)?,
            events: EventsConfig::read(&variables)?,
            sources: SourcesConfig::read(&variables)?,
            logs: LogsConfig::read(&variables)?,
        })
    }

    /// Whether there is a channel that delivers nowhere. What runs on PostgreSQL is taken to be for earnest.
    pub fn has_sandbox(&self) -> bool {
        let is_embedded = matches!(self.storage.database, DatabaseConfig::Sqlite { .. });
        self.delivery.sandbox_enabled.unwrap_or(is_embedded)
    }

    /// Checks that this configuration lets a process play this role.
    ///
    /// # Errors
    /// For a part of the work alone, while nothing would carry messages to the processes that do the rest.
    pub fn require_queue_role(&self, role: Role) -> Result<(), ConfigError> {
        if role == Role::All {
            return Ok(());
        }
        if let DatabaseConfig::Sqlite { .. } = self.storage.database {
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
            .field("data_dir", &self.storage.data_dir)
            .field("database", &self.storage.database)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
