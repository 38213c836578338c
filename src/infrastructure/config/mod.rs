//! What an installation configures: read once, at start, from the environment and from `.env`.

mod environment;
mod kafka;
#[cfg(test)]
mod kafka_tests;
mod read;
#[cfg(test)]
mod tests;
mod values;
#[cfg(test)]
mod values_tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

pub use environment::variable;
pub use kafka::{Brokers, KafkaClientCertificate, KafkaConfig, KafkaSasl, KafkaSecurity, KafkaTls, SaslMechanism};
pub use values::{credentials_key as parse_credentials_key, duration as parse_duration};

/// Why a start is refused: the variable to look at, and a sentence that never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {sentence}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub sentence: String,
}

impl ConfigError {
    pub fn new(variable: &'static str, sentence: impl Into<String>) -> Self {
        Self { variable, sentence: sentence.into() }
    }
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    pub host: IpAddr,
    /// 0 picks a free one.
    pub port: u16,
    pub max_body_bytes: usize,
}

impl HttpConfig {
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseConfig {
    /// Embedded: a file.
    Sqlite {
        path: PathBuf,
    },
    Postgres {
        url: String,
    },
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            // The URL usually has a password in it.
            Self::Postgres { .. } => f.debug_struct("Postgres").finish_non_exhaustive(),
        }
    }
}

/// How Bearer tokens are verified. Without any key, only API keys work.
#[derive(Clone)]
pub struct JwtConfig {
    pub secret: Option<Vec<u8>>,
    /// PEM text.
    pub public_key: Option<String>,
    pub jwks_url: Option<Url>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
}

/// How messages travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueConfig {
    /// Whatever is accepted is delivered at once.
    Direct,
    /// Through a topic, to whichever process consumes it.
    Kafka(Box<KafkaConfig>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    All,
    Api,
    Worker,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::All, Role::Api, Role::Worker];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Api => "api",
            Role::Worker => "worker",
        }
    }

    /// Whether it serves the API.
    pub fn accepts(self) -> bool {
        self != Role::Worker
    }

    /// Whether it calls channels for others.
    pub fn delivers(self) -> bool {
        self != Role::Api
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a role is one of all, api, worker")]
pub struct UnknownRole;

impl Config {
    /// Reads the environment and, for what it does not name, `.env` in the working directory.
    ///
    /// # Errors
    /// The first value that cannot be used, or a `.env` that cannot be read.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let environment = environment::Environment::load()?;
        Self::read(|variable| environment.get(variable))
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
    /// Only what is no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("http", &self.http)
            .field("data_dir", &self.data_dir)
            .field("database", &self.database)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
